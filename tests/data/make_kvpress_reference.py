#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes kvpress_reference.h5: what kvpress keeps of tiny random Llamas, with the float32 numbers it decided on.

Needs torch, transformers, h5py and kvpress 0.5.5 (pip install kvpress==0.5.5). Run: make_kvpress_reference.py OUT.h5

One group per prompt, with attributes layers, heads, kv_heads, head_dim, tokens, question (tokens after Finch's delimiter).
  cases                text, a line per case: the press as it is written in Python, the share removed and the attention it
                       ran with (sdpa or eager), with tabs between
  kept                 [cases, layers, kv_heads, tokens] 1 = kept. Of equal scores the earlier one is kept
  arbitrary            [cases, layers, kv_heads] 1 = the order of equal scores decides, which torch.topk does not define:
                       sets differ with ties taken by torch, in one order, the other way round, and at random
Evidence of the sdpa run, as the press saw it (taken from inside kvpress while it scored):
  rows_W               [layers, heads, W, tokens] softmax of the last W queries
  keys, values         [layers, kv_heads, tokens, head_dim] of the cache, keys after RoPE
  query_means, query_covariances   [layers, heads, head_dim(, head_dim)] of queries before RoPE, without the first four
  output_value_norms   [layers, heads, tokens] 1-norms of W_o,h v
  inverse_frequencies  [head_dim / 2] of RoPE
Evidence of the eager run:
  maps                 [layers, heads, tokens, tokens] whole attention, of short prompts
  column_sums          [layers, heads, tokens] summed in double

Kept sets are read off the compressed cache (presses that mask keys: off masked_key_indices); no rule of kvpress is
rewritten here. Prompts hold no token twice: otherwise keys of the first layer have equal norms but for rounding.
"""

import contextlib
import sys
from unittest import mock

import h5py
import kvpress
import numpy as np
import torch
from kvpress import BlockPress, SnapKVPress
from transformers import DynamicCache, LlamaConfig, LlamaForCausalLM

RATIOS = ["0.1", "0.3", "0.5", "0.7", "0.8", "0.9"]
DELIMITER = 511
TIE_ORDERS = ["earlier", "later", 1, 2, 3]

EXPECTED = ["ExpectedAttentionPress()", "ExpectedAttentionPress(use_covariance=False)", "ExpectedAttentionPress(use_vnorm=False)",
            "ExpectedAttentionPress(epsilon=1e-2)"]
COMMON = ["StreamingLLMPress()", "StreamingLLMPress(n_sink=6)", "TOVAPress()", *EXPECTED, "KnormPress()", "KeyDiffPress()",
          "BlockPress(KeyDiffPress(), block_size=32)", "LagKVPress(lag_size=16)", "LagKVPress(n_sink=2, lag_size=8)",
          "LagKVPress(lag_size=16, cross_scoring=True)", "ChunkKVPress(KnormPress(), chunk_length=10)",
          "AdaKVPress(ExpectedAttentionPress(epsilon=1e-2))", "AdaKVPress(KnormPress(), alpha_safeguard=0.5)",
          "AdaKVPress(KeyDiffPress(), alpha_safeguard=0)", "AdaKVPress(LagKVPress(lag_size=16, cross_scoring=True))",
          "CriticalKVPress(ExpectedAttentionPress(use_vnorm=False))",
          "CriticalAdaKVPress(ExpectedAttentionPress(use_vnorm=False))", "CriticalKVPress(KnormPress())",
          "CriticalAdaKVPress(KnormPress())", "AdaKVPress(LagKVPress(lag_size=16))",
          "ChunkKVPress(LagKVPress(lag_size=16), chunk_length=10)",
          "ChunkKVPress(LagKVPress(n_sink=2, lag_size=8), chunk_length=12)", "ChunkKVPress(ExpectedAttentionPress())",
          "ChunkKVPress(TOVAPress())"]
WINDOWED = ["SnapKVPress({w})", "SnapKVPress({w}, kernel_size=3)", "PyramidKVPress({w})", "PyramidKVPress({w}, beta=3)",
            "ChunkKVPress(SnapKVPress({w}))", "ChunkKVPress(SnapKVPress({w}), chunk_length=7)", "AdaKVPress(SnapKVPress({w}))",
            "AdaKVPress(SnapKVPress({w}), alpha_safeguard=0.95)", "CriticalKVPress(SnapKVPress({w}))",
            "CriticalKVPress(SnapKVPress({w}), first_stage_ratio=0.25)", "CriticalAdaKVPress(SnapKVPress({w}))", "FinchPress()",
            "FinchPress(normalize_scores=False)", "FinchPress(chunk_length=90)"]
LAZY = [f"SimLayerKVPress(lazy_threshold={threshold}, n_recent={recent})"
        for threshold in (0.1, 0.2, 0.3, 0.5) for recent in (8, 24)]
LAZY.append("SimLayerKVPress(lazy_threshold=0.3, n_recent=24, n_last=8)")
EAGER = ["ObservedAttentionPress()", "SnapKVPress({w})", "TOVAPress()"]
# The constants kvpress comes with.
DEFAULTS = ["SnapKVPress()", "PyramidKVPress()", "ChunkKVPress(SnapKVPress())", "AdaKVPress(SnapKVPress())",
            "CriticalKVPress(SnapKVPress())", "CriticalAdaKVPress(SnapKVPress())", "TOVAPress()", "FinchPress()"]
LONG = ["LagKVPress()", "LagKVPress(cross_scoring=True)", "AdaKVPress(LagKVPress(cross_scoring=True))",
        "BlockPress(KeyDiffPress())"]


def windowed(presses, window):
    return [press.format(w=f"window_size={window}") for press in presses]


def make_model(layers, head_dim, sharpness=1.0):
    """6 query heads over 2 KV heads. Attention is peaked with a large sharpness."""
    config = LlamaConfig(vocab_size=512, hidden_size=6 * head_dim, intermediate_size=96, num_hidden_layers=layers,
                         num_attention_heads=6, num_key_value_heads=2, head_dim=head_dim, max_position_embeddings=1024,
                         initializer_range=0.2)
    model = LlamaForCausalLM(config).eval()
    with torch.no_grad():
        for layer in model.model.layers:
            layer.self_attn.q_proj.weight *= sharpness
            layer.self_attn.k_proj.weight *= sharpness
    return model


class Evidence:
    """Listens to kvpress while it scores."""

    def __init__(self):
        self.arrays = {}

    def add(self, name, layer, value):
        layers = self.arrays.setdefault(name, {})
        value = value[0].clone()
        assert layer not in layers or torch.equal(layers[layer], value), name
        layers[layer] = value

    @contextlib.contextmanager
    def listening(self):
        window_attention = SnapKVPress.compute_window_attention
        apply_avg_rope = kvpress.ExpectedAttentionPress.apply_avg_rope
        vwl1norm = kvpress.CriticalKVPress.vwl1norm
        softmax, norm = torch.nn.functional.softmax, torch.norm

        def window_attention_listened(module, hidden_states, keys, window_size, position_embeddings):
            def softmax_listened(*args, **kwargs):
                result = softmax(*args, **kwargs)
                self.add(f"rows_{window_size}", module.layer_idx, result)
                return result

            with mock.patch.object(torch.nn.functional, "softmax", softmax_listened):
                return window_attention(module, hidden_states, keys, window_size, position_embeddings)

        def apply_avg_rope_listened(press, module, mu, cov, q_len):
            self.add("query_means", module.layer_idx, mu)
            if cov is not None:
                self.add("query_covariances", module.layer_idx, cov)
            return apply_avg_rope(press, module, mu, cov, q_len)

        def vwl1norm_listened(values, module):
            norms = []

            def norm_listened(*args, **kwargs):
                norms.append(norm(*args, **kwargs))
                return norms[-1]

            with mock.patch.object(torch, "norm", norm_listened):
                result = vwl1norm(values, module)
            self.add("output_value_norms", module.layer_idx, torch.stack(norms, dim=1))
            return result

        with (mock.patch.object(SnapKVPress, "compute_window_attention", staticmethod(window_attention_listened)),
              mock.patch.object(kvpress.ExpectedAttentionPress, "apply_avg_rope", apply_avg_rope_listened),
              mock.patch.object(kvpress.CriticalKVPress, "vwl1norm", staticmethod(vwl1norm_listened))):
            yield

    def stack(self, name):
        layers = self.arrays[name]
        return torch.stack([layers[index] for index in sorted(layers)]).numpy()


@contextlib.contextmanager
def ties_broken(order):
    """Inside, torch.topk and argsort take equal scores in the order "earlier", "later", or that of a seed."""

    def ordered(tensor, dim, descending):
        dim = dim if dim >= 0 else tensor.dim() + dim
        size = tensor.shape[dim]
        first = (torch.arange(size) if order == "earlier" else torch.arange(size).flip(0) if order == "later"
                 else torch.randperm(size, generator=torch.Generator().manual_seed(order)))
        values, indices = torch.sort(tensor.index_select(dim, first), dim=dim, descending=descending, stable=True)
        return values, first[indices]

    def topk(tensor, k, dim=-1, largest=True, sorted=True):
        values, indices = ordered(tensor, dim, largest)
        return torch.return_types.topk((values.narrow(dim, 0, int(k)), indices.narrow(dim, 0, int(k))))

    def argsort(tensor, dim=-1, descending=False, stable=False):
        return ordered(tensor, dim, descending)[1]

    with (mock.patch.object(torch, "topk", topk), mock.patch.object(torch.Tensor, "topk", topk),
          mock.patch.object(torch.Tensor, "argsort", argsort)):
        yield


def run(model, ids, press=None):
    """[layers, kv_heads, tokens, head_dim] keys and values, and the attentions of an eager run."""
    cache = DynamicCache()
    eager = model.config._attn_implementation == "eager"
    tokens = int((ids != DELIMITER).sum())
    with torch.no_grad(), press(model) if press is not None else contextlib.nullcontext():
        # Newer transformers pass no cache_position on by themselves; kvpress reads it.
        output = model(ids, past_key_values=cache, output_attentions=eager, cache_position=torch.arange(tokens))
    attentions = torch.stack([a[0] for a in output.attentions]).numpy() if eager else None
    return [layer.keys[0] for layer in cache.layers], [layer.values[0] for layer in cache.layers], attentions


def kept_mask(model, ids, text, ratio, whole_values):
    press = eval(text, vars(kvpress).copy())
    tokens = ids.shape[1]
    if ratio != "":
        press.compression_ratio = float(ratio)
    if "FinchPress" in text:
        press.delimiter_token_id = DELIMITER
        question = question_tokens(tokens)
        ids = torch.cat([ids[:, :-question], torch.tensor([[DELIMITER]]), ids[:, -question:]], dim=1)
    _, values, _ = run(model, ids, press)
    kv_heads = model.config.num_key_value_heads
    mask = np.zeros((len(values), kv_heads, tokens), dtype=np.uint8)
    for layer, (whole, kept) in enumerate(zip(whole_values, values)):
        if "AdaKVPress" in text:
            _, heads, positions = model.model.layers[layer].self_attn.masked_key_indices
            mask[layer] = 1
            mask[layer, heads.numpy(), positions.numpy()] = 0
            continue
        # By values: Finch turns the keys it keeps.
        for head in range(kv_heads):
            same = (whole[head][None] == kept[head][:, None]).all(-1)
            assert (same.sum(1) == 1).all()
            mask[layer, head, same.int().argmax(1).numpy()] = 1
    return mask


def question_tokens(tokens):
    return 64 if tokens == 130 else 8


def add_case(cases, model, ids, text, ratio, mode, whole_values):
    kept = {"torch": kept_mask(model, ids, text, ratio, whole_values)}
    for order in TIE_ORDERS:
        with ties_broken(order):
            kept[order] = kept_mask(model, ids, text, ratio, whole_values)
    # AdaKV and its kin rank what to prune, so that there the later index first keeps the earlier one.
    chosen = kept["later" if "AdaKVPress" in text else "earlier"]
    arbitrary = np.any([(mask != chosen).any(-1) for mask in kept.values()], axis=0)
    cases.append((text, ratio, mode, chosen, arbitrary))


def add_prompt(out, name, model, tokens, presses, with_maps):
    ids = torch.randperm(DELIMITER)[:tokens][None]
    config = model.config
    group = out.create_group(name)
    group.attrs.update(layers=config.num_hidden_layers, heads=config.num_attention_heads, kv_heads=config.num_key_value_heads,
                       head_dim=config.head_dim, tokens=tokens, question=question_tokens(tokens))
    cases, evidence = [], Evidence()
    model.set_attn_implementation("sdpa")
    keys, values, _ = run(model, ids)
    with evidence.listening():
        for text in presses:
            for ratio in [""] if "SimLayerKV" in text else RATIOS:
                if "StreamingLLM" in text and tokens * (1 - float(ratio)) < 1:
                    continue
                add_case(cases, model, ids, text, ratio, "sdpa", values)

    def store(dataset, data, **options):
        group.create_dataset(dataset, data=data, compression="gzip", compression_opts=9, shuffle=True, **options)

    store("keys", torch.stack(keys).numpy())
    store("values", torch.stack(values).numpy())
    for array in evidence.arrays:
        store(array, evidence.stack(array))
    store("inverse_frequencies", model.model.rotary_emb.inv_freq.numpy())

    model.set_attn_implementation("eager")
    _, values, maps = run(model, ids)
    store("column_sums", maps.astype(np.float64).sum(2).astype(np.float32))
    if with_maps:
        store("maps", maps)
    for text in windowed(EAGER, 8) if with_maps else EAGER[:1]:
        for ratio in RATIOS:
            add_case(cases, model, ids, text, ratio, "eager", values)

    store("cases", np.frombuffer("\n".join("\t".join(case[:3]) for case in cases).encode(), dtype=np.uint8))
    store("kept", np.stack([case[3] for case in cases]))
    arbitrary = np.stack([case[4] for case in cases]).astype(np.uint8)
    store("arbitrary", arbitrary)
    print(name, len(cases), "cases,", arbitrary.size, "sets,", int(arbitrary.sum()), "arbitrary")
    return cases


def main():
    torch.set_num_threads(1)
    torch.manual_seed(20240117)
    plain, peaked, single = make_model(3, 8), make_model(2, 16, sharpness=1.7), make_model(1, 16)
    small = COMMON + windowed(WINDOWED, 8) + LAZY
    with h5py.File(sys.argv[1], "w") as out:
        out.attrs["kvpress"] = "0.5.5"
        cases = add_prompt(out, "plain_41", plain, 41, small, True)
        cases += add_prompt(out, "plain_97", plain, 97, small, False)
        cases += add_prompt(out, "plain_211", plain, 211, small, False)
        cases += add_prompt(out, "peaked_61", peaked, 61, small, True)
        cases += add_prompt(out, "peaked_300", peaked, 300, small + LONG, False)
        cases += add_prompt(out, "single_130", single, 130, DEFAULTS, False)
    totals = {}
    for text, _, _, _, arbitrary in cases:
        sets, unclear = totals.get(text, (0, 0))
        totals[text] = (sets + arbitrary.size, unclear + int(arbitrary.sum()))
    for text, (sets, unclear) in totals.items():
        print(f"{sets:5} sets, {unclear:4} arbitrary  {text}")


if __name__ == "__main__":
    main()
