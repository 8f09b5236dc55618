#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes fuzz/corpus/TARGET/*: small files that are right, and some that are nearly so, for the fuzzer to begin with.

usage: make_corpus.py
"""
import json, os, random, struct

here = os.path.dirname(os.path.abspath(__file__))
data = os.path.join(here, "..", "tests", "data")


def write(target, name, content):
    folder = os.path.join(here, "corpus", target)
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, name), "wb") as file:
        file.write(content if isinstance(content, bytes) else content.encode())


def compact(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def parts(*files):
    """As InputParts of scratch_folder.h takes them apart: every file but the last behind its length."""
    files = [file if isinstance(file, bytes) else file.encode() for file in files]
    return b"".join(struct.pack("<H", len(file)) + file for file in files[:-1]) + files[-1]


# safetensors

SIZES = {"F32": 4, "F16": 2, "BF16": 2, "I64": 8, "U8": 1, "F8_E4M3": 1}


def safetensors(tensors, metadata=None, cut=0):
    header, blob = ({"__metadata__": metadata} if metadata else {}), b""
    for name, (dtype, shape) in tensors.items():
        size = SIZES[dtype]
        for dimension in shape:
            size *= dimension
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(blob), len(blob) + size]}
        blob += bytes(i * 7 % 60 for i in range(size))
    text = compact(header).encode()
    whole = struct.pack("<Q", len(text)) + text + blob
    return whole[:len(whole) - cut]


write("safetensors", "two_types", safetensors({"a.weight": ("F32", [2, 3]), "b": ("BF16", [4])}, {"format": "pt"}))
write("safetensors", "other_types", safetensors({"ids": ("I64", [1, 2]), "mask": ("U8", [3]), "f8": ("F8_E4M3", [2, 2])}))
write("safetensors", "scalar", safetensors({"s": ("F16", [])}))
write("safetensors", "cut", safetensors({"a": ("F32", [4])}, cut=3))
write("safetensors", "no_tensors", struct.pack("<Q", 2) + b"{}")
write("safetensors", "long_header", struct.pack("<Q", 1 << 40) + b"{}")

# config.json, generation_config.json and the index of the shards

CONFIG = {"model_type": "llama", "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
          "num_key_value_heads": 2, "vocab_size": 64, "max_position_embeddings": 256, "rms_norm_eps": 1e-05,
          "rope_theta": 10000.0, "hidden_act": "silu", "bos_token_id": 1, "eos_token_id": [2, 3]}
GENERATION = compact({"eos_token_id": [2]})
INDEX = compact({"metadata": {"total_size": 8}, "weight_map": {"lm_head.weight": "a.safetensors", "b": "config.json"}})
LLAMA3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
          "original_max_position_embeddings": 8192}
for name, extra in {
    "llama": {},
    "explicit": {"head_dim": 8, "tie_word_embeddings": True, "attention_bias": True, "mlp_bias": True, "rope_scaling": None},
    "linear": {"rope_scaling": {"type": "linear", "factor": 4.0}},
    "llama3": {"rope_scaling": LLAMA3},
    "parameters": {"rope_parameters": {"rope_theta": 500000.0, **LLAMA3}},
    "dynamic": {"rope_scaling": {"rope_type": "dynamic", "factor": 2.0}},
    "yarn": {"rope_scaling": {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64, "beta_fast": 32,
                              "beta_slow": 1, "mscale": 1.0, "mscale_all_dim": 1.0, "attention_factor": 1.1}},
    "mistral": {"model_type": "mistral", "sliding_window": 64},
    "qwen2": {"model_type": "qwen2", "use_sliding_window": False, "sliding_window": 32, "max_window_layers": 1},
    "qwen3": {"model_type": "qwen3", "head_dim": 8, "layer_types": ["full_attention", "sliding_attention"]},
    "smollm3": {"model_type": "smollm3", "no_rope_layers": [1, 0], "no_rope_layer_interval": 2},
    "phi3": {"model_type": "phi3", "original_max_position_embeddings": 64, "partial_rotary_factor": 1.0,
             "rope_scaling": {"type": "longrope", "short_factor": [1.0] * 4, "long_factor": [2.0] * 4}},
    "gemma3": {"model_type": "gemma3_text", "head_dim": 8, "hidden_activation": "gelu_pytorch_tanh",
               "query_pre_attn_scalar": 8, "rope_local_base_freq": 10000.0, "sliding_window": 16,
               "sliding_window_pattern": 2, "final_logit_softcapping": None, "attn_logit_softcapping": 30.0},
    "wrong_kinds": {"hidden_size": "32", "rms_norm_eps": None, "eos_token_id": {"a": 1}},
    "outside": {"vocab_size": -1, "num_attention_heads": 18446744073709551615, "rope_theta": 1e400},
}.items():
    write("config", name, parts(compact({**CONFIG, **extra}).replace("Infinity", "1e400"), GENERATION, INDEX))
write("config", "no_index", parts(compact(CONFIG), "", ""))

# adapters

ADAPTER = {"peft_type": "LORA", "r": 2, "lora_alpha": 4, "bias": "none", "target_modules": ["q_proj", "down_proj"],
           "base_model_name_or_path": "tiny", "use_rslora": False, "inference_mode": True}
FACTS = compact({"name": "short", "role": "instruct-adapter", "thinks": False})
KEY = "base_model.model.model.layers.1."
LORA = safetensors({KEY + "self_attn.q_proj.lora_A.weight": ("F32", [2, 32]), KEY + "self_attn.q_proj.lora_B.weight": ("F32", [32, 2]),
                    KEY + "mlp.down_proj.lora_A.weight": ("F16", [2, 48]), KEY + "mlp.down_proj.lora_B.weight": ("BF16", [32, 2])})
write("adapter", "two_modules", parts(compact(ADAPTER), FACTS, LORA))
write("adapter", "stabilised", parts(compact({**ADAPTER, "use_rslora": True, "r": 2}), "", LORA))
write("adapter", "refused", parts(compact({**ADAPTER, "use_dora": True, "rank_pattern": {"q_proj": 4}}), FACTS, LORA))
write("adapter", "half", parts(compact(ADAPTER), "", safetensors({KEY + "self_attn.q_proj.lora_A.weight": ("F32", [2, 32])})))

# GGUF

U32, F32, BOOL, STRING, ARRAY, I32 = 4, 6, 7, 8, 9, 5


def text(value):
    value = value.encode()
    return struct.pack("<Q", len(value)) + value


def field(key, kind, value):
    def one(kind, value):
        return text(value) if kind == STRING else struct.pack({U32: "<I", I32: "<i", F32: "<f", BOOL: "<?"}[kind], value)
    if isinstance(value, list):
        payload = struct.pack("<IIQ", ARRAY, kind, len(value)) + b"".join(one(kind, entry) for entry in value)
    else:
        payload = struct.pack("<I", kind) + one(kind, value)
    return text(key) + payload


LENGTH_AND_BYTES = {0: (1, 4), 1: (1, 2), 30: (1, 2), 2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 8: (32, 34),
                    20: (32, 18), 10: (256, 84), 11: (256, 110), 12: (256, 144), 13: (256, 176), 14: (256, 210),
                    15: (256, 292), 23: (256, 136)}


def gguf(fields, tensors, version=3):
    infos, blob = b"", b""
    noise = random.Random(7)
    for name, dimensions, kind in tensors:
        infos += text(name) + struct.pack("<I", len(dimensions)) + b"".join(struct.pack("<Q", d) for d in dimensions)
        infos += struct.pack("<IQ", kind, len(blob))
        values = 1
        for dimension in dimensions:
            values *= dimension
        length, size = LENGTH_AND_BYTES[kind]
        if name.startswith("rope_f"):
            blob += struct.pack("<f", 1.5) * values
        else:
            blob += bytes(noise.randrange(60) for _ in range(values // length * size)) # small scales
        blob += bytes(-len(blob) % 32)
    head = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(fields)) + b"".join(fields) + infos
    return head + bytes(-len(head) % 32) + blob


def llama(hidden, kind, vocabulary=8, name="llama"):
    fields = [field("general.architecture", STRING, name), field(f"{name}.block_count", U32, 1),
              field(f"{name}.context_length", U32, 128), field(f"{name}.embedding_length", U32, hidden),
              field(f"{name}.feed_forward_length", U32, hidden), field(f"{name}.attention.head_count", U32, 2),
              field(f"{name}.attention.head_count_kv", U32, 1), field(f"{name}.attention.key_length", U32, 4),
              field(f"{name}.attention.layer_norm_rms_epsilon", F32, 1e-5), field(f"{name}.rope.freq_base", F32, 10000.0)]
    tensors = [("token_embd.weight", [hidden, vocabulary], kind), ("output_norm.weight", [hidden], 0),
               ("blk.0.attn_norm.weight", [hidden], 0), ("blk.0.ffn_norm.weight", [hidden], 0),
               ("blk.0.attn_q.weight", [hidden, 8], kind), ("blk.0.attn_k.weight", [hidden, 4], kind),
               ("blk.0.attn_v.weight", [hidden, 4], kind), ("blk.0.attn_output.weight", [8, hidden], 1),
               ("blk.0.ffn_gate.weight", [hidden, hidden], kind), ("blk.0.ffn_up.weight", [hidden, hidden], kind),
               ("blk.0.ffn_down.weight", [hidden, hidden], kind)]
    return fields, tensors


WORDS = ["<s>", "a", "b", "ab", "Ġ", "Ġa", "c", "</s>"]
BPE = [field("tokenizer.ggml.model", STRING, "gpt2"), field("tokenizer.ggml.pre", STRING, "smollm"),
       field("tokenizer.ggml.tokens", STRING, WORDS), field("tokenizer.ggml.token_type", I32, [3, 1, 1, 1, 1, 1, 1, 3]),
       field("tokenizer.ggml.merges", STRING, ["a b", "Ġ a"]), field("tokenizer.ggml.bos_token_id", U32, 0),
       field("tokenizer.ggml.eos_token_id", U32, 7), field("tokenizer.ggml.add_bos_token", BOOL, True)]
PIECES = [field("tokenizer.ggml.model", STRING, "llama"),
          field("tokenizer.ggml.tokens", STRING, ["<unk>", "<s>", "</s>", "<0x41>", "▁", "a", "▁a", "b"]),
          field("tokenizer.ggml.scores", F32, [0.0, 0.0, 0.0, 0.0, -1.0, -2.0, -3.0, -4.0]),
          field("tokenizer.ggml.token_type", I32, [2, 3, 3, 6, 1, 1, 1, 1]), field("tokenizer.ggml.bos_token_id", U32, 1),
          field("tokenizer.ggml.eos_token_id", U32, 2), field("tokenizer.ggml.unknown_token_id", U32, 0)]
for kind in (0, 1, 30):
    fields, tensors = llama(8, kind)
    write("gguf", f"numbers_{kind}", gguf(fields + (BPE if kind else PIECES), tensors, 2 if kind == 1 else 3))
fields, tensors = llama(32, 0)
kinds = [2, 3, 6, 7, 8, 20]
tensors = [(name, dimensions, kinds[i % len(kinds)] if len(dimensions) == 2 and dimensions[0] == 32 else kind)
           for i, (name, dimensions, kind) in enumerate(tensors)]
write("gguf", "blocks_of_32", gguf(fields + BPE, tensors))
write("gguf", "blocks_of_256", gguf([field("general.architecture", STRING, "llama")],
                                    [(f"blk.0.t{kind}.weight", [256], kind) for kind in (10, 11, 12, 13, 14, 15, 23)]))
fields, tensors = llama(8, 1)
write("gguf", "scaled_rope", gguf(fields + [field("llama.rope.scaling.type", STRING, "linear"), field("llama.rope.scaling.factor", F32, 4.0)],
                                  tensors + [("rope_freqs.weight", [2], 0)]))
write("gguf", "yarn", gguf(fields + [field("llama.rope.scaling.type", STRING, "yarn"), field("llama.rope.scaling.factor", F32, 4.0),
                                     field("llama.rope.scaling.original_context_length", U32, 32)], tensors))
for name, own, removed in (
    ("qwen2", [(f"blk.0.attn_{part}.bias", [size], 0) for part, size in (("q", 8), ("k", 4), ("v", 4))], ()),
    ("qwen3", [("blk.0.attn_q_norm.weight", [4], 0), ("blk.0.attn_k_norm.weight", [4], 0)], ()),
    ("gemma3", [(f"blk.0.{part}.weight", [size], 0) for part, size in
                (("attn_q_norm", 4), ("attn_k_norm", 4), ("post_attention_norm", 8), ("post_ffw_norm", 8))], ()),
    ("phi3", [("blk.0.attn_qkv.weight", [8, 16], 1), ("blk.0.ffn_up.weight", [8, 16], 1),
              ("rope_factors_long.weight", [2], 0), ("rope_factors_short.weight", [2], 0)],
     ("attn_q.", "attn_k.", "attn_v.", "ffn_gate", "ffn_up")),
):
    named, common = llama(8, 1, name=name)
    more = [field(f"{name}.attention.sliding_window", U32, 16), field(f"{name}.rope.scaling.original_context_length", U32, 64)]
    kept = [tensor for tensor in common if not any(part in tensor[0] for part in removed)]
    write("gguf", name, gguf(named + (more if name in ("gemma3", "phi3") else []), kept + own))
write("gguf", "no_tensors", gguf(fields, []))
write("gguf", "cut", gguf(fields, tensors)[:-40])

# tokenizer.json: every component once

LETTERS = {"<unk>": 0, "<0x41>": 1, "<0xC3>": 2, "a": 3, "b": 4, "▁": 5, "ab": 6, "▁a": 7, "▁ab": 8}
TEMPLATE = {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
            "pair": [], "special_tokens": {"<s>": {"id": "<s>", "ids": [9], "tokens": ["<s>"]}}}
SPECIAL = [{"id": 9, "content": "<s>", "special": True}, {"id": 10, "content": "<m>", "lstrip": True, "rstrip": True, "normalized": True},
           {"id": 11, "content": "w", "single_word": True}]
PIECE_DECODER = {"type": "Sequence", "decoders": [{"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "ByteFallback"},
                                                  {"type": "Fuse"}, {"type": "Strip", "content": " ", "start": 1, "stop": 0}]}
CHARACTERS = {"type": "BPE", "unk_token": "<unk>", "fuse_unk": True, "byte_fallback": True, "vocab": LETTERS,
              "merges": [["a", "b"], ["▁", "a"], ["▁", "ab"]]}
BYTES = {"type": "BPE", "ignore_merges": True, "vocab": {"a": 0, "b": 1, "ab": 2, "Ġ": 3, "Ġa": 4}, "merges": ["a b", "Ġ a"]}
UNIGRAM = {"type": "Unigram", "unk_id": 0, "byte_fallback": False,
           "vocab": [["<unk>", 0], ["a", -1], ["b", -2.5], ["▁", -3], ["ab", -3.5], ["▁a", -2]]}
for name, document in {
    "sentencepiece": {"normalizer": {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "▁"},
                                     {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]},
                      "post_processor": TEMPLATE, "model": CHARACTERS, "decoder": PIECE_DECODER, "added_tokens": SPECIAL},
    "normalizers": {"normalizer": {"type": "Sequence", "normalizers": [{"type": "NFD"}, {"type": "NFKD"}, {"type": "Lowercase"},
                    {"type": "StripAccents"}, {"type": "NFC"}, {"type": "NFKC"}, {"type": "Strip", "strip_left": True, "strip_right": False},
                    {"type": "Replace", "pattern": {"Regex": "\\s+"}, "content": " "}]},
                    "pre_tokenizer": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": True},
                    "model": CHARACTERS, "decoder": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first"}, "added_tokens": SPECIAL},
    "pre_tokenizers": {"pre_tokenizer": {"type": "Sequence", "pretokenizers": [
                       {"type": "Split", "pattern": {"Regex": "\\p{N}{1,3}|\\s+(?!\\S)"}, "behavior": "Isolated", "invert": False},
                       {"type": "Split", "pattern": {"String": "-"}, "behavior": "MergedWithNext"}, {"type": "Punctuation", "behavior": "Contiguous"},
                       {"type": "Digits", "individual_digits": True}, {"type": "Whitespace"}, {"type": "WhitespaceSplit"}, {"type": "BertPreTokenizer"}]},
                       "model": CHARACTERS, "decoder": PIECE_DECODER},
    "byte_level": {"pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": True, "use_regex": True},
                   "post_processor": {"type": "RobertaProcessing", "cls": ["a", 0], "sep": ["b", 1], "trim_offsets": True, "add_prefix_space": False},
                   "model": BYTES, "decoder": {"type": "ByteLevel"}},
    "unigram": {"pre_tokenizer": {"type": "Metaspace", "replacement": "▁"}, "model": UNIGRAM,
                "decoder": {"type": "Metaspace", "replacement": "▁"}, "added_tokens": [{"id": 6, "content": "<s>", "special": True}]},
    "word_piece": {"model": {"type": "WordPiece", "unk_token": "[UNK]", "vocab": {"[UNK]": 0, "a": 1, "##b": 2}},
                   "normalizer": {"type": "BertNormalizer"}, "decoder": {"type": "WordPiece", "prefix": "##"}},
}.items():
    write("tokenizer_json", name, compact(document))

# tokenizer.model: one real file, whole and cut

with open(os.path.join(data, "tokenizers", "families", "spm-unigram.model"), "rb") as file:
    model = file.read()
write("sentencepiece", "whole", model)
write("sentencepiece", "cut", model[:600])
