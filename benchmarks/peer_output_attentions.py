#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Time and memory of scripts/record_transformers.py beside a forward pass with output_attentions=True, which is what it replaces.

usage: peer_output_attentions.py MODEL [--tokens 712,2048] [--turns 3] [--threads N]
MODEL as for record_transformers.py; on Linux and a CPU. Prints for every length the best time of several turns, taken in turn (seconds
that passed, and seconds of processors, which other programs disturb less), and how far memory rose above what the loaded model
takes; ratios are to the eager pass that returns its maps and stores nothing. A recording includes the checks before it.
"""
import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "scripts"))
import record_transformers as recorder  # noqa: E402
import torch  # noqa: E402
import transformers  # noqa: E402


def memory(field):
    """Bytes of VmRSS or VmHWM."""
    return next(int(line.split()[1]) << 10 for line in open("/proc/self/status") if line.startswith(field))


def measured(action):
    before = memory("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the high-water mark begins anew
    began = time.perf_counter(), time.process_time()
    action()
    return time.perf_counter() - began[0], time.process_time() - began[1], memory("VmHWM") - before


parser = argparse.ArgumentParser()
parser.add_argument("model")
parser.add_argument("--tokens", default="712,2048")
parser.add_argument("--turns", type=int, default=3)
parser.add_argument("--threads", type=int, default=torch.get_num_threads())
options = parser.parse_args()
torch.set_num_threads(options.threads)
transformers.utils.logging.disable_progress_bar()

with tempfile.TemporaryDirectory() as folder:
    os.chdir(folder)
    Path("ids.json").write_text("[0]")
    arguments = [options.model, "--ids", "ids.json", "--out", "r.h5", "--overwrite", "--dtype", "float32", "--device", "cpu"]
    subject = recorder.Subject(recorder.arguments(arguments))
    recorder.Subject = lambda args: subject  # loaded once
    vocabulary = subject.config.vocab_size
    for tokens in map(int, options.tokens.split(",")):
        ids = [(7919 * i * i + 104729 * i) % (vocabulary - 1000) + 500 for i in range(tokens)]
        Path("ids.json").write_text(json.dumps(ids))

        def forward(implementation, **extra):
            subject.model.set_attn_implementation(implementation)
            with torch.inference_mode():
                subject.model(input_ids=torch.tensor([ids]), **extra)

        def record(kind):
            assert recorder.main([*arguments, "--record", kind, "--threads", str(options.threads)]) == 0

        variants = {"forward, sdpa": lambda: forward("sdpa"), "forward, eager, output_attentions": lambda: forward("eager", output_attentions=True),
                    "record stats": lambda: record("stats"), "record qk": lambda: record("qk"), "record full": lambda: record("full")}
        turns = {name: [] for name in variants}
        for _ in range(options.turns):
            for name, action in variants.items():
                turns[name].append(measured(action))
        best = {name: [min(numbers) for numbers in zip(*turns[name])] for name in variants}
        base = best["forward, eager, output_attentions"]
        for name, numbers in best.items():
            ratios = [number / other for number, other in zip(numbers, base)]
            print(f"{tokens:6} tokens  {name:34} {numbers[0]:7.2f} s (x {ratios[0]:.2f})  {numbers[1]:7.2f} s of processors (x {ratios[1]:.2f})  "
                  f"{numbers[2] / 2**20:6.0f} MiB (x {ratios[2]:.2f})", flush=True)
