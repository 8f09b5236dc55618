#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes tokenizer_families.json.gz and tokenizers/families/*: small tokenizers in the shapes of those that models come with, and
what Hugging Face's `tokenizers` (and `sentencepiece`) make of hostile texts.

usage: make_tokenizer_families.py
needs: tokenizers sentencepiece

Offsets are in characters, as the library gives them. Texts are drawn with a fixed seed; `special`: whether special tokens in the
text were parsed; `decoded`: the text back from the ids, where it is text.
"""
import gzip, io, json, os, random, tempfile

import sentencepiece, tokenizers
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

here = os.path.dirname(os.path.abspath(__file__))
folder = os.path.join(here, "tokenizers", "families")
os.makedirs(folder, exist_ok=True)
draw = random.Random(20260321)
MARK = "\u2581"

WORDS = ("the a of and to in is was it for on with as at by an be this that from or have had not are but what all were when we there can said which do their if will each about how up out them then she many some so these would other into has more her two like him see time could no make than first been its who now people my made over did down only way find use may water long little very after words called just where most know get through back much before go good new write our used me man too any day same right look think also around another came come work three word must because does part even place well such here take why things help put years different away again off went old number great tell men say small every found still between name should home big give air line set own under read last never us left end along while might next sound below saw something thought both few those always looked show large often together asked house world going want school important until form food keep children feet land side without boy once animals life enough took sometimes four head above kind began almost live page got earth need far hand high year mother light parts country father let night following picture being study second eyes soon times story boys since white days ever paper hard near sentence better best across during today others however sure means knew try told young miles sun ways thing whole hear example heard several change answer room sea against top turned learn point city play toward five using himself usually").split()
CODE = ["def f(x):\n    return x + 1\n", "for (int i = 0; i < n; ++i) {\n\tsum += a[i];\n}", "x = {'a': [1, 2.5, None]}", "if __name__ == \"__main__\":", "SELECT * FROM t WHERE id = 42;", "std::vector<int>", "\t\treturn nullptr;\r\n", "https://example.org/path?q=1&r=2#frag", "user@example.com", "$\\frac{a}{b}$"]
SCRIPTS = ["日本語のテキスト", "中文字符和English混排", "한국어 텍스트", "Русский текст", "العربية نص", "עברית", "हिन्दी पाठ", "ไทย", "Ελληνικά", "naïve façade — “quotes” … ‘single’", "ßẞ ﬁ ligature ſ", "½ ² ³ ⅷ ٣٤ ⑦", "𝔘𝔫𝔦 𝟙𝟚𝟛", "Straße İstanbul ΑΒΓ"]
EMOJI = ["\U0001f469\u200d\U0001f469\u200d\U0001f467", "\U0001f44d\U0001f3fd", "\U0001f1e9\U0001f1ea", "❤️🔥", "🙂"]
MARKS = ["e\u0301", "A\u030a", "\u212b", "a\u0323\u0307", "a\u0307\u0323", "\u1100\u1161\u11a8", "\uac01", "x\u0300\u0301\u0302", "\u0344", "\u0300", "か\u3099", "\u0fb2\u0f71"]
BLANKS = [" ", " ", " ", "  ", "    ", " " * 17, "\n", "\n\n", "\r\n", "\t", "\u00a0", "\u2003", "\u3000", "\u200b", "\u2028", "\u0085", MARK]
CONTROLS = ["\x00", "\x01", "\x1f", "\x7f", "\u0080", "\ufeff", "\u00ad", "\ue000", "\U000e0041"]
PUNCTUATION = ["!", "?", ".", ",", "...", "'s", "'LL", "--", "()", "[x]", "{}", "#", "=", "==", "_", "—", "。", "«»", "$", "€", "+"]
SPECIAL = ["<s>", "</s>", "<unk>", "<|im_start|>", "<|im_end|>", "[INST]", "[/INST]", "<|user|>", "<|end|>", "<start_of_turn>", "<end_of_turn>", "<s", "|>", "<mask>", "wordy"]


def number():
    return str(draw.randrange(10 ** draw.randrange(1, 12))) + draw.choice(["", ".5", "e-3", "%"])


def text():
    kinds = [lambda: draw.choice(WORDS), lambda: draw.choice(WORDS).upper(), lambda: draw.choice(CODE), lambda: draw.choice(SCRIPTS),
             lambda: draw.choice(EMOJI), lambda: draw.choice(MARKS), lambda: draw.choice(CONTROLS), lambda: draw.choice(PUNCTUATION),
             lambda: draw.choice(SPECIAL), number, lambda: chr(draw.choice([draw.randrange(0x20, 0x250), draw.randrange(0x370, 0x600), draw.randrange(0x3040, 0x3100), draw.randrange(0x4e00, 0x9fa0), draw.randrange(0xac00, 0xd7a0), draw.randrange(0x1f300, 0x1f600)]))]
    weights = [14, 2, 1, 2, 2, 2, 1, 5, 2, 2, 3]
    parts = []
    for _ in range(draw.randrange(1, 14)):
        parts.append(draw.choices(kinds, weights)[0]())
        if draw.random() < 0.75:
            parts.append(draw.choice(BLANKS))
    return "".join(parts)


CORPUS = [" ".join(draw.choices(WORDS, k=12)) for _ in range(1500)] + CODE * 30 + SCRIPTS * 20 + [number() for _ in range(200)]
TEXTS = ["", " ", "  ", "\n", MARK, MARK + MARK, "a", " a", "a ", "  a  b  ", "Hello, world!", " " * 100 + "x", "a" * 300, "ab" * 100, "= = = ==", "<s>", " <s> ", "<s><s>",
         "[INST] Hi [/INST]", "a<mask> b", "a <mask>", "wordy swordy wordyx a-wordy", "é" * 60, "中" * 60, "\U0001f44d" * 40, "\x00" * 3] + [text() for _ in range(420)]
FAMILIES = {}


def special(*names, **flags):
    return [AddedToken(n, normalized=False, special=True, **flags) for n in names]


def trained(name, trainer, model, normalizer=None, pre=None, decoder=None, post=None):
    tok = Tokenizer(model)
    if normalizer:
        tok.normalizer = normalizer
    if pre:
        tok.pre_tokenizer = pre
    if decoder:
        tok.decoder = decoder
    tok.train_from_iterator(CORPUS, trainer)
    FAMILIES[name] = tok
    return tok


def bpe(size, tokens=(), bytes_too=False, alphabet=()):
    fallback = [f"<0x{b:02X}>" for b in range(256)] if bytes_too else []
    return trainers.BpeTrainer(vocab_size=size, special_tokens=list(tokens) + fallback, show_progress=False, limit_alphabet=120, initial_alphabet=list(alphabet))


def forget_bytes(tok):
    """The trainer can only add byte tokens as special ones; real files hold them in the model alone."""
    spec = json.loads(tok.to_str())
    spec["added_tokens"] = [t for t in spec["added_tokens"] if not t["content"].startswith("<0x")]
    return Tokenizer.from_str(json.dumps(spec))


# Llama-2, Mistral v0.1: normalizer Prepend + Replace, no pre-tokenizer.
sp_decoder = lambda: decoders.Sequence([decoders.Replace(MARK, " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
llama = trained("llama-2", bpe(900, ["<unk>", "<s>", "</s>"], True), models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True),
                normalizers.Sequence([normalizers.Prepend(MARK), normalizers.Replace(" ", MARK)]), pre_tokenizers.Metaspace(prepend_scheme="never", split=True), sp_decoder())
spec = json.loads(forget_bytes(llama).to_str())
spec["pre_tokenizer"] = None
llama = FAMILIES["llama-2"] = Tokenizer.from_str(json.dumps(spec))
llama.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])

# Mistral v0.3, Phi-3: Metaspace(first), markers as added tokens, some taking white space along.
mistral = trained("mistral-v3", bpe(900, ["<unk>", "<s>", "</s>"], True), models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True),
                  None, pre_tokenizers.Metaspace(prepend_scheme="first", split=False), sp_decoder())
spec = json.loads(mistral.to_str())
mistral = Tokenizer.from_str(json.dumps(spec))
mistral = FAMILIES["mistral-v3"] = forget_bytes(mistral)
mistral.add_special_tokens(special("[INST]", "[/INST]"))
mistral.add_special_tokens(special("<|user|>", "<|end|>", rstrip=True))
mistral.add_tokens([AddedToken("<mask>", lstrip=True, normalized=False), AddedToken("wordy", single_word=True, normalized=False)])
mistral.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])

# Gemma: Replace(" ", mark), Split(" ") that never matches, byte fallback, no prefix; runs of newlines as added tokens.
gemma = trained("gemma", bpe(900, ["<pad>", "<eos>", "<bos>", "<unk>"], True), models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True),
                normalizers.Replace(" ", MARK), pre_tokenizers.Split(" ", "merged_with_previous"),
                decoders.Sequence([decoders.Replace(MARK, " "), decoders.ByteFallback(), decoders.Fuse()]))
gemma = FAMILIES["gemma"] = forget_bytes(gemma)
gemma.add_special_tokens(special("<start_of_turn>", "<end_of_turn>"))
gemma.add_tokens([AddedToken(t, normalized=False) for t in ("\n\n", "\n\n\n", MARK * 2)])
gemma.post_processor = processors.TemplateProcessing(single="<bos> $A", special_tokens=[("<bos>", 2)])

# No byte fallback: unknown characters, not fused, and fused.
trained("unknown", bpe(400, ["<unk>"]), models.BPE(unk_token="<unk>"), None, pre_tokenizers.Metaspace(), decoders.Metaspace())
trained("unknown-fused", bpe(400, ["<unk>"]), models.BPE(unk_token="<unk>", fuse_unk=True), normalizers.Replace(" ", MARK), None, decoders.Metaspace())
trained("no-unknown", bpe(400), models.BPE(ignore_merges=True), None, pre_tokenizers.WhitespaceSplit(), decoders.Metaspace())

# T5, XLM-R, ALBERT: Unigram with a compiled character map.
RULES = [("\u00a0", " "), ("\u3000", " "), ("\u2003", " "), ("\t", " "), ("\n", " "), ("\u200b", ""), ("\ufeff", ""), ("\u0001", ""), ("\u00ad", ""), ("\ufb01", "fi"), ("\u00bd", "1/2"), ("\u00b2", "2"),
         ("\u2176", "viii"), ("\u2026", "..."), ("\u0344", "\u0308\u0301"), ("e\u0301", "\u00e9"), ("A\u030a", "\u00c5"), ("\u212b", "\u00c5"), ("\u1100\u1161\u11a8", "\uac01"), ("か\u3099", "が"), ("\u2028", " "),
         ("\u2466", "7"), ("\U0001d7d9", "1"), ("\u017f", "s"), ("\U0001d518", "U")]
rules = tempfile.NamedTemporaryFile("w", suffix=".tsv", delete=False)
for source, target in RULES:
    rules.write(" ".join(f"{ord(c):04X}" for c in source) + "\t" + " ".join(f"{ord(c):04X}" for c in target) + "\n")
rules.close()
with io.BytesIO() as out:
    sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter([" ".join(draw.choices(WORDS, k=12)) for _ in range(1500)]), model_writer=out, vocab_size=300, model_type="unigram",
                                             normalization_rule_tsv=rules.name, character_coverage=1.0, minloglevel=2, num_threads=1)
    raw = out.getvalue()
os.unlink(rules.name)


def field(data, want):
    """The first field `want` of a protobuf message."""
    at = 0
    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]; at += 1
            value |= (byte & 127) << shift; shift += 7
            if byte < 128:
                return value
    while at < len(data):
        key = varint()
        if key & 7 == 2:
            size = varint()
            if key >> 3 == want:
                return data[at:at + size]
            at += size
        elif key & 7 == 0:
            varint()
        else:
            at += {5: 4, 1: 8}[key & 7]


charsmap = field(field(raw, 3), 2)
unigram = lambda: trainers.UnigramTrainer(vocab_size=600, special_tokens=["<pad>", "</s>", "<unk>"], unk_token="<unk>", show_progress=False)
t5 = trained("t5", unigram(), models.Unigram(), normalizers.Sequence([normalizers.Precompiled(charsmap), normalizers.Strip(), normalizers.Replace(Regex(" {2,}"), " ")]),
             pre_tokenizers.Metaspace(), decoders.Metaspace())
t5.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
spec = json.loads(trained("unigram-bytes", unigram(), models.Unigram(), normalizers.Replace(" ", MARK), None, decoders.Metaspace()).to_str())
spec["model"]["vocab"] += [[f"<0x{b:02X}>", -30.0] for b in range(256)]
spec["model"]["byte_fallback"] = True
FAMILIES["unigram-bytes"] = Tokenizer.from_str(json.dumps(spec))

# Byte-level with normalisation and a prefix space.
byte_level = dict(decoder=decoders.ByteLevel())
LLAMA3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
QWEN = LLAMA3.replace("{1,3}", "")
alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
split = lambda p: pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(p), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
qwen = trained("qwen", bpe(700, alphabet=alphabet), models.BPE(), normalizers.NFC(), split(QWEN), **byte_level)
qwen.add_special_tokens(special("<|im_start|>", "<|im_end|>"))
qwen.add_tokens([AddedToken("<think>", normalized=True), AddedToken("wordy", normalized=True, single_word=True)])
llama3 = trained("llama-3", bpe(700, alphabet=alphabet), models.BPE(ignore_merges=True), None, split(LLAMA3), **byte_level)
llama3.add_special_tokens(special("<s>", "<|end|>"))
llama3.post_processor = processors.Sequence([processors.ByteLevel(trim_offsets=False), processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", llama3.token_to_id("<s>"))])])
roberta = trained("roberta", bpe(600, ["<s>", "</s>", "<unk>"], alphabet=alphabet), models.BPE(), None, pre_tokenizers.ByteLevel(add_prefix_space=True), **byte_level)
roberta.add_special_tokens([AddedToken("<mask>", lstrip=True, special=True, normalized=False)])
roberta.post_processor = processors.RobertaProcessing(("</s>", 1), ("<s>", 0), trim_offsets=False)

# Every normaliser and pre-tokenizer by itself, over one small vocabulary.
steps = {
    "nfd": normalizers.NFD(), "nfkc": normalizers.NFKC(), "nfkd": normalizers.NFKD(), "nfc": normalizers.NFC(), "lowercase": normalizers.Lowercase(),
    "strip": normalizers.Strip(), "strip-accents": normalizers.Sequence([normalizers.NFD(), normalizers.StripAccents()]),
    "replace": normalizers.Sequence([normalizers.Replace(Regex(r"\s+"), " "), normalizers.Replace("the", "")]),
    "mixed": normalizers.Sequence([normalizers.NFKD(), normalizers.Lowercase(), normalizers.StripAccents(), normalizers.Prepend("x "), normalizers.NFKC()]),
}
cuts = {
    "digits": pre_tokenizers.Digits(), "digits-each": pre_tokenizers.Digits(individual_digits=True), "whitespace": pre_tokenizers.Whitespace(),
    "punctuation": pre_tokenizers.Punctuation(), "punctuation-contiguous": pre_tokenizers.Punctuation("contiguous"), "punctuation-next": pre_tokenizers.Punctuation("merged_with_next"),
    "bert": pre_tokenizers.BertPreTokenizer(), "metaspace-always": pre_tokenizers.Sequence([pre_tokenizers.Digits(), pre_tokenizers.Metaspace(prepend_scheme="always")]),
    "split-removed": pre_tokenizers.Split(Regex(r"[aeiou]+"), "removed"), "split-previous": pre_tokenizers.Split(Regex(r"\w"), "merged_with_previous"),
    "split-next": pre_tokenizers.Split("e", "merged_with_next"), "split-invert": pre_tokenizers.Split(Regex(r"[a-z]+"), "removed", invert=True), "split-contiguous": pre_tokenizers.Split(Regex(r"\d"), "contiguous"),
}
base = trained("step", bpe(380, ["<unk>"]), models.BPE(unk_token="<unk>"), None, None, decoders.Metaspace())
del FAMILIES["step"]
spec = json.loads(base.to_str())
step_specs = {}
for name, step in list(steps.items()) + list(cuts.items()):
    tok = Tokenizer.from_str(json.dumps(spec))
    if name in steps:
        tok.normalizer = step
    else:
        tok.pre_tokenizer = step
    FAMILIES["step-" + name] = tok
    part = json.loads(tok.to_str())
    step_specs[name] = {"normalizer": part["normalizer"], "pre_tokenizer": part["pre_tokenizer"]}


def write(name, spec):
    with gzip.GzipFile(os.path.join(folder, name + ".json.gz"), "wb", 9, mtime=0) as f:
        f.write(json.dumps(spec, ensure_ascii=False, separators=(",", ":")).encode())


result = {"versions": {"tokenizers": tokenizers.__version__, "sentencepiece": sentencepiece.__version__}, "steps": step_specs, "texts": TEXTS, "families": {}}
write("step", spec)
for name, tok in FAMILIES.items():
    is_step = name.startswith("step-")
    if not is_step:
        write(name, json.loads(tok.to_str()))
    cases = []
    for parses in (True, False):
        tok.encode_special_tokens = not parses
        for i in range(len(TEXTS)):
            t = TEXTS[i]
            if (is_step and i >= 150) or (not parses and not any(s in t for s in SPECIAL)):
                continue
            enc = tok.encode(t, add_special_tokens=False)
            cases.append([i, int(parses), enc.ids, [o[0] for o in enc.offsets], [o[1] - o[0] for o in enc.offsets]])
    tok.encode_special_tokens = False
    decoded = [] if is_step else [tok.decode(tok.encode(t, add_special_tokens=False).ids, skip_special_tokens=False) for t in TEXTS[:120]]
    result["families"][name] = {"cases": cases, "template": tok.encode("Hello world", add_special_tokens=True).ids, "decoded": decoded}

# tokenizer.model of SentencePiece itself, which must give the same through its library and from GGUF metadata.
models_of = {}
for name, options in {"spm-bpe": dict(model_type="bpe", byte_fallback=True), "spm-unigram": dict(model_type="unigram", byte_fallback=True), "spm-plain": dict(model_type="bpe", byte_fallback=True, add_dummy_prefix=False)}.items():
    draw.seed(7)
    with io.BytesIO() as out:
        sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter([" ".join(draw.choices(WORDS, k=12)) for _ in range(1500)]), model_writer=out, vocab_size=500,
                                                 normalization_rule_name="identity", remove_extra_whitespaces=False, split_digits=True, character_coverage=1.0,
                                                 minloglevel=2, num_threads=1, **options)
        raw = out.getvalue()
    with open(os.path.join(folder, name + ".model"), "wb") as f:
        f.write(raw)
    sp = sentencepiece.SentencePieceProcessor(model_proto=raw)
    texts = [t for t in TEXTS if "\x00" not in t]
    models_of[name] = {"texts": texts, "ids": [sp.encode(t) for t in texts], "decoded": [sp.decode(sp.encode(t)) for t in texts],
                       "pieces": [sp.id_to_piece(i) for i in range(len(sp))], "scores": [sp.get_score(i) for i in range(len(sp))],
                       "types": [2 if sp.is_unknown(i) else 3 if sp.is_control(i) else 6 if sp.is_byte(i) else 1 for i in range(len(sp))]}
result["sentencepiece"] = models_of
for name in models_of:
    models_of[name]["texts"] = [TEXTS.index(t) for t in models_of[name]["texts"]]
with gzip.GzipFile(os.path.join(here, "tokenizer_families.json.gz"), "wb", 9, mtime=0) as f:
    f.write(json.dumps(result, separators=(",", ":")).encode())
print({name: len(f["cases"]) for name, f in result["families"].items()})
