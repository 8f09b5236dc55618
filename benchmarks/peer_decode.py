#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decodes after one prompt as people do it today, beside `branch_benchmark` on the same weights and tokens: transformers
(float32, sdpa) for one stream, and kvpress for many (method, ratio) pairs, which prefills anew for each.

usage: peer_decode.py --bench build/release/bin/branch_benchmark [--tokens 1024] [--generate 64] [--runs 36]
needs: torch transformers safetensors, kvpress for --runs
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import types

os.environ["HF_HUB_OFFLINE"] = "1"
import torch
import transformers


def random_model(folder, layers, heads, hidden):
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=32000, hidden_size=hidden, intermediate_size=hidden * 11 // 4, num_hidden_layers=layers,
        num_attention_heads=heads, num_key_value_heads=heads, max_position_embeddings=8192, tie_word_embeddings=False)
    model = transformers.LlamaForCausalLM(config).eval()
    model.save_pretrained(folder)
    model.set_attn_implementation("sdpa")
    return model


def run(model, ids, tokens, press=None):
    """Seconds of the prefill and of each of `tokens` decoding steps, greedy."""
    cache = transformers.DynamicCache()
    started = time.perf_counter()
    if press is None:
        logits = model(ids, past_key_values=cache, logits_to_keep=1).logits
    else:
        with press(model):
            # Newer transformers pass no cache_position on by themselves; kvpress reads it.
            logits = model(ids, past_key_values=cache, logits_to_keep=1, cache_position=torch.arange(ids.shape[1])).logits
    prefill = time.perf_counter() - started
    started = time.perf_counter()
    for step in range(tokens):
        position = torch.tensor([[ids.shape[1] + step]])
        logits = model(logits[:, -1:].argmax(-1), past_key_values=cache, position_ids=position).logits
    return prefill, (time.perf_counter() - started) / tokens


def presses():
    try:
        import datasets  # noqa: F401
    except ImportError:  # kvpress wants it for one press that is not measured here
        sys.modules["datasets"] = types.ModuleType("datasets")
        sys.modules["datasets"].load_dataset = None
    import kvpress

    ratios = [0.1, 0.3, 0.5, 0.7, 0.8, 0.9]
    classes = [kvpress.StreamingLLMPress, kvpress.KnormPress, kvpress.SnapKVPress, kvpress.PyramidKVPress,
               kvpress.TOVAPress, kvpress.ExpectedAttentionPress]
    return [make(compression_ratio=ratio) for make in classes for ratio in ratios]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bench", required=True)
    parser.add_argument("--tokens", type=int, default=1024)
    parser.add_argument("--generate", type=int, default=64)
    parser.add_argument("--runs", type=int, default=36, help="runs with kvpress; 0 = none")
    parser.add_argument("--separate", type=int, default=36, help="separate runs of branch_benchmark; 0 = none")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--layers", type=int, default=8)
    parser.add_argument("--heads", type=int, default=16)
    parser.add_argument("--hidden", type=int, default=1024)
    arguments = parser.parse_args()
    result = {"tokens": arguments.tokens, "generate": arguments.generate, "torch": torch.__version__,
              "transformers": transformers.__version__}
    chosen = presses()[:arguments.runs] if arguments.runs else []
    with tempfile.TemporaryDirectory() as folder, torch.inference_mode():
        model = random_model(folder, arguments.layers, arguments.heads, arguments.hidden)
        ids = torch.randint(0, 32000, (1, arguments.tokens), generator=torch.Generator().manual_seed(1))
        path = os.path.join(folder, "ids.json")
        with open(path, "w") as file:
            json.dump(ids[0].tolist(), file)
        run(model, ids, 4)  # warm-up
        streams, ours = [], []
        for _ in range(arguments.repeat):
            streams.append(run(model, ids, arguments.generate))
            output = subprocess.run(
                [arguments.bench, folder, "--ids", path, "--generate", str(arguments.generate),
                 "--separate", str(arguments.separate if not ours else 0)], check=True, capture_output=True, text=True).stdout
            ours.append(json.loads(output))
        median = lambda values: sorted(values)[len(values) // 2]
        result["transformers"] = {"version": transformers.__version__, "prefill_seconds": median([s[0] for s in streams]),
                                  "seconds_per_token": median([s[1] for s in streams])}
        result["ours"] = ours
        own = [run["one_stream"]["plain_seconds_per_token"] for run in ours]
        result["times_faster_per_token"] = sorted(peer[1] / mine for peer, mine in zip(streams, own))
        if chosen:
            started = time.perf_counter()
            for press in chosen:
                run(model, ids, arguments.generate, press)
            seconds = time.perf_counter() - started
            batch = median([one["batch"]["seconds"] / one["batch"]["branches"] for one in ours])
            result["kvpress"] = {"runs": len(chosen), "seconds": seconds,
                                 "times_slower_per_branch": seconds / len(chosen) / batch}
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
