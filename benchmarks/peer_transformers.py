#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Records the attention of a random Llama as people do it today (transformers with eager attention, a hook per layer that
writes float16 maps with h5py, gzip 4) beside `capture_benchmark` on the same weights and tokens, in one run.

usage: peer_transformers.py --bench build/release/bin/capture_benchmark [--tokens 2048] [--repeat 3]
needs: torch transformers h5py safetensors
"""
import argparse
import json
import os
import subprocess
import tempfile
import time

os.environ["HF_HUB_OFFLINE"] = "1"
import h5py
import numpy as np
import torch
import transformers


def random_model(folder, layers, heads, hidden):
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=32000, hidden_size=hidden, intermediate_size=hidden * 11 // 4, num_hidden_layers=layers,
        num_attention_heads=heads, num_key_value_heads=heads, max_position_embeddings=8192, tie_word_embeddings=False)
    model = transformers.LlamaForCausalLM(config).eval()
    model.save_pretrained(folder)
    return model


def peak_memory():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM:"))


def reset_peak_memory():
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")


def attention_modules(model):
    return [layer.self_attn for layer in model.model.layers]


def record(model, ids, path, compression):
    """One forward pass; a hook per layer writes the map and drops it."""
    with h5py.File(path, "w") as file:
        handles = []
        for index, module in enumerate(attention_modules(model)):
            def hook(_module, _inputs, output, index=index):
                file.create_dataset(f"layers/{index:02}/attention", data=output[1][0].to(torch.float16).numpy(), **compression)
                return (output[0], None)
            handles.append(module.register_forward_hook(hook))
        model(ids)
        for handle in handles:
            handle.remove()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bench", required=True)
    parser.add_argument("--tokens", type=int, default=2048)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--layers", type=int, default=8)
    parser.add_argument("--heads", type=int, default=16)
    parser.add_argument("--hidden", type=int, default=1024)
    arguments = parser.parse_args()
    result = {"tokens": arguments.tokens, "torch": torch.__version__, "transformers": transformers.__version__}
    with tempfile.TemporaryDirectory() as folder, torch.inference_mode():
        model = random_model(folder, arguments.layers, arguments.heads, arguments.hidden)
        ids = torch.randint(0, 32000, (1, arguments.tokens), generator=torch.Generator().manual_seed(1))
        with open(os.path.join(folder, "ids.json"), "w") as file:
            json.dump(ids[0].tolist(), file)
        path = os.path.join(folder, "peer.h5")
        rows = {"plain": [], "gzip4": [], "none": [], "extra": 0, "ours": []}
        for repetition in range(arguments.repeat + 1):
            model.set_attn_implementation("sdpa")
            reset_peak_memory()
            started = time.perf_counter()
            model(ids)
            plain, plain_peak = time.perf_counter() - started, peak_memory()
            model.set_attn_implementation("eager")
            reset_peak_memory()
            started = time.perf_counter()
            record(model, ids, path, {"compression": "gzip", "compression_opts": 4, "chunks": (1, 256, 256)})
            gzip4, gzip_peak = time.perf_counter() - started, peak_memory()
            started = time.perf_counter()
            record(model, ids, path, {})
            none = time.perf_counter() - started
            os.remove(path)
            output = subprocess.run(
                [arguments.bench, folder, "--ids", os.path.join(folder, "ids.json"), "--repeat", "1", "--folder", folder,
                 "--modes", "full-fast"], check=True, capture_output=True, text=True).stdout
            ours = json.loads(output)
            if repetition == 0:
                continue  # warm-up
            rows["plain"].append(plain)
            rows["gzip4"].append(gzip4)
            rows["none"].append(none)
            rows["extra"] = max(rows["extra"], gzip_peak - plain_peak)
            rows["ours"].append(ours)
        recorded = [run["full-fast"]["seconds"]["median"] for run in rows["ours"]]
        median = lambda values: float(np.median(values))
        result["peer"] = {"plain_sdpa": median(rows["plain"]), "gzip4": median(rows["gzip4"]), "none": median(rows["none"]),
                          "extra_peak_bytes": rows["extra"]}
        result["ours"] = {"plain": median([run["plain_seconds"]["median"] for run in rows["ours"]]), "full_fast": median(recorded),
                          "extra_peak_bytes": max(run["full-fast"]["extra_peak_bytes"] for run in rows["ours"])}
        result["times_faster"] = sorted(peer / own for peer, own in zip(rows["gzip4"], recorded))
        result["share_of_extra_memory"] = result["ours"]["extra_peak_bytes"] / max(1, rows["extra"])
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
