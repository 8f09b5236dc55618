#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes kvpress_reference.h5: what kvpress keeps of a tiny random Llama, with the attention it decided on.

Needs torch, transformers, h5py and kvpress 0.5.5 (pip install kvpress==0.5.5). Run: make_kvpress_reference.py OUT.h5

Groups: caseN with attributes press, spec (ours), window, compression_ratio (text), tokens; dataset `kept`
[layers, kv_heads, n] int32, ascending. `rows_T_W` [layers, heads, W, T] float32: the last W attention rows of the prompt
of T tokens, shared by its cases. Kept indices are found by looking the compressed cache's keys up in the whole one, so
nothing of kvpress is rewritten here.
"""

import sys

import h5py
import numpy as np
import torch
from kvpress import SnapKVPress, StreamingLLMPress
from transformers import DynamicCache, LlamaConfig, LlamaForCausalLM

RATIOS = ["0.1", "0.25", "0.3", "0.5", "0.75", "0.8", "0.9"]
LENGTHS = {41: 16, 97: 16, 130: 64, 211: 16}  # tokens: SnapKV window


def keys_of(model, ids, press=None):
    cache = DynamicCache()
    with torch.no_grad():
        if press is None:
            output = model(ids, past_key_values=cache, output_attentions=True)
            return [layer.keys[0] for layer in cache.layers], [a[0] for a in output.attentions]
        with press(model):
            # Newer transformers pass no cache_position on by themselves; kvpress reads it.
            model(ids, past_key_values=cache, cache_position=torch.arange(ids.shape[1]))
    return [layer.keys[0] for layer in cache.layers], None


def positions(whole, compressed):
    """[kv_heads, n] ascending positions of the compressed keys in the whole cache."""
    result = []
    for full, kept in zip(whole, compressed):
        same = (full[None] == kept[:, None]).all(-1)  # [n, T]
        assert (same.sum(1) == 1).all()
        result.append(sorted(same.int().argmax(1).tolist()))
    return result


def main():
    torch.manual_seed(20240117)
    config = LlamaConfig(vocab_size=512, hidden_size=96, intermediate_size=128, num_hidden_layers=2,
                         num_attention_heads=6, num_key_value_heads=2, max_position_embeddings=512,
                         initializer_range=0.2, attn_implementation="eager")
    model = LlamaForCausalLM(config).eval()
    with h5py.File(sys.argv[1], "w") as out:
        out.attrs["kvpress"] = "0.5.5"
        out.attrs["heads"], out.attrs["kv_heads"], out.attrs["layers"] = 6, 2, 2
        count = 0
        for tokens, window in LENGTHS.items():
            ids = torch.randint(0, 512, (1, tokens))
            whole, attentions = keys_of(model, ids)
            rows = np.stack([a[:, -window:].numpy() for a in attentions]).astype(np.float32)
            out.create_dataset(f"rows_{tokens}_{window}", data=rows, compression="gzip", compression_opts=9, shuffle=True)
            for ratio in RATIOS:
                cases = [("SnapKVPress", f"snapkv@kvpress:window={window}",
                          SnapKVPress(compression_ratio=float(ratio), window_size=window))]
                # Below the sinks and one more token kvpress leaves the choice to topk; above it is defined.
                if int(tokens * (1 - float(ratio))) > 4:
                    cases.append(("StreamingLLMPress", "streaming_llm@kvpress",
                                  StreamingLLMPress(compression_ratio=float(ratio))))
                for name, spec, press in cases:
                    kept_tokens = int(tokens * (1 - float(ratio)))
                    if name == "SnapKVPress" and kept_tokens < window:
                        continue  # an arbitrary part of its own window
                    compressed, _ = keys_of(model, ids, press)
                    kept = [positions(f, c) for f, c in zip(whole, compressed)]
                    group = out.create_group(f"case{count}")
                    group.attrs.update(press=name, spec=spec, window=window, compression_ratio=ratio, tokens=tokens)
                    group.create_dataset("kept", data=np.array(kept, dtype=np.int32), compression="gzip")
                    count += 1
        out.attrs["cases"] = count
        print(count, "cases")


if __name__ == "__main__":
    main()
