#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes dequantize_reference.json and tiny_llama/: blocks of every type with the numbers the `gguf` package makes of them, and one
random llama (2 layers, 4 query heads, 2 KV heads, head_dim 8) as a sharded Hugging Face folder (BF16, F16, F32) and as GGUF
(F16, F32) with the rows permuted as llama.cpp's converter permutes them. Weights are multiples of 1/64, exact in every type.

usage: make_checkpoint_reference.py
needs: torch safetensors gguf numpy
"""
import json, os

import gguf, numpy as np, torch
from safetensors.torch import save_file

here = os.path.dirname(os.path.abspath(__file__))
rng = np.random.default_rng(20250121)

Q = gguf.GGMLQuantizationType
reference = {}
KINDS = (Q.F32, Q.F16, Q.BF16, Q.Q4_0, Q.Q4_1, Q.Q5_0, Q.Q5_1, Q.Q8_0)
K_KINDS = (Q.Q2_K, Q.Q3_K, Q.Q4_K, Q.Q5_K, Q.Q6_K, Q.Q8_K, Q.IQ4_NL, Q.IQ4_XS)
# Where the float16 scales lie in a block; Q8_K has a float32 scale.
SCALES = {Q.Q4_1: (0, 2), Q.Q5_1: (0, 2), Q.Q2_K: (80, 82), Q.Q3_K: (108,), Q.Q4_K: (0, 2), Q.Q5_K: (0, 2), Q.Q6_K: (208,), Q.Q8_K: ()}
k_random = np.random.default_rng(20260321)  # of its own, so that the model below stays what it is


def dequantized(blocks, kind):
    if kind == Q.Q8_K:  # only llama.cpp's own, in its intermediate results: float32 scale, 256 int8, sums
        return blocks[:, :4].copy().view(np.float32) * blocks[:, 4:260].view(np.int8).astype(np.float32)
    return gguf.dequantize(blocks.view({Q.F32: np.float32, Q.F16: np.float16}.get(kind, np.uint8)).reshape(1, -1), kind)


for kind in KINDS + K_KINDS:
    length, size = gguf.GGML_QUANT_SIZES[kind]
    count = max(1, 512 // length) if kind in KINDS else 1024 // length
    blocks = (rng if kind in KINDS else k_random).integers(0, 256, (count, size), dtype=np.uint8)
    for number, place in enumerate(SCALES.get(kind, (0,)) if length > 1 else ()):
        scales = blocks[:, place:place + 2].copy().view(np.uint16)
        scales[scales & 0x7c00 == 0x7c00] = 0x3c00  # no infinite or NaN scales
        scales[0] = 0x0001                          # the smallest subnormal
        scales[1] = 0x8000                          # minus zero
        scales[2] = 0xfbff                          # the largest negative number
        blocks[:, place:place + 2] = scales.view(np.uint8)
    if kind == Q.Q8_K:
        blocks[:, :4] = np.array([1e-45, -0.0, -1e36, 0.037], np.float32).view(np.uint8).reshape(4, 4)
    if kind == Q.F16:
        blocks[:8].view(np.uint16)[:, 0] = [0, 0x8000, 1, 0x83ff, 0x0400, 0x7bff, 0x7c00, 0xfc00]
    values = dequantized(blocks, kind)
    reference[kind.name] = {"blocks": blocks.tobytes().hex(), "values": values.astype("<f4").tobytes().hex()}
with open(os.path.join(here, "dequantize_reference.json"), "w") as f:
    json.dump(reference, f, separators=(",\n", ":"))

HIDDEN, INNER, HEADS, KV, DIM, VOCAB, LAYERS = 32, 48, 4, 2, 8, 64, 2
weights = {}


def tensor(name, *shape):
    weights[name] = torch.from_numpy(rng.integers(-127, 128, shape).astype(np.float32) / 64)


tensor("model.embed_tokens.weight", VOCAB, HIDDEN)
for layer in range(LAYERS):
    p = f"model.layers.{layer}."
    tensor(p + "input_layernorm.weight", HIDDEN)
    for name, rows in (("q", HEADS * DIM), ("k", KV * DIM), ("v", KV * DIM)):
        tensor(p + f"self_attn.{name}_proj.weight", rows, HIDDEN)
        tensor(p + f"self_attn.{name}_proj.bias", rows)
    tensor(p + "self_attn.o_proj.weight", HIDDEN, HEADS * DIM)
    tensor(p + "self_attn.o_proj.bias", HIDDEN)
    tensor(p + "post_attention_layernorm.weight", HIDDEN)
    tensor(p + "mlp.gate_proj.weight", INNER, HIDDEN)
    tensor(p + "mlp.up_proj.weight", INNER, HIDDEN)
    tensor(p + "mlp.down_proj.weight", HIDDEN, INNER)
tensor("model.norm.weight", HIDDEN)
tensor("lm_head.weight", VOCAB, HIDDEN)

folder = os.path.join(here, "tiny_llama")
os.makedirs(folder, exist_ok=True)
config = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": HIDDEN, "intermediate_size": INNER,
          "num_hidden_layers": LAYERS, "num_attention_heads": HEADS, "num_key_value_heads": KV, "head_dim": DIM,
          "vocab_size": VOCAB, "max_position_embeddings": 256, "rms_norm_eps": 1e-05, "rope_theta": 10000.0,
          "hidden_act": "silu", "tie_word_embeddings": False, "attention_bias": True, "mlp_bias": False,
          "bos_token_id": 1, "eos_token_id": [3, 2]}
json.dump(config, open(os.path.join(folder, "config.json"), "w"), indent=1)
index = {"metadata": {"total_size": 0}, "weight_map": {}}
for number, dtype in enumerate((torch.bfloat16, torch.float16, torch.float32)):
    file = f"model-{number + 1:05}-of-00003.safetensors"
    names = sorted(weights)[number::3]
    save_file({n: weights[n].to(dtype) for n in names}, os.path.join(folder, file), metadata={"format": "pt"})
    index["weight_map"].update({n: file for n in names})
json.dump(index, open(os.path.join(folder, "model.safetensors.index.json"), "w"), indent=1, sort_keys=True)


def permute(w, heads):  # convert_hf_to_gguf.py, LlamaModel.permute
    return w.reshape(heads, 2, w.shape[0] // heads // 2, *w.shape[1:]).swapaxes(1, 2).reshape(w.shape)


writer = gguf.GGUFWriter(os.path.join(folder, "tiny_llama.gguf"), "llama")
writer.add_name("tiny llama")
writer.add_block_count(LAYERS)
writer.add_context_length(256)
writer.add_embedding_length(HIDDEN)
writer.add_feed_forward_length(INNER)
writer.add_head_count(HEADS)
writer.add_head_count_kv(KV)
writer.add_layer_norm_rms_eps(1e-5)
writer.add_rope_freq_base(10000.0)
writer.add_rope_dimension_count(DIM)
writer.add_vocab_size(VOCAB)
writer.add_bos_token_id(1)
writer.add_eos_token_id(2)
writer.add_eot_token_id(3)
names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, LAYERS)
for name, weight in weights.items():
    data = weight.numpy()
    if ".q_proj." in name or ".k_proj." in name:
        data = permute(data, HEADS if ".q_proj." in name else KV)
    writer.add_tensor(names.get_name(name, try_suffixes=(".weight", ".bias")),
                      data if data.ndim == 1 else data.astype(np.float16))
writer.write_header_to_file()
writer.write_kv_data_to_file()
writer.write_tensors_to_file()
writer.close()
