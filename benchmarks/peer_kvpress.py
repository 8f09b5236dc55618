#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Five methods at five compression ratios from attention maps with kvpress itself: score() and topk of its presses, called
per layer, method and ratio as its forward hook calls them, without the model around.

usage: peer_kvpress.py --maps MAPS.npy | --h5 MAPS.h5 [--repeat 5] [--kept KEPT.npz]
needs: torch transformers kvpress (h5py for --h5)

Maps and output are those of peer_numpy_replay.py, which also makes the maps.
"""
import argparse
import types

import kvpress
import torch
from kvpress.utils import compute_n_kept

import peer_numpy_replay

PRESSES = {"streaming_llm": kvpress.StreamingLLMPress, "snapkv": kvpress.SnapKVPress,
           "observed_attention": kvpress.ObservedAttentionPress, "tova": kvpress.TOVAPress, "pyramidkv": kvpress.PyramidKVPress}


def attention_module(layer, layers, heads):
    """What presses read of an attention layer when the attention is given."""
    config = types.SimpleNamespace(num_attention_heads=heads, num_key_value_heads=heads, num_hidden_layers=layers)
    return types.SimpleNamespace(config=config, layer_idx=layer, head_dim=1)


def replay(source, shape, ratios):
    layers, heads, tokens, _ = shape
    keys = torch.zeros(1, heads, tokens, 1)  # presses of this list look at their shape only
    hidden = torch.zeros(1, tokens, 1)
    kept = []
    for layer, maps in enumerate(source):
        attentions = torch.from_numpy(maps)[None]
        module = attention_module(layer, layers, heads)
        sets = {}
        for method, press_type in PRESSES.items():
            for ratio in ratios:
                press = press_type(compression_ratio=float(ratio))
                scores = press.score(module, hidden, keys, keys, attentions, {})
                count = (press.get_layer_budget(module, tokens) if method == "pyramidkv"
                         else compute_n_kept(tokens, press.compression_ratio))
                sets[method, ratio] = scores.topk(count, dim=-1).indices[0]
        kept.append(sets)
    return kept


def main():
    arguments = peer_numpy_replay.parse_arguments(argparse.ArgumentParser())
    with torch.inference_mode():
        seconds, kept, shape = peer_numpy_replay.timed(
            lambda source, shape: replay(source, shape, arguments.ratios), arguments)
    kept = [{key: indices.numpy() for key, indices in sets.items()} for sets in kept]
    peer_numpy_replay.report(seconds, kept, shape, arguments, torch=torch.__version__, threads=torch.get_num_threads(),
                             kvpress="0.5.5")


if __name__ == "__main__":
    main()
