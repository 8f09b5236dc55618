#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""What people run today (transformers, and llama.cpp where it is there) beside the programs of this folder, on the same
weights and tokens, in turn and in one run.

  --measure record       Records the attention of a random Llama with eager attention, a hook per layer that writes float16 maps
                         with h5py, gzip 4; beside capture_benchmark.
  --measure prefill      Tokens per second of a prefill, with the logits of all positions and of the last alone: transformers in
                         float32 with sdpa, llama.cpp on the GGUF file as it is; beside forward_benchmark.
  --measure first-token  Seconds from the start of a process to the first generated token, from files in the page cache: the same
                         three, ours from the GGUF file and from the safetensors that transformers reads.

usage: peer_transformers.py --bin build/release/bin --measure WHAT [--model M.gguf] [--llama-python PYTHON] [--threads 2] [--repeat 5]
needs: torch transformers h5py safetensors, gguf for --model; llama-cpp-python in the environment of --llama-python
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

os.environ["HF_HUB_OFFLINE"] = "1"

TEXT = "The capital of France is"


def spread(values):
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def ratios(peers, ours):
    """How many times faster than the peer we were, run by run."""
    return spread([peer / own for peer, own in zip(peers, ours)])


def output_of(*command):
    return subprocess.run([str(part) for part in command], check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout


# --measure record


def random_model(folder, layers, heads, hidden):
    import torch
    import transformers

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


def record(model, ids, path, compression):
    """One forward pass; a hook per layer writes the map and drops it."""
    import h5py
    import torch

    with h5py.File(path, "w") as file:
        handles = []
        for index, layer in enumerate(model.model.layers):
            def hook(_module, _inputs, output, index=index):
                file.create_dataset(f"layers/{index:02}/attention", data=output[1][0].to(torch.float16).numpy(), **compression)
                return (output[0], None)
            handles.append(layer.self_attn.register_forward_hook(hook))
        model(ids)
        for handle in handles:
            handle.remove()


def measure_record(arguments):
    import torch

    tokens = arguments.tokens[0]
    result = {"tokens": tokens}
    with tempfile.TemporaryDirectory() as folder, torch.inference_mode():
        model = random_model(folder, arguments.layers, arguments.heads, arguments.hidden)
        ids = torch.randint(0, 32000, (1, tokens), generator=torch.Generator().manual_seed(1))
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
            ours = json.loads(output_of(os.path.join(arguments.bin, "capture_benchmark"), folder, "--ids", os.path.join(folder, "ids.json"),
                                        "--repeat", 1, "--folder", folder, "--modes", "full-fast"))
            if repetition == 0:
                continue  # warm-up
            rows["plain"].append(plain)
            rows["gzip4"].append(gzip4)
            rows["none"].append(none)
            rows["extra"] = max(rows["extra"], gzip_peak - plain_peak)
            rows["ours"].append(ours)
    recorded = [run["full-fast"]["seconds"]["median"] for run in rows["ours"]]
    result["peer"] = {"plain_sdpa": statistics.median(rows["plain"]), "gzip4": statistics.median(rows["gzip4"]),
                      "none": statistics.median(rows["none"]), "extra_peak_bytes": rows["extra"]}
    result["ours"] = {"plain": statistics.median(run["plain_seconds"]["median"] for run in rows["ours"]),
                      "full_fast": statistics.median(recorded),
                      "extra_peak_bytes": max(run["full-fast"]["extra_peak_bytes"] for run in rows["ours"])}
    result["times_faster"] = ratios(rows["gzip4"], recorded)
    result["share_of_extra_memory"] = result["ours"]["extra_peak_bytes"] / max(1, rows["extra"])
    return result


# The model of the other two, as transformers reads it


def save_as_safetensors(gguf, folder):
    import torch
    import transformers

    where = {"pretrained_model_name_or_path": os.path.dirname(gguf), "gguf_file": os.path.basename(gguf)}
    read = transformers.AutoModelForCausalLM.from_pretrained(**where, dtype=torch.float32)
    del read.config.quantization_config  # what was read from GGUF is not saved, a model with the same weights is
    model = transformers.AutoModelForCausalLM.from_config(read.config, dtype=torch.float32)
    model.load_state_dict(read.state_dict())
    model.save_pretrained(folder)
    transformers.AutoTokenizer.from_pretrained(**where).save_pretrained(folder)


def ids_of(tokens, vocabulary):
    """Those of forward_benchmark."""
    return [i * 7919 % vocabulary for i in range(tokens)]


# --measure prefill


def transformers_prefills(model, tokens, repeat):
    """Median seconds with all logits, and with the last alone."""
    import torch

    ids = torch.tensor([ids_of(tokens, model.config.vocab_size)])
    seconds = {0: [], 1: []}
    for repetition in range(repeat + 1):
        for kept in seconds:
            started = time.perf_counter()
            model(ids, logits_to_keep=kept)
            if repetition > 0:
                seconds[kept].append(time.perf_counter() - started)
    return {"all": statistics.median(seconds[0]), "last": statistics.median(seconds[1])}


def llama_prefills(gguf, lengths, threads, repeat):
    """Prints median seconds by length; run by the Python of llama.cpp."""
    import llama_cpp

    model = llama_cpp.Llama(gguf, n_ctx=max(lengths), n_batch=max(lengths), n_ubatch=512, n_threads=threads, n_threads_batch=threads,
                            verbose=False)
    result = {}
    for tokens in lengths:
        ids, seconds = ids_of(tokens, model.n_vocab()), []
        for repetition in range(repeat + 1):
            model.reset()
            model._ctx.kv_cache_clear()
            started = time.perf_counter()
            model.eval(ids)
            if repetition > 0:
                seconds.append(time.perf_counter() - started)
        result[tokens] = statistics.median(seconds)
    print(json.dumps(result))


def measure_prefill(arguments):
    import torch
    import transformers

    torch.set_num_threads(arguments.threads)
    rows = {tokens: [] for tokens in arguments.tokens}
    with tempfile.TemporaryDirectory() as folder, torch.inference_mode():
        save_as_safetensors(arguments.model, folder)
        model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="sdpa").eval()
        for _ in range(arguments.repeat):
            lengths = ",".join(map(str, arguments.tokens))
            ours = json.loads(output_of(os.path.join(arguments.bin, "forward_benchmark"), arguments.model, "--tokens", lengths,
                                        "--threads", arguments.threads, "--repeat", 3, "--last-logits"))
            llama = {}
            if arguments.llama_python:
                llama = json.loads(output_of(arguments.llama_python, __file__, "--measure", "llama-prefill", "--model", arguments.model,
                                             "--tokens", lengths, "--threads", arguments.threads))
            for own in ours["prefill"]:
                tokens = own["tokens"]
                rows[tokens].append({"ours": {"all": own["seconds"], "last": own["seconds_last_logits"]},
                                     "transformers": transformers_prefills(model, tokens, 3), "llama.cpp": llama.get(str(tokens))})
    result = {"kernels": ours["kernels"], "prefill": []}
    for tokens, runs in rows.items():
        entry = {"tokens": tokens}
        for kind in ("all", "last"):
            own, peer = [run["ours"][kind] for run in runs], [run["transformers"][kind] for run in runs]
            entry[f"{kind}_logits"] = {"tokens_per_second": tokens / statistics.median(own),
                                       "transformers_tokens_per_second": tokens / statistics.median(peer), "times_faster": ratios(peer, own)}
        if arguments.llama_python:
            peer = [run["llama.cpp"] for run in runs]
            entry["last_logits"]["llama_cpp_tokens_per_second"] = tokens / statistics.median(peer)
            entry["last_logits"]["times_faster_than_llama_cpp"] = ratios(peer, [run["ours"]["last"] for run in runs])
        result["prefill"].append(entry)
    return result


# --measure first-token


def transformers_first_token(folder, threads):
    import torch
    import transformers

    torch.set_num_threads(threads)
    with torch.inference_mode():
        model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
        ids = transformers.AutoTokenizer.from_pretrained(folder)(TEXT, return_tensors="pt").input_ids
        print(int(model(ids, logits_to_keep=1).logits[0, -1].argmax()))


def llama_first_token(gguf, threads):
    import llama_cpp
    import numpy as np

    model = llama_cpp.Llama(gguf, n_ctx=512, n_threads=threads, n_threads_batch=threads, verbose=False)
    model.eval(model.tokenize(TEXT.encode(), special=False))
    logits = llama_cpp.llama_get_logits_ith(model._ctx.ctx, -1)
    print(int(np.argmax(np.ctypeslib.as_array(logits, shape=(model.n_vocab(),)))))


def timed(*command):
    started = time.perf_counter()
    token = int(output_of(*command))
    return token, time.perf_counter() - started


def measure_first_token(arguments):
    names = ["ours, GGUF", "ours, safetensors", "transformers"] + (["llama.cpp"] if arguments.llama_python else [])
    seconds, tokens = {name: [] for name in names}, {}
    with tempfile.TemporaryDirectory() as folder:
        save_as_safetensors(arguments.model, folder)
        own = os.path.join(arguments.bin, "first_token_benchmark")
        worker = (__file__, "--threads", arguments.threads, "--measure")
        commands = {"ours, GGUF": (own, arguments.model, "--text", TEXT, "--threads", arguments.threads),
                    "ours, safetensors": (own, folder, "--text", TEXT, "--threads", arguments.threads),
                    "transformers": (sys.executable, *worker, "transformers-first-token", "--model", folder),
                    "llama.cpp": (arguments.llama_python, *worker, "llama-first-token", "--model", arguments.model)}
        for repetition in range(arguments.repeat + 1):
            for name in names:
                tokens[name], elapsed = timed(*commands[name])
                if repetition > 0:  # the first fills the page cache
                    seconds[name].append(elapsed)
    result = {"tokens": tokens, "seconds": {name: spread(values) for name, values in seconds.items()}, "times_faster": {}}
    for own in names[:2]:
        for peer in names[2:]:
            result["times_faster"][f"{own} than {peer}"] = ratios(seconds[peer], seconds[own])
    return result


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin")
    parser.add_argument("--measure", required=True)
    parser.add_argument("--model", default=os.path.expanduser("~/.cache/kvloupe/models/SmolLM2-135M-Instruct.Q4_1.gguf"))
    parser.add_argument("--llama-python")
    parser.add_argument("--tokens", type=lambda text: [int(part) for part in text.split(",")])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--layers", type=int, default=8)
    parser.add_argument("--heads", type=int, default=16)
    parser.add_argument("--hidden", type=int, default=1024)
    arguments = parser.parse_args()
    # What other Pythons, and new processes, are asked to do.
    workers = {"llama-prefill": lambda: llama_prefills(arguments.model, arguments.tokens, arguments.threads, 3),
               "llama-first-token": lambda: llama_first_token(arguments.model, arguments.threads),
               "transformers-first-token": lambda: transformers_first_token(arguments.model, arguments.threads)}
    if arguments.measure in workers:
        return workers[arguments.measure]()
    measures = {"record": (measure_record, [2048]), "prefill": (measure_prefill, [512, 1024, 2048]), "first-token": (measure_first_token, None)}
    measure, lengths = measures[arguments.measure]
    arguments.tokens = arguments.tokens or lengths
    import torch
    import transformers

    print(json.dumps({"torch": torch.__version__, "transformers": transformers.__version__, "threads": arguments.threads,
                      **measure(arguments)}, indent=2))


if __name__ == "__main__":
    main()
