#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests of scripts/record_transformers.py on small random models of many architectures, against transformers' eager attention.

usage: record_transformers_test.py [KVLOUPE]
KVLOUPE is the program whose `verify` must accept every recording. Ends with 77 (skipped) where a package is missing.
"""
import contextlib
import gzip
import io
import json
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TRANSFORMERS_VERBOSITY"] = "error"
root = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(root / "scripts"))
try:
    import h5py
    import numpy as np
    import torch
    import transformers as hf
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import AttentionInterface  # noqa: F401 - transformers 5
except ImportError as error:
    print(f"skipped: {sys.executable} lacks what scripts/record_transformers.py needs: {error}")
    sys.exit(77)
import record_transformers as recorder  # noqa: E402
import recorder_prompts  # noqa: E402
from recording_writer import encoded_chunk  # noqa: E402

KVLOUPE = sys.argv.pop(1) if len(sys.argv) > 1 and not sys.argv[1].startswith("-") else None
SHAPE = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3, "num_attention_heads": 4, "num_key_value_heads": 2,
         "vocab_size": 64, "max_position_embeddings": 1024, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
PROMPT = [(7 * i * i + 3 * i) % 60 + 4 for i in range(300)]


def rope(kind, **values):
    return {"rope_parameters": {"rope_type": kind, "rope_theta": 10000.0, "original_max_position_embeddings": 64, **values}}


# name: (class, configuration beside SHAPE, windows by layer, rope variants by layer)
MODELS = {
    "llama 3.1": (hf.LlamaForCausalLM, rope("llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0), [0] * 3, [0] * 3),
    "yarn": (hf.LlamaForCausalLM, rope("yarn", factor=16.0), [0] * 3, [0] * 3),
    "mistral": (hf.MistralForCausalLM, {"sliding_window": 37, "head_dim": 8}, [37] * 3, [0] * 3),
    "qwen2": (hf.Qwen2ForCausalLM, {"use_sliding_window": True, "sliding_window": 50, "max_window_layers": 2}, [0, 0, 50], [0] * 3),
    "qwen3": (hf.Qwen3ForCausalLM, {"head_dim": 16}, [0] * 3, [0] * 3),
    "phi3": (hf.Phi3ForCausalLM, {"sliding_window": 280, "original_max_position_embeddings": 64,
                                  **rope("longrope", factor=16.0, short_factor=[1.0, 1.1, 1.2, 1.3], long_factor=[1.5, 2.0, 3.0, 4.0])},
             [280] * 3, [0] * 3),
    "smollm3": (hf.SmolLM3ForCausalLM, {"no_rope_layers": [1, 0, 1]}, [0] * 3, [0, 1, 0]),
    "gemma3": (hf.Gemma3ForCausalLM, {"sliding_window": 33, "query_pre_attn_scalar": 8, "head_dim": 8,
                                      "layer_types": ["sliding_attention", "full_attention", "sliding_attention"]}, [33, 0, 33], [1, 0, 1]),
    "glm4, neighbouring channels": (hf.Glm4ForCausalLM, {"head_dim": 8, "partial_rotary_factor": 0.5}, [0] * 3, [0] * 3),
    "gpt-neox, some channels": (hf.GPTNeoXForCausalLM, {"rotary_pct": 0.5}, [0] * 3, [0] * 3),
    "gpt2, no rotation": (hf.GPT2LMHeadModel, {"n_embd": 32, "n_layer": 3, "n_head": 4}, [0] * 3, [0] * 3),
}
REFUSED = {
    "gemma2": (hf.Gemma2ForCausalLM, {"head_dim": 8}, "caps its logits"),
    "gpt-oss": (hf.GptOssForCausalLM, {"head_dim": 8, "num_local_experts": 4, "num_experts_per_tok": 2}, "sinks outside the text"),
    "qwen3-next": (hf.Qwen3NextForCausalLM, {"head_dim": 8, "num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16,
                                             "linear_num_value_heads": 4, "linear_num_key_heads": 2, "linear_key_head_dim": 8,
                                             "linear_value_head_dim": 8, "shared_expert_intermediate_size": 16}, "linear_attention"),
    "deepseek-v3": (hf.DeepseekV3ForCausalLM, {"num_key_value_heads": 4, "q_lora_rank": 16, "kv_lora_rank": 16, "qk_rope_head_dim": 4,
                                               "qk_nope_head_dim": 4, "v_head_dim": 6, "n_routed_experts": 4, "num_experts_per_tok": 2,
                                               "n_group": 1, "topk_group": 1, "moe_intermediate_size": 16}, "'latent' attention"),
}


class Recorded(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def save(self, model_class, configuration):
        torch.manual_seed(5)
        model = model_class(model_class.config_class(**{**SHAPE, **configuration}))
        with torch.no_grad():
            for weight in model.parameters():
                weight.normal_(0, 1.5 / weight.shape[-1] ** 0.5) if weight.dim() > 1 else weight.add_(0.1 * torch.randn_like(weight))
        model.save_pretrained(self.folder / "model")

    def record(self, *options, model=None, prompts=(PROMPT,), out="r.h5", status=0):
        """The recording, and what was said about it."""
        (self.folder / "ids.json").write_text(json.dumps(list(prompts)))
        said = io.StringIO()
        with contextlib.redirect_stderr(said):
            found = recorder.main([str(model or self.folder / "model"), "--ids", str(self.folder / "ids.json"), "--out",
                                   str(self.folder / out), "--device", "cpu", "--dtype", "float32", *options])
        self.assertEqual(found, status, said.getvalue())
        return self.folder / out, said.getvalue()

    def verify(self, path):
        if KVLOUPE:
            result = subprocess.run([KVLOUPE, "verify", str(path), "--rows", "40", "--progress", "none"], capture_output=True, text=True)
            self.assertEqual(result.returncode, 0, result.stdout + result.stderr)

    def eager(self):
        model = hf.AutoModelForCausalLM.from_pretrained(self.folder / "model", dtype=torch.float32, attn_implementation="eager")
        return model.eval()


class Architectures(Recorded):
    """Numbers are those of the model's own eager attention; prompts are longer than windows and original contexts."""

    def test_numbers(self):
        for name, (model_class, configuration, windows, variants) in MODELS.items():
            with self.subTest(name):
                self.save(model_class, configuration)
                path, _ = self.record("--generate", "70", "--overwrite")
                self.verify(path)
                model = self.eager()
                with h5py.File(path) as file, torch.no_grad():
                    sample = file["samples/000000"]
                    layers = [sample[f"layers/{layer:02}"] for layer in range(3)]
                    self.assertEqual([layer.attrs["window"] for layer in layers], windows)
                    self.assertEqual([layer.attrs["rope_variant"] for layer in layers], variants)
                    ids = sample["tokens/ids"][:].tolist()
                    self.check_text(model, sample, ids)
                    self.check_attention(model, layers, ids)
                    self.check_queries_before_rope(model, file, layers)

    def check_text(self, model, sample, ids):
        generated = model.generate(torch.tensor([PROMPT]), max_new_tokens=70, do_sample=False, attention_mask=torch.ones(1, len(PROMPT)))
        self.assertEqual(ids, generated[0].tolist())
        logits = model(torch.tensor([ids]), use_cache=False).logits[0].log_softmax(-1)
        nll = -logits[:len(PROMPT) - 1].gather(1, torch.tensor(PROMPT[1:])[:, None])[:, 0]
        np.testing.assert_allclose(sample["tokens/nll"][1:len(PROMPT)], nll, atol=2e-3)
        np.testing.assert_allclose(sample["tokens/top_logprobs"][:len(PROMPT)], logits[:len(PROMPT)].topk(5).values, atol=2e-3)
        np.testing.assert_allclose(torch.tensor(sample["logits/last"][:]).log_softmax(-1), logits[len(PROMPT) - 1], atol=2e-3)

    def check_attention(self, model, layers, ids):
        attentions = model(torch.tensor([ids[:len(PROMPT)]]), output_attentions=True, use_cache=False).attentions
        for layer, expected in zip(layers, attentions):
            expected = expected[0].numpy()
            np.testing.assert_allclose(layer["attention"][:].astype("f4"), expected, atol=5e-4)
            np.testing.assert_allclose(layer["column_sum"][:, :len(PROMPT)], expected.sum(1), rtol=1e-3, atol=1e-3)
            np.testing.assert_allclose(layer["row_max"][:, :len(PROMPT)], expected.max(-1), atol=1e-4)
            np.testing.assert_allclose(layer["row_sink_mass"][:, :len(PROMPT)], expected[..., :4].sum(-1), atol=1e-4)

    def check_queries_before_rope(self, model, file, layers):
        """The mean of what q_proj, or q_norm, gives; in models where that is easily had."""
        if model.config.model_type not in ("llama", "mistral", "qwen2", "qwen3", "smollm3", "gemma3_text"):
            return
        seen = []
        for layer in model.model.layers:
            attention = layer.self_attn
            getattr(attention, "q_norm", attention.q_proj).register_forward_hook(lambda module, inputs, output: seen.append(output))
        model(torch.tensor([PROMPT]), use_cache=False)
        for layer, queries in zip(layers, seen):
            mean, covariance = layer["query_mean"][:], layer["query_cov"][:]
            heads, size = mean.shape
            queries = queries[0].view(len(PROMPT), heads, size) if queries.dim() == 3 else queries[0]
            queries = (queries if queries.shape[0] == len(PROMPT) else queries.transpose(0, 1))[4:].numpy()
            np.testing.assert_allclose(mean, queries.mean(0), atol=1e-4)
            np.testing.assert_allclose(covariance[1], np.cov(queries[:, 1].T, bias=True), atol=1e-3)

    def test_channels_are_stored_so_that_one_goes_with_that_half_a_head_on(self):
        for name in ("glm4, neighbouring channels", "gpt-neox, some channels", "yarn"):
            with self.subTest(name):
                self.save(*MODELS[name][:2])
                path, _ = self.record("--overwrite", prompts=[[7] * 30])
                with h5py.File(path) as file:
                    frequencies = file["model/rope/inv_freq"][0]
                    scaling = file["model/rope"].attrs["attention_scaling"]
                    layer = file["samples/000000/layers/00"]
                    first, second = np.split(layer["queries"][1].astype("f8"), 2, -1)
                    angle = np.outer(np.arange(30), frequencies)
                    back = np.concatenate([first * np.cos(angle) + second * np.sin(angle), second * np.cos(angle) - first * np.sin(angle)], 1)
                    # All tokens are the same: before RoPE all queries are.
                    np.testing.assert_allclose(back / scaling, np.broadcast_to(layer["query_mean"][1], back.shape), atol=1e-4)

    def test_what_a_recording_cannot_hold_is_refused(self):
        for name, (model_class, configuration, message) in REFUSED.items():
            with self.subTest(name):
                self.save(model_class, configuration)
                _, said = self.record(status=1)
                self.assertIn(message, said)
                self.assertFalse((self.folder / "r.h5").exists() or (self.folder / "r.h5.parts").exists())


class TinyLlama(Recorded):
    model = root / "tests/data/tiny_llama"
    prompts = (PROMPT[:150], PROMPT[:40], [9])

    def same(self, a, b):
        with h5py.File(a) as one, h5py.File(b) as other:
            names = []
            one["samples"].visit(names.append)
            found = []
            other["samples"].visit(found.append)
            self.assertEqual(names, found)
            for name in names:
                if isinstance(one["samples"][name], h5py.Dataset):
                    x, y = one["samples"][name][()], other["samples"][name][()]
                    self.assertTrue(np.array_equal(x, y, equal_nan=x.dtype.kind == "f"), name)

    def test_every_kind_and_selection_is_accepted(self):
        for options in (["--record", "full", "--generate", "9"], ["--record", "qk", "--with", "row-order"], ["--record", "stats", "--generate", "9"],
                        ["--layers", "1", "--heads", "1:0,1:3"], ["--compression", "none"], ["--compression", "small", "--decode-rows", "last:2",
                                                                                           "--generate", "9"]):
            with self.subTest(options):
                path, _ = self.record(*options, "--overwrite", model=self.model, prompts=self.prompts)
                self.verify(path)

    def test_output_from_the_recorded_rows_is_that_of_sdpa(self):
        self.record(model=self.model, out="sdpa.h5")
        self.record("--attn", "float32", model=self.model, out="rows.h5")
        with h5py.File(self.folder / "sdpa.h5") as one, h5py.File(self.folder / "rows.h5") as other:
            np.testing.assert_allclose(*(file["samples/000000/logits/last"][:] for file in (one, other)), atol=1e-3)

    def test_blocks_of_rows_do_not_change_the_numbers(self):
        long = [PROMPT * 4]
        self.save(*MODELS["mistral"][:2])
        self.record("--record", "full", out="a.h5", prompts=long)
        path, _ = self.record("--record", "full", "--block-rows", "512", out="b.h5", prompts=long)
        self.verify(path)
        with h5py.File(self.folder / "a.h5") as one, h5py.File(path) as other:
            for name in ("column_sum", "row_entropy", "pyramid/4/mean", "pyramid/16/max", "overview/mean"):
                x, y = (file[f"samples/000000/layers/02/{name}"][:].astype("f8") for file in (one, other))
                np.testing.assert_allclose(x, y, atol=1e-3, rtol=1e-3, err_msg=name)

    def test_what_is_complete_survives_an_interrupt_and_is_gone_on_from(self):
        whole, _ = self.record("--generate", "5", model=self.model, prompts=self.prompts, out="whole.h5")
        commit = recorder.SampleFile.commit

        def interrupted(file, attributes):
            if file.number == 1:
                raise KeyboardInterrupt
            commit(file, attributes)

        with mock.patch.object(recorder.SampleFile, "commit", interrupted):
            self.record("--generate", "5", model=self.model, prompts=self.prompts, status=130)
        parts = self.folder / "r.h5.parts"
        self.assertEqual(sorted(path.name for path in parts.iterdir()), [".lock", "000000.h5"])
        self.verify(parts)
        _, said = self.record(model=self.model, prompts=self.prompts, status=1)
        self.assertIn("exists already", said)
        _, said = self.record("--resume", model=self.model, prompts=[PROMPT[:20]], status=1)
        self.assertIn("another prompt", said)
        path, _ = self.record("--resume", "--generate", "5", model=self.model, prompts=self.prompts)
        self.assertFalse(parts.exists())
        self.verify(path)
        self.same(whole, path)

    def test_mistakes_are_named(self):
        for options, prompts, message in ((["--layers", "2"], self.prompts, "--layers: found 2, expected 0 to 1"),
                                          (["--heads", "0:4"], self.prompts, "--heads: head: found 4, expected 0 to 3"),
                                          ([], [[3, 64]], "token id 64 at position 1, expected 0 to 63"), ([], [[]], "none of them empty")):
            _, said = self.record(*options, model=self.model, prompts=prompts, status=1)
            self.assertIn(message, said)

    def test_a_mask_that_is_not_causal_is_refused(self):
        with self.assertRaisesRegex(recorder.RecordingError, "other tokens than causal"):
            recorder.window_of_mask(8, 8, mask_function=lambda b, h, q, k: (k <= q) | (k == 5))
        window = recorder.window_of_mask(8, 8, mask_function=lambda b, h, q, k: (k <= q) & (k > q - 3), local_size=3)
        self.assertEqual(int(window), 3)


class Text(unittest.TestCase):
    """Tokens as bytes, spans over them."""

    def test_bytes_of_tokens_give_back_the_text(self):
        text = "Grüße 🦊 \n\tif (x == 3)  return\u00a0\"né\"; 中文字"
        with tempfile.TemporaryDirectory() as folder:
            for name in ("bytes", "gemma", "llama-2"):
                with self.subTest(name):
                    file = Path(folder) / "tokenizer.json"
                    if name == "bytes":
                        bytewise = Tokenizer(models.BPE({letter: i for i, letter in enumerate(recorder_prompts.byte_alphabet())}, []))
                        bytewise.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
                        bytewise.decoder = decoders.ByteLevel()
                        bytewise.save(str(file))
                    else:
                        file.write_bytes(gzip.decompress((root / f"tests/data/tokenizers/families/{name}.json.gz").read_bytes()))
                    tokenizer = hf.PreTrainedTokenizerFast(tokenizer_file=str(file))
                    found, offsets, pieces = recorder_prompts.TokenBytes(tokenizer).text(tokenizer(text, add_special_tokens=False)["input_ids"])
                    self.assertEqual(found.decode().removeprefix(" "), text)
                    self.assertEqual((offsets[0][0], offsets[-1][1]), (0, len(found)))
                    self.assertTrue(all(a[1] == b[0] for a, b in zip(offsets, offsets[1:])))
                    self.assertEqual(len(pieces), len(offsets))

    def test_bytes_that_are_no_text_are_shown(self):
        self.assertEqual(recorder_prompts.replaced_errors(b"a\xe2\x82b\xff", lambda byte: f"<0x{byte:02X}>"), "a<0xE2><0x82>b<0xFF>")

    def test_a_token_between_two_spans_belongs_to_that_of_its_first_letter(self):
        offsets = [(0, 3), (3, 6), (6, 9)]
        spans = [(0, 4, "shot", 0, ""), (4, 9, "question", -1, "")]
        self.assertEqual(recorder_prompts.spans_over_tokens(spans, offsets, b"abc\n defg"), [(0, 1, "shot", 0, ""), (1, 3, "question", -1, "")])

    def test_lines_of_prompts_are_checked(self):
        for line, message in (({}, "text or messages"), ({"text": "a", "messages": []}, "text or messages"), ({"text": 3}, "expected str"),
                              ({"text": "a", "spans": [{"begin": 0, "end": 1, "kind": "x"}]}, "kind .one of"),
                              ({"text": "a", "spans": [{"begin": 0, "end": 1, "kind": "shot", "shot": "1"}]}, "kind .one of"),
                              ({"messages": [{"role": "user"}]}, "role and content")):
            with self.assertRaisesRegex(recorder.RecordingError, message):
                recorder_prompts.prompt_of_line(line, "line 1")


class Chunks(unittest.TestCase):
    def test_are_encoded_as_hdf5_reads_them(self):
        values = np.random.default_rng(1).normal(size=(1, 40, 40)).astype("<f2")
        with tempfile.TemporaryDirectory() as folder, h5py.File(Path(folder) / "f.h5", "w") as file:
            for level, filters in ((0, {}), (1, {"shuffle": True, "compression": "gzip", "compression_opts": 1})):
                for data in (values, np.zeros_like(values)):
                    dataset = file.create_dataset(f"{level}{data.any()}", data.shape, "<f2", chunks=data.shape, fletcher32=True, **filters)
                    dataset.id.write_direct_chunk((0, 0, 0), encoded_chunk(data, level))
                    np.testing.assert_array_equal(dataset[:], data)


if __name__ == "__main__":
    unittest.main()
