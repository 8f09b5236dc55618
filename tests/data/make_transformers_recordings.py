#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes transformers_llama.h5 and transformers_gemma3.h5: what scripts/record_transformers.py records of tiny_llama in this folder
and of a random Gemma 3 whose layers have windows and rotations of their own. Tests hold them against the C++ side.

usage: make_transformers_recordings.py
needs: torch transformers h5py numpy
"""
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

here = Path(__file__).resolve().parent
sys.path.insert(0, str(here.parent.parent / "scripts"))
os.environ["SOURCE_DATE_EPOCH"] = "1760000000"
os.environ["HF_HUB_OFFLINE"] = "1"
import record_transformers  # noqa: E402
import torch  # noqa: E402
from transformers import Gemma3ForCausalLM, Gemma3TextConfig  # noqa: E402


def prompt(length):
    """As tests/capture/recorder/transformers_recording_test.cpp makes it."""
    return [(7 * i * i + 3 * i + length) % 60 + 4 for i in range(length)]


def record(model, name, lengths, *options):
    """Of the model in folder `model` of the working folder, so that the recording names no folders of this machine."""
    Path("ids.json").write_text(json.dumps([prompt(length) for length in lengths]))
    status = record_transformers.main([model, "--ids", "ids.json", "--out", name, "--dtype", "float32", "--device", "cpu",
                                       "--compression", "small", *options])
    assert status == 0
    shutil.move(name, here / name)


folder = tempfile.TemporaryDirectory()
os.chdir(folder.name)
os.symlink(here / "tiny_llama", "tiny_llama")
record("tiny_llama", "transformers_llama.h5", [150, 20], "--generate", "12", "--with", "row-order", "--with", "output-norms")

torch.manual_seed(3)
model = Gemma3ForCausalLM(Gemma3TextConfig(
    hidden_size=32, intermediate_size=48, num_hidden_layers=3, num_attention_heads=2, num_key_value_heads=1, head_dim=8, vocab_size=64,
    max_position_embeddings=512, sliding_window=33, query_pre_attn_scalar=8, bos_token_id=1, eos_token_id=2, pad_token_id=0,
    layer_types=["sliding_attention", "full_attention", "sliding_attention"]))
with torch.no_grad():
    for weight in model.parameters():
        weight.normal_(0, 1.8 / weight.shape[-1] ** 0.5) if weight.dim() > 1 else weight.normal_(0, 0.1)
model.save_pretrained("tiny_gemma3")
record("tiny_gemma3", "transformers_gemma3.h5", [280], "--generate", "8", "--heads", "0:1,1:0")
