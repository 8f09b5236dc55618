#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""What one does without KVLoupe: a forward pass that makes the whole attention matrix of every layer and keeps maps of it.
Transformers' eager attention, or where transformers is missing the same in torch. A program of its own, so that its memory is its own.

usage: cuda_eager_peer.py FOLDER --tokens N --maps all|LAYER [--device cuda|cpu] [--dtype bf16|fp16|float32] [--out FILE] [--torch-alone]
needs: torch safetensors, and transformers if it is there. Prints one JSON object; running out of memory is a result.
"""
import argparse
import json
import math
import sys
import time
from pathlib import Path

import torch
from safetensors.torch import load_file

TYPES = {"bf16": torch.bfloat16, "fp16": torch.float16, "float32": torch.float32}


def prompt_ids(tokens, vocabulary):
    """The same tokens for everyone who is measured."""
    return [(7919 * i * i + 104729 * i) % (vocabulary - 64) + 32 for i in range(tokens)]


def inverse_frequencies(config, dim):
    frequencies = config["rope_theta"] ** (-torch.arange(0, dim, 2, dtype=torch.float64) / dim)
    scaling = config.get("rope_scaling")
    if not scaling:
        return frequencies
    turns = scaling["original_max_position_embeddings"] * frequencies / (2 * math.pi)
    low, high = scaling["low_freq_factor"], scaling["high_freq_factor"]
    kept = ((turns - low) / (high - low)).clamp(0, 1)
    return kept * frequencies + (1 - kept) * frequencies / scaling["factor"]


class TorchLlama:
    """The forward pass of a Llama checkpoint, with the arithmetic of transformers' eager attention."""

    def __init__(self, folder, dtype, device):
        self.config = json.loads((Path(folder) / "config.json").read_text())
        files = set(json.loads((Path(folder) / "model.safetensors.index.json").read_text())["weight_map"].values())
        self.weights = {name: tensor.to(device, dtype) for file in sorted(files)
                        for name, tensor in load_file(str(Path(folder) / file)).items()}

    def norm(self, x, name):
        wide = x.float()
        wide = wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + self.config["rms_norm_eps"])
        return self.weights[name] * wide.to(x.dtype)

    def product(self, x, name):
        return x @ self.weights[name].T

    def forward(self, ids, keep):
        """Logits of the last position; keep(layer, matrix) sees every layer's matrix [1, heads, tokens, tokens]."""
        config = self.config
        heads, kv_heads = config["num_attention_heads"], config["num_key_value_heads"]
        dim = config["hidden_size"] // heads
        tokens = ids.shape[1]
        x = self.weights["model.embed_tokens.weight"][ids]
        angles = torch.arange(tokens, device=x.device)[:, None] * inverse_frequencies(config, dim).float().to(x.device)
        cos, sin = (torch.cat([f(angles), f(angles)], -1).to(x.dtype) for f in (torch.cos, torch.sin))

        def rotated(v):
            return v * cos + torch.cat([-v[..., dim // 2:], v[..., : dim // 2]], -1) * sin

        hidden = torch.ones(tokens, tokens, dtype=torch.bool, device=x.device).triu(1)
        for layer in range(config["num_hidden_layers"]):
            at = f"model.layers.{layer}."
            normed = self.norm(x, at + "input_layernorm.weight")
            q, k, v = (self.product(normed, f"{at}self_attn.{n}_proj.weight").unflatten(-1, (-1, dim)).transpose(1, 2) for n in "qkv")
            q = rotated(q)
            k = rotated(k).repeat_interleave(heads // kv_heads, 1)
            scores = (q @ k.transpose(-1, -2)) * dim**-0.5
            matrix = scores.masked_fill_(hidden, -math.inf).softmax(-1, dtype=torch.float32).to(x.dtype)
            del scores
            context = matrix @ v.repeat_interleave(heads // kv_heads, 1)
            keep(layer, matrix)
            del matrix
            x = x + self.product(context.transpose(1, 2).flatten(-2), at + "self_attn.o_proj.weight")
            normed = self.norm(x, at + "post_attention_layernorm.weight")
            inner = torch.nn.functional.silu(self.product(normed, at + "mlp.gate_proj.weight"))
            x = x + self.product(inner * self.product(normed, at + "mlp.up_proj.weight"), at + "mlp.down_proj.weight")
        x = self.norm(x[:, -1:], "model.norm.weight")
        name = "model.embed_tokens.weight" if config["tie_word_embeddings"] else "lm_head.weight"
        return self.product(x, name)


class TransformersModel:
    def __init__(self, folder, dtype, device):
        import transformers
        transformers.utils.logging.set_verbosity_error()
        transformers.utils.logging.disable_progress_bar()
        self.model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, attn_implementation="eager").to(device).eval()

    def forward(self, ids, keep):
        hooks = [layer.self_attn.register_forward_hook(lambda module, inputs, output, layer=layer_number: keep(layer, output[1]))
                 for layer_number, layer in enumerate(self.model.model.layers)]
        try:
            return self.model(input_ids=ids, use_cache=False, logits_to_keep=1).logits
        finally:
            for hook in hooks:
                hook.remove()


def load(folder, dtype, device, torch_alone):
    if not torch_alone:
        try:
            import transformers
            return TransformersModel(folder, dtype, device), f"transformers {transformers.__version__}, eager"
        except ImportError:
            pass
    return TorchLlama(folder, dtype, device), f"torch {torch.__version__}, the whole matrix"


def measure(options):
    device = torch.device(options.device)
    began = time.perf_counter()
    model, implementation = load(options.folder, TYPES[options.dtype], device, options.torch_alone)
    result = {"implementation": implementation, "load_seconds": time.perf_counter() - began, "out_of_memory": False}
    vocabulary = json.loads((Path(options.folder) / "config.json").read_text())["vocab_size"]
    wait = torch.cuda.synchronize if device.type == "cuda" else lambda: None
    kept = {}

    def keep(layer, matrix):
        if options.maps == "all" or layer == int(options.maps):
            kept[layer] = matrix

    ids = torch.tensor([prompt_ids(options.tokens, vocabulary)], device=device)
    try:
        with torch.inference_mode():
            model.forward(ids[:, :64], keep)
            kept.clear()
            wait()
            if device.type == "cuda":
                torch.cuda.reset_peak_memory_stats()
            began = time.perf_counter()
            model.forward(ids, keep)
            wait()
            result["forward_seconds"] = time.perf_counter() - began
            began = time.perf_counter()
            with open(options.out, "wb") as out:
                for matrix in kept.values():
                    matrix.to(torch.float16).cpu().numpy().tofile(out)
            result["write_seconds"] = time.perf_counter() - began
            result["disk_bytes"] = Path(options.out).stat().st_size
    except torch.OutOfMemoryError as error:
        result |= {"out_of_memory": True, "error": str(error).splitlines()[0], "layers_kept": len(kept)}
    if device.type == "cuda":
        result["allocated_bytes"] = torch.cuda.max_memory_allocated()
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder")
    parser.add_argument("--tokens", type=int, default=8192)
    parser.add_argument("--maps", default="all")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--dtype", choices=TYPES, default="bf16")
    parser.add_argument("--out", default="/dev/null")
    parser.add_argument("--torch-alone", action="store_true", help="no transformers, even if it is there")
    print(json.dumps(measure(parser.parse_args())))


if __name__ == "__main__":
    sys.exit(main())
