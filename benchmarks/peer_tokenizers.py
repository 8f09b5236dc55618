#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Seconds per megabyte of text, ours beside Hugging Face's tokenizers on one thread, in one run per family.

usage: peer_tokenizers.py TOKENIZER_BENCHMARK [TOKENIZER.json ...]
needs: tokenizers

Without tokenizer files the small ones of tests/data/tokenizers are measured, after vocabularies of 8,000 tokens were trained in
their shape; both sides encode the same text, must give the same number of tokens, and the best of five rounds counts.
"""
import glob, gzip, json, os, random, subprocess, sys, tempfile, time

os.environ["RAYON_NUM_THREADS"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
from tokenizers import Tokenizer, models, trainers

program, files = sys.argv[1], sys.argv[2:]
data = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests", "data")
draw = random.Random(1)
letters = "etaoinshrdlucmfwypvbgkjqxz"
words = ["".join(draw.choices(letters, weights=range(26, 0, -1), k=draw.randrange(1, 12))) for _ in range(20000)]


def prose(size):
    """Words by Zipf's law, with numbers, code, other scripts and line breaks between."""
    out, length = [], 0
    weights = [1 / (i + 2) for i in range(len(words))]
    while length < size:
        line = draw.choices(words, weights, k=draw.randrange(4, 18))
        line[0] = line[0].capitalize()
        if draw.random() < 0.2:
            line.append(str(draw.randrange(100000)))
        if draw.random() < 0.1:
            line.append(draw.choice(["日本語のテキスト", "Русский текст", "naïve café", "if (x[i] != 0) {\n\treturn f(x);\n}", "👍🏽"]))
        text = " ".join(line) + draw.choice([". ", ", ", ".\n", "\n\n", "; "])
        out.append(text)
        length += len(text.encode())
    return "".join(out)


text = prose(1 << 20)
training = [prose(1 << 18)]
names = ["llama-2", "mistral-v3", "gemma", "qwen", "llama-3", "t5", "unigram-bytes", "roberta"]


def grown(name):
    """A vocabulary of 8,000 in the shape of a family: merges of a small one would leave mostly single characters."""
    with gzip.open(os.path.join(data, "tokenizers", "families", name + ".json.gz")) as f:
        spec = json.load(f)
    small = Tokenizer.from_str(json.dumps(spec))
    special = [t["content"] for t in spec["added_tokens"]]
    if spec["model"]["type"] == "Unigram":
        trainer = trainers.UnigramTrainer(vocab_size=8000, special_tokens=special, unk_token="<unk>", show_progress=False)
    else:
        fallback = [t for t in spec["model"]["vocab"] if t.startswith("<0x")]
        trainer = trainers.BpeTrainer(vocab_size=8000, special_tokens=[t for t in spec["model"]["vocab"] if t in ("<unk>", "<s>", "</s>", "<pad>", "<eos>", "<bos>")] + fallback,
                                      initial_alphabet=[t for t in spec["model"]["vocab"] if len(t) == 1], limit_alphabet=600, show_progress=False)
    # Lines keep a shape without pre-tokenizer from being trained on one long word.
    small.train_from_iterator((w + " " for t in training for w in t.split(" ")), trainer)
    model = json.loads(small.to_str())["model"]
    for key in spec["model"]:
        if key not in ("vocab", "merges", "unk_id"):
            model[key] = spec["model"][key]
    if spec["model"].get("byte_fallback") and model["type"] == "Unigram":
        model["vocab"] += [[f"<0x{b:02X}>", -30.0] for b in range(256)]
    full = json.loads(small.to_str())
    ids = model["vocab"] if isinstance(model["vocab"], dict) else {t: i for i, (t, _) in enumerate(model["vocab"])}
    full["added_tokens"] = [dict(t, id=ids[t["content"]]) for t in full["added_tokens"] if t["content"] in ids and not t["content"].startswith("<0x")]
    full["model"] = model
    full["post_processor"] = None
    return full


with tempfile.TemporaryDirectory() as folder:
    source = os.path.join(folder, "text.txt")
    with open(source, "w", encoding="utf-8", newline="") as f:
        f.write(text)
    if not files:
        for name in names:
            files.append(os.path.join(folder, name + ".json"))
            with open(files[-1], "w", encoding="utf-8") as f:
                json.dump(grown(name), f, ensure_ascii=False)
    print(f"{'tokenizer':14} {'tokens':>8} {'ours MB/s':>10} {'theirs MB/s':>12} {'ratio':>6}")
    for file in files:
        peer = Tokenizer.from_file(file)
        best = 1e9
        for _ in range(5):
            fresh = Tokenizer.from_file(file)  # a cache that is filled before the clock starts is none of a first text's
            began = time.perf_counter()
            tokens = len(fresh.encode(text, add_special_tokens=False).ids)
            best = min(best, time.perf_counter() - began)
        ours = json.loads(subprocess.run([program, file, source, "5"], check=True, capture_output=True, text=True).stdout)
        size = ours["bytes"] / 1e6
        note = "" if ours["tokens"] == tokens else f"  {ours['tokens']} tokens of ours!"
        print(f"{os.path.basename(file)[:-5]:14} {tokens:8} {size / ours['seconds']:10.1f} {size / best:12.1f} {best / ours['seconds']:6.1f}{note}", flush=True)
