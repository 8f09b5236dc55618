#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes tiny_adapters/: two random LoRA adapters of tiny_llama as PEFT saves them, and reference.json with the logits that transformers
and PEFT give for a prompt: without an adapter, with each of them, and with each of them merged.

    plain        rank 3 on all seven projections, float32
    stabilised   rank 4 on q and v alone, rank-stabilised scaling, bfloat16

usage: make_adapter_reference.py            (makes the files)
       make_adapter_reference.py FOLDER     (loads an adapter of tiny_llama that another program wrote; prints its logits as JSON)
needs: torch transformers peft
"""
import json, os, shutil, sys

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import LlamaForCausalLM

here = os.path.dirname(os.path.abspath(__file__))
base = os.path.join(here, "tiny_llama")
target = os.path.join(here, "tiny_adapters")
IDS = [1, 17, 42, 5, 33, 60, 8, 8, 21, 50, 2, 13]
ALL = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


def model():
    return LlamaForCausalLM.from_pretrained(base, dtype=torch.float32)


def logits(m):
    with torch.no_grad():
        return m(torch.tensor([IDS])).logits[0].float()


def flat(t):
    return t.contiguous().numpy().astype("<f4").tobytes().hex()


if len(sys.argv) > 1:
    print(json.dumps({"logits": flat(logits(PeftModel.from_pretrained(model(), sys.argv[1])))}))
    sys.exit()

shutil.rmtree(target, ignore_errors=True)
reference = {"ids": IDS, "vocabulary": 64, "base": flat(logits(model()))}
for name, config, dtype in (("plain", LoraConfig(r=3, lora_alpha=5, target_modules=ALL), torch.float32),
                            ("stabilised", LoraConfig(r=4, lora_alpha=2, use_rslora=True, target_modules=["q_proj", "v_proj"]),
                             torch.bfloat16)):
    torch.manual_seed(7)
    adapted = get_peft_model(model(), config)
    for key, parameter in adapted.named_parameters():
        if "lora_" in key:
            parameter.data = (torch.randn_like(parameter) * 0.3).to(dtype)
    folder = os.path.join(target, name)
    adapted.peft_config["default"].base_model_name_or_path = "tiny_llama"
    adapted.save_pretrained(folder)
    os.remove(os.path.join(folder, "README.md"))
    adapted.float()
    reference[name] = flat(logits(adapted))
    merged = adapted.merge_and_unload()
    reference[name + "_merged"] = flat(logits(merged))
with open(os.path.join(target, "reference.json"), "w") as f:
    json.dump(reference, f, separators=(",\n", ":"))
