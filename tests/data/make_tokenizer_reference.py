#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes tokenizer_reference.json and tokenizers/*.json: what Hugging Face's `tokenizers` gives for awkward texts.

usage: make_tokenizer_reference.py MODEL.gguf
needs: tokenizers gguf transformers jinja2 (the reference records the versions)

Families:
  smollm     vocabulary and merges of the GGUF file, pre-tokenizer of SmolLM2's own tokenizer.json: Digits(individual), ByteLevel
  gpt-2, llama-bpe, qwen2
             small vocabularies trained here, with the normalizer, the pre-tokenizer and the post-processor of the real models
Offsets are in characters, as the library gives them. `special`: whether special tokens in the text were parsed.
"""
import json, os, sys

os.environ["HF_HUB_OFFLINE"] = "1"
import gguf, tokenizers, transformers
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

here = os.path.dirname(os.path.abspath(__file__))
model_file = sys.argv[1]
folder = os.path.join(here, "tokenizers")
os.makedirs(folder, exist_ok=True)

CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|"
REST = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
LLAMA = CONTRACTIONS + r"\p{N}{1,3}" + REST
QWEN = CONTRACTIONS + r"\p{N}" + REST


def split(pattern):
    return pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(pattern), "isolated"),
                                    pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])


TEXTS = [
    "", " ", "  ", "\n", "\r\n", "\t", "a", "Hello, world!", " Hello", "Hello ", "  Hello  world  ",
    "The quick brown fox jumps over the lazy dog.", "It's we're I've I'm they'll he'd don't IT'S WE'RE 'S 'LL",
    "\u2019s it\u2019s", "1234567890", "3.14159", "in 2024, 42 of 1000", "x  42", "a 1 22 333 4444", "½ ² ³ ⅷ ٣٤ 一二三 ⑦",
    "line one\nline two\n\nline four", "CRLF\r\nend\r\n\r\nmore", "tab\tseparated\t\tvalues", "trailing blanks   \n   next",
    "\u00a0no-break\u00a0space", "\u2003em space\u2009thin", "\u3000ideographic\u3000space", "zero\u200bwidth\u200djoin\ufeffbom",
    "\u180emongolian\u180e vowel separator", "next\u0085line", "a\u2028b\u2029c", "\x1funit\x0bvertical\x0cform",
    "\U0001f469\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466 family", "\U0001f44d\U0001f3fd thumbs \U0001f1e9\U0001f1ea", "❤️🔥",
    "日本語のテキスト", "中文字符和English混排", "한국어 텍스트", "Русский текст", "العربية نص", "עברית", "हिन्दी पाठ", "ไทย",
    "e\u0301 cafe\u0301 \u00e9 cafés", "A\u030a \u212b \u00c5", "\u1100\u1161\u11a8 \uac01", "a\u0323\u0307 a\u0307\u0323", "\u0344 \u2126",
    "ﬁ ligature ſ long s 'ſ K Kelvin", "\u0131\u0130 iİ", "ßẞ", "!!!???...---___***", "foo(bar)[baz]{qux}", "a+b=c; x<<2; y>>=3",
    "https://example.org/path?q=1&r=2#frag", "user@example.com", "def f(x):\n    return x + 1\n", "{\"key\": [1, 2, null]}",
    "$\\frac{a}{b}$", "$$$ €100 £5 ¥7", "CamelCaseAndsnake_case", "ALLCAPS lower MiXeD", "a" * 300, " " * 100 + "x", "ab" * 100,
    "\n" * 20 + "x", "= = = ==", "''' 's 't", "Question: 7 * 6?\nAnswer: 42\n\n", "naïve façade — “quotes” … ‘single’",
    "𝔘𝔫𝔦𝔠𝔬𝔡𝔢 𝟙𝟚𝟛", "\u0300leading mark", "x\u0300\u0301\u0302\u0303y", "\ue000private", "\U000e0041tag", "0x1F 1e-5 1_000",
]
SPECIAL_TEXTS = [
    "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n", "<|im_start|>", "a<|im_end|>b", "<|im_start|><|im_end|>",
    "<|im_start", "<<|im_start|>>", "<|endoftext|> text <|endoftext|>", " <|im_end|> spaced <|im_end|> ",
]

TRAINING = [t for t in TEXTS if t.strip()] * 2 + [
    "the then there their this that these those it is was were will would could should have has had having " * 4,
    "number numbers 10 11 12 100 200 300 1000 2000 2024 2025 year years one two three four five " * 4,
    "return function class struct const while for if else switch case break continue " * 4,
]


def train(name, pre_tokenizer, normalizer, size, **bpe):
    tok = Tokenizer(models.BPE(**bpe))
    tok.normalizer = normalizer
    tok.pre_tokenizer = pre_tokenizer
    tok.decoder = decoders.ByteLevel()
    tok.train_from_iterator(TRAINING, trainers.BpeTrainer(vocab_size=size, show_progress=False,
                            initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()), min_frequency=2))
    # One entry that no merge reaches: only a tokenizer that ignores merges for whole entries gives it.
    text = json.loads(tok.to_str())
    text["model"]["vocab"]["!!!???...---___***"] = tok.get_vocab_size()
    tok = Tokenizer.from_str(json.dumps(text))
    tok.add_special_tokens([AddedToken(t, normalized=False, special=True) for t in ("<|endoftext|>", "<|im_start|>", "<|im_end|>")])
    return tok


families = {}
gpt2 = train("gpt-2", pre_tokenizers.ByteLevel(add_prefix_space=False), None, 500)
gpt2.post_processor = processors.ByteLevel(trim_offsets=True)
families["gpt-2"] = gpt2
llama = train("llama-bpe", split(LLAMA), None, 520, ignore_merges=True)
bos = llama.token_to_id("<|endoftext|>")
llama.post_processor = processors.Sequence([processors.ByteLevel(trim_offsets=False),
    processors.TemplateProcessing(single="<|endoftext|> $A", special_tokens=[("<|endoftext|>", bos)])])
families["llama-bpe"] = llama
qwen = train("qwen2", split(QWEN), normalizers.NFC(), 520)
qwen.post_processor = processors.ByteLevel(trim_offsets=False)
families["qwen2"] = qwen

for name, tok in families.items():
    with open(os.path.join(folder, name + ".json"), "w", encoding="utf-8") as f:
        json.dump(json.loads(tok.to_str()), f, ensure_ascii=False, separators=(",", ":"))

reader = gguf.GGUFReader(model_file)
tokens = reader.fields["tokenizer.ggml.tokens"].contents()
merges = [tuple(m.split(" ", 1)) for m in reader.fields["tokenizer.ggml.merges"].contents()]
types = reader.fields["tokenizer.ggml.token_type"].contents()
smollm = Tokenizer(models.BPE(vocab={t: i for i, t in enumerate(tokens)}, merges=merges))
smollm.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True),
                                                pre_tokenizers.ByteLevel(add_prefix_space=False)])
smollm.decoder = decoders.ByteLevel()
smollm.add_special_tokens([AddedToken(t, normalized=False, special=True) for t, k in zip(tokens, types) if k == 3])
families["smollm"] = smollm

result = {"versions": {"tokenizers": tokenizers.__version__, "transformers": transformers.__version__}, "families": {}, "chat": []}
for name, tok in families.items():
    cases = []
    for special in (True, False):
        tok.encode_special_tokens = not special
        for text in (TEXTS if special else []) + SPECIAL_TEXTS:
            enc = tok.encode(text, add_special_tokens=False)
            cases.append({"text": text, "special": special, "ids": enc.ids, "offsets": [list(o) for o in enc.offsets]})
    tok.encode_special_tokens = False
    result["families"][name] = {"cases": cases, "template": tok.encode("Hello world", add_special_tokens=True).ids}

chat = transformers.PreTrainedTokenizerFast(tokenizer_object=smollm)
chat.chat_template = reader.fields["tokenizer.chat_template"].contents()
user, answer = {"role": "user", "content": "Name a river.\n"}, {"role": "assistant", "content": "The Rhine."}
system = {"role": "system", "content": "Be brief: 'yes' or \"no\"."}
for messages in ([user], [system, user], [user, answer, user], [system, user, answer, {"role": "user", "content": " And another? "}], [system]):
    for prompt in (True, False):
        result["chat"].append({"messages": messages, "prompt": prompt,
            "text": chat.apply_chat_template(messages, tokenize=False, add_generation_prompt=prompt)})
result["chat_template"] = chat.chat_template
with open(os.path.join(here, "tokenizer_reference.json"), "w", encoding="utf-8") as f:
    json.dump(result, f, ensure_ascii=True, separators=(",", ":"))
