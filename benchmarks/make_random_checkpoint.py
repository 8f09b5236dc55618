#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes a checkpoint of a published model's shape with random weights, sharded as published ones are: what memory and
time of large models are measured with. Nothing in it has been trained.

usage: make_random_checkpoint.py SHAPE FOLDER [--seed N] [--device cpu|cuda] [--tokenizer]
needs: torch safetensors
"""
import argparse
import json
import os

import torch
from safetensors.torch import save_file

LLAMA3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
          "original_max_position_embeddings": 8192}
SHAPES = {
    "llama-3.1-8b": {
        "model_type": "llama", "hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32,
        "num_attention_heads": 32, "num_key_value_heads": 8, "vocab_size": 128256, "max_position_embeddings": 131072,
        "rms_norm_eps": 1e-5, "rope_theta": 500000.0, "rope_scaling": LLAMA3, "tie_word_embeddings": False},
    "llama-3.2-1b": {
        "model_type": "llama", "hidden_size": 2048, "intermediate_size": 8192, "num_hidden_layers": 16,
        "num_attention_heads": 32, "num_key_value_heads": 8, "vocab_size": 128256, "max_position_embeddings": 131072,
        "rms_norm_eps": 1e-5, "rope_theta": 500000.0, "rope_scaling": {**LLAMA3, "factor": 32.0},
        "tie_word_embeddings": True},
    "llama-small": {  # no published one: four layers for comparisons
        "model_type": "llama", "hidden_size": 512, "intermediate_size": 1024, "num_hidden_layers": 4,
        "num_attention_heads": 8, "num_key_value_heads": 4, "vocab_size": 4096, "max_position_embeddings": 8192,
        "rms_norm_eps": 1e-5, "rope_theta": 500000.0, "tie_word_embeddings": False},
}
SHARD_BYTES = 5 << 30


def shapes_of(config):
    """Names and shapes in the order of the layers."""
    hidden, inner = config["hidden_size"], config["intermediate_size"]
    heads, kv_heads = config["num_attention_heads"], config["num_key_value_heads"]
    dim = hidden // heads
    yield "model.embed_tokens.weight", (config["vocab_size"], hidden)
    for layer in range(config["num_hidden_layers"]):
        at = f"model.layers.{layer}."
        yield at + "input_layernorm.weight", (hidden,)
        yield at + "self_attn.q_proj.weight", (heads * dim, hidden)
        yield at + "self_attn.k_proj.weight", (kv_heads * dim, hidden)
        yield at + "self_attn.v_proj.weight", (kv_heads * dim, hidden)
        yield at + "self_attn.o_proj.weight", (hidden, heads * dim)
        yield at + "post_attention_layernorm.weight", (hidden,)
        yield at + "mlp.gate_proj.weight", (inner, hidden)
        yield at + "mlp.up_proj.weight", (inner, hidden)
        yield at + "mlp.down_proj.weight", (hidden, inner)
    yield "model.norm.weight", (hidden,)
    if not config["tie_word_embeddings"]:
        yield "lm_head.weight", (config["vocab_size"], hidden)


def shards_of(config):
    """Lists of (name, shape) of at most SHARD_BYTES each."""
    shards, size = [[]], 0
    for name, shape in shapes_of(config):
        bytes_ = 2 * torch.Size(shape).numel()
        if size + bytes_ > SHARD_BYTES:
            shards.append([])
            size = 0
        shards[-1].append((name, shape))
        size += bytes_
    return shards


def byte_tokenizer(size):
    """tokenizer.json with a token for every byte, in GPT-2's alphabet of them, and names for the rest of the vocabulary."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    names = [chr(byte) for byte in printable] + [chr(256 + i) for i in range(256 - len(printable))]
    bytes_ = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    names += [f"<{token}>" for token in range(256, size)]
    return {"version": "1.0", "added_tokens": [], "normalizer": None, "pre_tokenizer": bytes_, "post_processor": None, "decoder": bytes_,
            "model": {"type": "BPE", "vocab": {name: token for token, name in enumerate(names)}, "merges": []}}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("shape", choices=SHAPES)
    parser.add_argument("folder")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--device", default="cpu", help="where the numbers are drawn: a GPU is faster, and gives other ones")
    parser.add_argument("--tokenizer", action="store_true", help="with a tokenizer of single bytes")
    arguments = parser.parse_args()
    config = SHAPES[arguments.shape]
    os.makedirs(arguments.folder, exist_ok=True)
    random = torch.Generator(arguments.device).manual_seed(arguments.seed)
    shards = shards_of(config)
    weight_map = {}
    for number, tensors in enumerate(shards, 1):
        file = f"model-{number:05}-of-{len(shards):05}.safetensors"
        weights = {}
        for name, shape in tensors:
            if len(shape) == 1:
                weights[name] = torch.ones(shape, dtype=torch.bfloat16)
            else:  # products of normal rows keep the size of what they multiply
                weights[name] = torch.empty(shape, dtype=torch.bfloat16, device=arguments.device).normal_(
                    0, shape[1] ** -0.5, generator=random).cpu()
            weight_map[name] = file
        save_file(weights, os.path.join(arguments.folder, file), metadata={"format": "pt"})
    with open(os.path.join(arguments.folder, "model.safetensors.index.json"), "w") as out:
        json.dump({"metadata": {}, "weight_map": weight_map}, out, indent=1)
    if arguments.tokenizer:
        with open(os.path.join(arguments.folder, "tokenizer.json"), "w") as out:
            json.dump(byte_tokenizer(config["vocab_size"]), out)
    with open(os.path.join(arguments.folder, "config.json"), "w") as out:
        json.dump({"architectures": ["LlamaForCausalLM"], "torch_dtype": "bfloat16", "hidden_act": "silu", **config}, out,
                  indent=1)


if __name__ == "__main__":
    main()
