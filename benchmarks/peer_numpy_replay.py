#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Five methods at five compression ratios from attention maps, as a careful numpy script does it: column sums and window
sums once per map, shared by all methods and ratios, then a partial selection (argpartition) per set.

usage: peer_numpy_replay.py --write-maps MAPS.npy [--write-h5 MAPS.h5 [--gzip]] [--tokens 2048]   makes the maps
       peer_numpy_replay.py --maps MAPS.npy | --h5 MAPS.h5 [--blas] [--repeat 5] [--kept KEPT.npz]   times the replay
needs: numpy (h5py for --h5)

Maps are [layers, heads, T, T]: float32 in .npy, float16 in HDF5 (dataset `maps`, chunks of 256 x 256). From .npy the clock starts
with the maps in memory, from HDF5 with the file closed (but in the page cache). Prints JSON; KEPT.npz holds
METHOD_RATIO -> bool [layers, heads, T]. Constants are those of kvpress. Column sums are numpy's sum, as scripts have it; with
--blas they are a product with a row of ones, which few write but which runs at the speed of memory.
"""
import argparse
import json
import time

import numpy as np

METHODS = ["streaming_llm", "snapkv", "observed_attention", "tova", "pyramidkv"]
RATIOS = ["0.1", "0.3", "0.5", "0.7", "0.9"]
WINDOW, KERNEL, SINKS, BETA = 64, 5, 4, 20


def random_maps(layers, heads, tokens):
    """Seeded causal softmax rows over normal logits, with a sink."""
    random = np.random.default_rng(1)
    maps = np.empty((layers, heads, tokens, tokens), dtype=np.float32)
    future = np.triu(np.ones((tokens, tokens), dtype=bool), 1)
    for one in maps.reshape(-1, tokens, tokens):
        random.standard_normal(out=one, dtype=np.float32)
        one *= 2
        one[:, 0] += 6
        one[future] = -np.inf
        one -= one.max(1, keepdims=True)
        np.exp(one, out=one)
        one /= one.sum(1, keepdims=True)
    return maps


def write_h5(path, maps, gzip):
    import h5py
    tokens = maps.shape[-1]
    side = min(256, tokens)
    with h5py.File(path, "w") as file:
        data = file.create_dataset("maps", maps.shape, np.float16, chunks=(1, 1, side, side), compression="gzip" if gzip else None,
                                   compression_opts=4 if gzip else None)
        for layer, heads in enumerate(maps):
            data[layer] = heads.astype(np.float16)


def layers_of_h5(path):
    """float32 [heads, T, T], a layer at a time."""
    import h5py
    with h5py.File(path, "r") as file:
        for layer in range(file["maps"].shape[0]):
            yield file["maps"][layer].astype(np.float32)


def layers_of_memory(maps):
    yield from maps


def pyramid_budget(layer, layers, tokens, ratio):
    """Tokens that kvpress's PyramidKV keeps in a layer."""
    budget = tokens * (1 - ratio)
    low = budget / BETA
    high = 2 * budget - low
    if high >= tokens - WINDOW:
        high = tokens - WINDOW
        low = 2 * budget - high
    if not tokens >= high >= low >= WINDOW:
        return max(1, round(budget))
    return round(high - layer * (high - low) / (layers - 1))


def best(scores, count):
    """[sets, T] -> indices [sets, count] of the largest, in no order."""
    if count == 0:
        return np.empty((*scores.shape[:-1], 0), dtype=np.intp)
    return np.argpartition(scores, scores.shape[-1] - count, axis=-1)[..., scores.shape[-1] - count:]


def kept_of_layer(heads, layer, layers, ratios, blas):
    """{(method, ratio): indices [heads, n], or [n] where all heads agree} of one layer of maps [heads, T, T]."""
    count, tokens, _ = heads.shape
    observed = np.matmul(np.ones((1, tokens), dtype=np.float32), heads)[:, 0] if blas else heads.sum(1)
    observed /= np.arange(tokens, 0, -1, dtype=np.float32)
    window = heads[:, -WINDOW:, :-WINDOW].sum(1)
    padded = np.pad(window, ((0, 0), (KERNEL // 2, KERNEL // 2)))
    pooled = np.lib.stride_tricks.sliding_window_view(padded, KERNEL, axis=1).sum(2)
    last = heads[:, -1, :-1].mean(0)
    newest = np.broadcast_to(np.arange(tokens - WINDOW, tokens), (count, WINDOW))
    result = {}
    for text in ratios:
        ratio = float(text)
        n = max(1, int(tokens * (1 - ratio)))
        result["streaming_llm", text] = np.concatenate([np.arange(SINKS), np.arange(tokens - n + SINKS, tokens)])
        result["snapkv", text] = np.concatenate([best(pooled, n - WINDOW), newest], axis=1)
        result["observed_attention", text] = best(observed, n)
        result["tova", text] = np.append(best(last, n - 1), tokens - 1)
        own = pyramid_budget(layer, layers, tokens, ratio)
        result["pyramidkv", text] = np.concatenate([best(pooled, own - WINDOW), newest], axis=1)
    return result


def replay(source, layers, ratios, blas):
    return [kept_of_layer(heads, layer, layers, ratios, blas) for layer, heads in enumerate(source)]


def masks(kept, heads, tokens):
    """{METHOD_RATIO: bool [layers, heads, T]}"""
    result = {}
    for method, ratio in kept[0]:
        mask = result[f"{method}_{ratio}"] = np.zeros((len(kept), heads, tokens), dtype=bool)
        for layer, sets in enumerate(kept):
            for head in range(heads):
                indices = sets[method, ratio]
                mask[layer, head, indices if indices.ndim == 1 else indices[head]] = True
    return result


def parse_arguments(parser):
    parser.add_argument("--maps")
    parser.add_argument("--h5")
    parser.add_argument("--ratios", nargs="+", default=RATIOS)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--kept", help="writes the kept sets")
    arguments = parser.parse_args()
    if (arguments.maps is None) + (arguments.h5 is None) != (2 if getattr(arguments, "write_maps", None) else 1):
        parser.error("expected one of --maps and --h5")
    return arguments


def timed(run, arguments):
    """Runs once to warm up, then --repeat times. Returns the seconds and what the last run kept; `run` gets layers of maps."""
    maps = np.load(arguments.maps) if arguments.maps else None
    shape = maps.shape if arguments.maps else h5_shape(arguments.h5)
    seconds = []
    for _ in range(arguments.repeat + 1):
        started = time.perf_counter()
        kept = run(layers_of_memory(maps) if arguments.maps else layers_of_h5(arguments.h5), shape)
        seconds.append(time.perf_counter() - started)
    return seconds[1:], kept, shape


def h5_shape(path):
    import h5py
    with h5py.File(path, "r") as file:
        return file["maps"].shape


def report(seconds, kept, shape, arguments, **more):
    if arguments.kept:
        np.savez_compressed(arguments.kept, **masks(kept, shape[1], shape[2]))
    print(json.dumps({"seconds": seconds, "median": float(np.median(seconds)), "layers": shape[0], "heads": shape[1],
                      "tokens": shape[2], "methods": METHODS, "ratios": arguments.ratios, "numpy": np.__version__, **more}))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--write-maps")
    parser.add_argument("--write-h5")
    parser.add_argument("--gzip", action="store_true")
    parser.add_argument("--blas", action="store_true")
    parser.add_argument("--tokens", type=int, default=2048)
    parser.add_argument("--layers", type=int, default=8)
    parser.add_argument("--heads", type=int, default=16)
    arguments = parse_arguments(parser)
    if arguments.write_maps:
        maps = random_maps(arguments.layers, arguments.heads, arguments.tokens)
        np.save(arguments.write_maps, maps)
        if arguments.write_h5:
            write_h5(arguments.write_h5, maps, arguments.gzip)
        return
    seconds, kept, shape = timed(
        lambda source, shape: replay(source, shape[0], arguments.ratios, arguments.blas), arguments)
    report(seconds, kept, shape, arguments, column_sums="blas" if arguments.blas else "sum")


if __name__ == "__main__":
    main()
