#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes architectures.h5: small random checkpoints of every architecture with what Hugging Face transformers computes for
them (float32, eager attention), and the rotary frequencies that it gives to configurations that people published.

Weights are small integers times a power of two, exact in bfloat16 and in Q8_0, so that a checkpoint as safetensors and as
GGUF is one model. Weights of norms and biases are random, too; queries and keys are large enough that attention is far from
uniform. Configurations come as save_pretrained writes them and in the form that older versions wrote.

 /weights/NAME      bytes of model.safetensors (bfloat16) as save_pretrained writes it
 /gguf/NAME         bytes of a GGUF file with names, permutation and metadata as llama.cpp's converter writes them
 /cases/NAME        one prompt: attributes config, config_older (JSON), weights, gguf ("" for none); datasets ids [n],
                    rows (those kept), logits [rows, vocab], attention [layers, heads, rows, n], greedy [24]
 /published/NAME    attributes config, sizes (JSON); frequencies [head_dim / 2] full, sliding (Gemma 3) and long (LongRoPE),
                    with an attribute scaling (amplitude)

usage: make_architecture_reference.py [OUT.h5]
needs: torch transformers safetensors gguf h5py numpy
"""
import importlib, json, math, os, sys, tempfile

os.environ["HF_HUB_OFFLINE"] = "1"
import gguf, h5py, numpy as np, torch, transformers
from safetensors.torch import load_file, save_file
from transformers import (AutoConfig, AutoModelForCausalLM, Gemma3Config, Gemma3ForConditionalGeneration, Gemma3TextConfig,
                          LlamaConfig, MistralConfig, Phi3Config, Qwen2Config, Qwen3Config, SmolLM3Config)
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

HERE = os.path.dirname(os.path.abspath(__file__))
VOCAB, GREEDY, SMALLEST_MARGIN, LARGEST_NOISE = 96, 24, 2e-3, 1e-5
SIZES = dict(vocab_size=VOCAB, hidden_size=32, intermediate_size=64, num_hidden_layers=3, num_attention_heads=4,
             num_key_value_heads=2, pad_token_id=0, bos_token_id=1, eos_token_id=2)
torch.set_num_threads(2)


def exact(rng, name, shape, gemma):
    """Random numbers k / 2^e with |k| < 128."""
    k = rng.integers(-127, 128, shape)
    if name.endswith(("q_norm.weight", "k_norm.weight")):
        k = rng.integers(128, 256, shape) // 2 * 2          # 1 to 2
        return (k - 128 if gemma else k) / 128
    if "norm" in name:
        return (k // 2 if gemma else 128 + k // 2) / 128    # 0.5 to 1.5
    if name.endswith(".bias"):
        return k / 256
    steep = ("q_proj.", "k_proj.", "qkv_proj.", "embed_tokens.", "lm_head.")
    return k / (256 if any(part in name for part in steep) else 512)


def randomise(model, seed):
    rng = np.random.default_rng(seed)
    gemma = "gemma" in model.config.model_type
    with torch.no_grad():
        for name, parameter in sorted(model.named_parameters()):
            parameter.copy_(torch.from_numpy(exact(rng, name, tuple(parameter.shape), gemma)))


def make_weights(file, name, model, seed):
    randomise(model, seed)
    with tempfile.TemporaryDirectory() as folder:
        model.to(torch.bfloat16).save_pretrained(folder)
        with open(os.path.join(folder, "model.safetensors"), "rb") as written:
            put_bytes(file, f"weights/{name}", written.read())


def put_bytes(file, name, data):
    file.create_dataset(name, data=np.frombuffer(data, "u1"), compression="gzip", compression_opts=9)


def write_folder(file, folder, config_text, weights):
    with open(os.path.join(folder, "config.json"), "w") as out:
        out.write(config_text)
    with open(os.path.join(folder, "model.safetensors"), "wb") as out:
        out.write(file[f"weights/{weights}"][()].tobytes())


def load(folder, dtype=torch.float32):
    kind = json.load(open(os.path.join(folder, "config.json")))["model_type"]
    cls = Gemma3ForConditionalGeneration if kind == "gemma3" else AutoModelForCausalLM
    return cls.from_pretrained(folder, dtype=dtype, attn_implementation="eager").eval()


def saved(config):
    with tempfile.TemporaryDirectory() as folder:
        config.save_pretrained(folder)
        return open(os.path.join(folder, "config.json")).read()


def older(text):
    """The same configuration as transformers before version 5 wrote it."""
    config = json.loads(text)
    if "text_config" in config:
        config["text_config"] = json.loads(older(json.dumps(config["text_config"])))
    config["torch_dtype"] = config.pop("dtype", None) or "bfloat16"
    config["transformers_version"] = "4.50.0"
    rope = config.pop("rope_parameters", None)
    kinds = config.pop("layer_types", None)
    if rope is None:
        return json.dumps(config, indent=2)
    if "full_attention" in rope:
        config["rope_local_base_freq"] = rope["sliding_attention"]["rope_theta"]
        config["sliding_window_pattern"] = kinds.index("full_attention") + 1
        rope = rope["full_attention"]
    config["rope_theta"] = rope.pop("rope_theta")
    rope.pop("partial_rotary_factor", None)
    kind = rope.pop("rope_type")
    if kind == "longrope":
        config["original_max_position_embeddings"] = rope.pop("original_max_position_embeddings")
    config["rope_scaling"] = None if kind == "default" else {**rope, "rope_type" if kind in ("llama3", "linear") else "type": kind}
    return json.dumps(config, indent=2)


def greedy_tokens(folder, ids):
    """With the smallest distance between the two likeliest tokens."""
    with torch.no_grad():
        out = load(folder).generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=GREEDY, do_sample=False,
                                    eos_token_id=None, output_logits=True, return_dict_in_generate=True)
    top = torch.stack(out.logits)[:, 0].topk(2).values
    return out.sequences[0, ids.shape[1]:], float((top[:, 0] - top[:, 1]).min())


def make_case(file, name, config, weights, tokens, gguf_name="", seeds=range(100)):
    text = config if isinstance(config, str) else saved(config)
    group = file.create_group(f"cases/{name}")
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as older_folder, torch.no_grad():
        write_folder(file, folder, text, weights)
        write_folder(file, older_folder, older(text), weights)
        for seed in seeds:
            ids = torch.from_numpy(np.random.default_rng([seed, *name.encode()]).integers(3, VOCAB, (1, tokens)))
            greedy, margin = greedy_tokens(folder, ids)
            if margin >= SMALLEST_MARGIN:
                break
        assert margin >= SMALLEST_MARGIN, (name, margin)
        out = load(folder)(ids, output_attentions=True)
        assert torch.equal(out.logits, load(older_folder)(ids).logits), name
        logits, attention = out.logits[0], torch.stack(out.attentions)[:, 0]
        precise = load(folder, torch.float64)(ids).logits[0]
        noise = float((logits - precise).abs().max() / precise.abs().max())
        assert noise < LARGEST_NOISE, (name, noise)
        rows = np.unique(np.linspace(1, tokens - 1, 12).astype("i4"))
        few = rows[[3, 7, 11]]
        group.attrs.update(config=text, config_older=older(text), weights=weights, gguf=gguf_name)
        options = dict(compression="gzip", compression_opts=9, shuffle=True)
        group.create_dataset("ids", data=ids[0].numpy().astype("i4"))
        group.create_dataset("rows", data=rows)
        group.create_dataset("logits", data=logits[rows].numpy(), **options)
        group.create_dataset("attention_rows", data=few)
        group.create_dataset("attention", data=attention[:, :, few].numpy(), **options)
        group.create_dataset("greedy", data=greedy.numpy().astype("i4"))
        largest = attention[:, :, few].max(-1).values.median()
        print(f"{name:28} n {tokens:3} margin {margin:.4f} noise {noise:.1e} |logits| {float(logits.abs().max()):5.1f} "
              f"median of largest attention {float(largest):.2f}", flush=True)


def q8_0(values):
    """Blocks of Q8_0 that hold the values exactly."""
    for exponent in range(12):
        k = values * 2 ** exponent
        if np.array_equal(k, np.rint(k)) and np.abs(k).max() <= 127:
            break
    else:
        raise ValueError("not a small integer times a power of two")
    k = k.astype("i1").reshape(-1, 32)
    scale = np.full((len(k), 1), 2.0 ** -exponent, "f2").view("u1").reshape(-1, 2)
    return np.concatenate([scale, k.view("u1")], 1).reshape(values.shape[0], -1)


def permuted(w, heads):  # convert_hf_to_gguf.py, LlamaModel.permute
    return w.reshape(heads, 2, w.shape[0] // heads // 2, *w.shape[1:]).swapaxes(1, 2).reshape(w.shape)


def make_gguf(file, name, config, weights, arch):
    """What llama.cpp's converter writes of the metadata that describe the model, and of the tensors."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "weights.safetensors")
        open(path, "wb").write(file[f"weights/{weights}"][()].tobytes())
        tensors = {n: t.float().numpy() for n, t in load_file(path).items()}
        out = os.path.join(folder, "model.gguf")
        writer = gguf.GGUFWriter(out, arch)
        rope = config.rope_parameters
        rope = rope.get("full_attention", rope)
        dim = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        writer.add_name(name)
        writer.add_block_count(config.num_hidden_layers)
        writer.add_context_length(config.max_position_embeddings)
        writer.add_embedding_length(config.hidden_size)
        writer.add_feed_forward_length(config.intermediate_size)
        writer.add_head_count(config.num_attention_heads)
        writer.add_head_count_kv(config.num_key_value_heads)
        writer.add_layer_norm_rms_eps(config.rms_norm_eps)
        writer.add_rope_freq_base(rope["rope_theta"])
        writer.add_bos_token_id(1)
        writer.add_eos_token_id(2)
        if arch in ("llama", "smollm3"):
            writer.add_vocab_size(VOCAB)
            writer.add_rope_dimension_count(dim)
        if arch in ("qwen3", "gemma3"):
            writer.add_key_length(dim)
            writer.add_value_length(dim)
        if arch == "gemma3":
            writer.add_sliding_window(config.sliding_window)
        kind = rope["rope_type"]
        extra = {}
        if kind == "linear":
            writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
            writer.add_rope_scaling_factor(rope["factor"])
        elif kind == "yarn":
            writer.add_rope_scaling_type(gguf.RopeScalingType.YARN)
            writer.add_rope_scaling_factor(rope["factor"])
            writer.add_rope_scaling_orig_ctx_len(rope["original_max_position_embeddings"])
        elif kind == "llama3":
            factors = []
            low = rope["original_max_position_embeddings"] / rope["low_freq_factor"]
            high = rope["original_max_position_embeddings"] / rope["high_freq_factor"]
            for frequency in 1.0 / (rope["rope_theta"] ** (torch.arange(0, dim, 2, dtype=torch.float32) / dim)):
                wavelength = 2 * math.pi / frequency
                smooth = ((rope["original_max_position_embeddings"] / wavelength - rope["low_freq_factor"])
                          / (rope["high_freq_factor"] - rope["low_freq_factor"]))
                factors.append(1 if wavelength < high else rope["factor"] if wavelength > low
                               else 1 / ((1 - smooth) / rope["factor"] + smooth))
            extra["rope_freqs.weight"] = np.array(factors, "f4")
        if arch == "phi3":
            writer.add_rope_scaling_orig_ctx_len(config.original_max_position_embeddings)
            writer.add_rope_dimension_count(dim)
            writer.add_sliding_window(config.sliding_window or 0)
            if kind == "longrope":
                scale = config.max_position_embeddings / config.original_max_position_embeddings
                writer.add_rope_scaling_type(gguf.RopeScalingType.LONGROPE)
                writer.add_rope_scaling_attn_factors(
                    math.sqrt(1 + math.log(scale) / math.log(config.original_max_position_embeddings)))
                extra["rope_factors_long.weight"] = np.array(rope["long_factor"], "f4")
                extra["rope_factors_short.weight"] = np.array(rope["short_factor"], "f4")
        names = gguf.get_tensor_name_map(gguf.MODEL_ARCH[arch.upper()], config.num_hidden_layers)
        for tensor, values in {**tensors, **extra}.items():
            if arch in ("llama", "smollm3") and tensor.endswith(("q_proj.weight", "q_proj.bias")):
                values = permuted(values, config.num_attention_heads)
            if arch in ("llama", "smollm3") and tensor.endswith(("k_proj.weight", "k_proj.bias")):
                values = permuted(values, config.num_key_value_heads)
            if arch == "gemma3" and tensor.endswith("norm.weight"):
                values = values + 1
            target = tensor if tensor in extra else names.get_name(tensor, try_suffixes=(".weight", ".bias"))
            if values.ndim == 1:
                writer.add_tensor(target, values.astype("f4"))
            else:
                writer.add_tensor(target, q8_0(values), raw_dtype=gguf.GGMLQuantizationType.Q8_0)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        put_bytes(file, f"gguf/{name}", open(out, "rb").read())


def rope(kind, theta=10000.0, **more):
    return {"rope_type": kind, "rope_theta": theta, **more}


LLAMA3 = rope("llama3", 200.0, factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=32)
YARN = rope("yarn", 100.0, factor=4.0, original_max_position_embeddings=32)
LONGROPE = rope("longrope", 100.0, short_factor=[1.0, 1.05, 1.1, 1.3], long_factor=[1.08, 1.5, 4.25, 9.0],
                original_max_position_embeddings=64, partial_rotary_factor=1.0)
GEMMA_ROPE = {"full_attention": rope("linear", 1000000.0, factor=8.0), "sliding_attention": rope("default", 10000.0)}


def llama(**more):
    return LlamaConfig(**{**SIZES, "max_position_embeddings": 256, "rms_norm_eps": 1e-5, "rope_parameters": rope("default"), **more})


def mistral(**more):
    return MistralConfig(**{**SIZES, "max_position_embeddings": 256, "rms_norm_eps": 1e-5, "rope_parameters": rope("default"), **more})


def qwen2(**more):
    return Qwen2Config(**{**SIZES, "max_position_embeddings": 256, "rope_parameters": rope("default", 1000000.0), **more})


def qwen3(**more):
    return Qwen3Config(**{**SIZES, "head_dim": 16, "max_position_embeddings": 256, "rope_parameters": rope("default", 1000000.0), **more})


def smollm3(**more):
    return SmolLM3Config(**{**SIZES, "num_hidden_layers": 5, "max_position_embeddings": 256,
                            "rope_parameters": rope("default", 5000000.0), **more})


def phi3(**more):
    return Phi3Config(**{**SIZES, "max_position_embeddings": 256, "original_max_position_embeddings": 256,
                         "rope_parameters": rope("default", partial_rotary_factor=1.0), **more})


def gemma3(**more):
    return Gemma3TextConfig(**{**SIZES, "intermediate_size": 32, "num_hidden_layers": 7, "head_dim": 16, "sliding_window": 12,
                               "max_position_embeddings": 256, "query_pre_attn_scalar": 16, "rope_parameters": GEMMA_ROPE, **more})


def gemma3_with_vision():
    text = gemma3(num_hidden_layers=2, layer_types=["sliding_attention", "full_attention"], query_pre_attn_scalar=24).to_dict()
    vision = dict(hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2, image_size=28, patch_size=14)
    return Gemma3Config(text_config=text, vision_config=vision, mm_tokens_per_image=1, image_token_index=VOCAB - 1,
                        boi_token_index=VOCAB - 2, eoi_token_index=VOCAB - 3)


def renamed(file, name, source, rename):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "model.safetensors")
        open(path, "wb").write(file[f"weights/{source}"][()].tobytes())
        tensors = {rename(n): t for n, t in load_file(path).items()}
        save_file(tensors, path, metadata={"format": "pt"})
        put_bytes(file, f"weights/{name}", open(path, "rb").read())
        print(name, sorted(tensors)[:2], sorted(tensors)[-1])


def make_cases(file):
    new = AutoModelForCausalLM.from_config
    make_weights(file, "llama", new(llama()), 1)
    make_weights(file, "llama_biased", new(llama(num_hidden_layers=2, attention_bias=True, mlp_bias=True)), 2)
    make_weights(file, "tied", new(smollm3()), 3)
    make_weights(file, "qwen2", new(qwen2()), 4)
    make_weights(file, "qwen3", new(qwen3()), 5)
    make_weights(file, "phi3", new(phi3()), 6)
    make_weights(file, "gemma3", new(gemma3()), 7)
    make_weights(file, "gemma3_with_vision", Gemma3ForConditionalGeneration(gemma3_with_vision()), 8)

    def case(name, config, weights, tokens, arch=""):
        if arch:
            make_gguf(file, name, config, weights, arch)
        make_case(file, name, config, weights, tokens, name if arch else "")

    tied = dict(num_hidden_layers=5, tie_word_embeddings=True)
    case("llama", llama(), "llama", 60, "llama")
    case("llama_biased", llama(num_hidden_layers=2, attention_bias=True, mlp_bias=True), "llama_biased", 60, "llama")
    case("llama_tied", llama(**tied), "tied", 60)
    case("llama_llama3", llama(rope_parameters=LLAMA3), "llama", 90, "llama")
    case("llama_linear", llama(rope_parameters=rope("linear", factor=4.0)), "llama", 60)
    case("llama_dynamic", llama(max_position_embeddings=48, rope_parameters=rope("dynamic", factor=4.0)), "llama", 90)
    case("llama_dynamic_growing", llama(max_position_embeddings=48, rope_parameters=rope("dynamic", factor=2.0)), "llama", 40)
    case("llama_yarn", llama(max_position_embeddings=128, rope_parameters=YARN), "llama", 90, "llama")
    case("mistral", mistral(sliding_window=None), "llama", 60)
    case("mistral_window", mistral(sliding_window=16), "llama", 50)
    case("qwen2", qwen2(), "qwen2", 60, "qwen2")
    case("qwen2_window", qwen2(use_sliding_window=True, sliding_window=12, max_window_layers=1), "qwen2", 50)
    case("qwen2_yarn", qwen2(rope_parameters={**YARN, "attention_factor": 1.25, "beta_fast": 3.0, "beta_slow": 0.5}), "qwen2", 90)
    case("qwen3", qwen3(), "qwen3", 60, "qwen3")
    case("qwen3_window", qwen3(use_sliding_window=True, sliding_window=12, max_window_layers=2), "qwen3", 50)
    case("qwen3_yarn", qwen3(rope_parameters={**YARN, "beta_fast": 4.0, "truncate": False, "mscale": 1.0, "mscale_all_dim": 0.5}), "qwen3", 90)
    case("smollm3", smollm3(), "tied", 60, "smollm3")
    case("smollm3_interval", smollm3(no_rope_layer_interval=2, no_rope_layers=None), "tied", 60)
    case("phi3", phi3(), "phi3", 60)
    case("phi3_window", phi3(sliding_window=14), "phi3", 50, "phi3")
    long_phi3 = phi3(original_max_position_embeddings=64, rope_parameters=LONGROPE)
    case("phi3_longrope_short", long_phi3, "phi3", 36, "phi3")
    case("phi3_longrope_long", long_phi3, "phi3", 90)
    case("phi3_longrope_crossing", long_phi3, "phi3", 56)
    case("gemma3", gemma3(), "gemma3", 50, "gemma3")
    case("gemma3_pattern", gemma3(layer_types=(["sliding_attention"] * 2 + ["full_attention"]) * 2 + ["sliding_attention"],
                                  query_pre_attn_scalar=40), "gemma3", 40)
    case("gemma3_with_vision", gemma3_with_vision(), "gemma3_with_vision", 40)
    renamed(file, "gemma3_with_vision_renamed", "gemma3_with_vision", lambda name: name.replace("language_model.model.", "model.language_model."))
    case("gemma3_with_vision_renamed", gemma3_with_vision(), "gemma3_with_vision_renamed", 40)


def published_configs():
    """Configurations as they lie beside published models, less what describes training and tools."""
    llama31 = {"architectures": ["LlamaForCausalLM"], "attention_bias": False, "bos_token_id": 128000, "eos_token_id": 128001,
               "hidden_act": "silu", "hidden_size": 4096, "intermediate_size": 14336, "max_position_embeddings": 131072,
               "mlp_bias": False, "model_type": "llama", "num_attention_heads": 32, "num_hidden_layers": 32,
               "num_key_value_heads": 8, "pretraining_tp": 1, "rms_norm_eps": 1e-05,
               "rope_scaling": {"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                                "original_max_position_embeddings": 8192, "rope_type": "llama3"},
               "rope_theta": 500000.0, "tie_word_embeddings": False, "torch_dtype": "bfloat16",
               "transformers_version": "4.43.0.dev0", "use_cache": True, "vocab_size": 128256}
    mistral01 = {"architectures": ["MistralForCausalLM"], "bos_token_id": 1, "eos_token_id": 2, "hidden_act": "silu",
                 "hidden_size": 4096, "intermediate_size": 14336, "max_position_embeddings": 32768, "model_type": "mistral",
                 "num_attention_heads": 32, "num_hidden_layers": 32, "num_key_value_heads": 8, "rms_norm_eps": 1e-05,
                 "rope_theta": 10000.0, "sliding_window": 4096, "tie_word_embeddings": False, "torch_dtype": "bfloat16",
                 "transformers_version": "4.34.0.dev0", "use_cache": True, "vocab_size": 32000}
    qwen25 = {"architectures": ["Qwen2ForCausalLM"], "attention_dropout": 0.0, "bos_token_id": 151643, "eos_token_id": 151645,
              "hidden_act": "silu", "hidden_size": 3584, "intermediate_size": 18944, "max_position_embeddings": 32768,
              "max_window_layers": 28, "model_type": "qwen2", "num_attention_heads": 28, "num_hidden_layers": 28,
              "num_key_value_heads": 4, "rms_norm_eps": 1e-06, "rope_theta": 1000000.0, "sliding_window": 131072,
              "tie_word_embeddings": False, "torch_dtype": "bfloat16", "transformers_version": "4.43.1", "use_cache": True,
              "use_sliding_window": False, "vocab_size": 152064}
    phi3_4k = {"architectures": ["Phi3ForCausalLM"], "attention_bias": False, "bos_token_id": 1, "embd_pdrop": 0.0,
               "eos_token_id": 32000, "hidden_act": "silu", "hidden_size": 3072, "intermediate_size": 8192,
               "max_position_embeddings": 4096, "model_type": "phi3", "num_attention_heads": 32, "num_hidden_layers": 32,
               "num_key_value_heads": 32, "original_max_position_embeddings": 4096, "pad_token_id": 32000, "resid_pdrop": 0.0,
               "rms_norm_eps": 1e-05, "rope_scaling": None, "rope_theta": 10000.0, "sliding_window": 2047,
               "tie_word_embeddings": False, "torch_dtype": "bfloat16", "use_cache": True, "vocab_size": 32064}
    gemma = {"architectures": ["Gemma3ForConditionalGeneration"], "boi_token_index": 255999, "eoi_token_index": 256000,
             "eos_token_id": [1, 106], "image_token_index": 262144, "initializer_range": 0.02, "mm_tokens_per_image": 256,
             "model_type": "gemma3", "torch_dtype": "bfloat16", "transformers_version": "4.50.0.dev0",
             "vision_config": {"hidden_size": 1152, "image_size": 896, "intermediate_size": 4304,
                               "model_type": "siglip_vision_model", "num_attention_heads": 16, "num_hidden_layers": 27,
                               "patch_size": 14, "vision_use_head": False}}
    qwen3_8b = {"architectures": ["Qwen3ForCausalLM"], "attention_bias": False, "attention_dropout": 0.0,
                "bos_token_id": 151643, "eos_token_id": 151645, "head_dim": 128, "hidden_act": "silu", "hidden_size": 4096,
                "intermediate_size": 12288, "max_position_embeddings": 40960, "max_window_layers": 36,
                "model_type": "qwen3", "num_attention_heads": 32, "num_hidden_layers": 36, "num_key_value_heads": 8,
                "rms_norm_eps": 1e-06, "rope_scaling": None, "rope_theta": 1000000, "sliding_window": None,
                "tie_word_embeddings": False, "torch_dtype": "bfloat16", "use_cache": True, "use_sliding_window": False,
                "vocab_size": 151936}
    linear8 = {"factor": 8.0, "rope_type": "linear"}
    return {
        "Llama-3.1-8B": llama31,
        "Llama-3.2-1B": {**llama31, "head_dim": 64, "hidden_size": 2048, "intermediate_size": 8192, "num_hidden_layers": 16,
                         "rope_scaling": {**llama31["rope_scaling"], "factor": 32.0}, "tie_word_embeddings": True},
        "DeepSeek-R1-Distill-Llama-8B": llama31,
        "Mistral-7B-v0.1": mistral01,
        "Mistral-7B-v0.3": {**mistral01, "rope_theta": 1000000.0, "sliding_window": None, "vocab_size": 32768},
        "Qwen2.5-7B-Instruct": qwen25,
        "Qwen2.5-7B-Instruct with YaRN": {**qwen25, "rope_scaling": {"factor": 4.0, "original_max_position_embeddings": 32768,
                                                                     "type": "yarn"}},
        "DeepSeek-R1-Distill-Qwen-7B": {**qwen25, "eos_token_id": 151643, "max_position_embeddings": 131072,
                                        "rope_theta": 10000, "sliding_window": 4096, "use_mrope": False},
        "Qwen3-8B": qwen3_8b,
        "Qwen3-8B with YaRN of other parameters": {**qwen3_8b, "rope_scaling": {
            "factor": 4.0, "original_max_position_embeddings": 32768, "rope_type": "yarn", "beta_fast": 16.0, "beta_slow": 2.0,
            "truncate": False, "mscale": 1.0, "mscale_all_dim": 0.5}},
        "SmolLM3-3B": {"architectures": ["SmolLM3ForCausalLM"], "attention_bias": False, "bos_token_id": None,
                       "eos_token_id": 128012, "hidden_act": "silu", "hidden_size": 2048, "intermediate_size": 11008,
                       "layer_types": ["full_attention"] * 36, "max_position_embeddings": 65536, "max_window_layers": 28,
                       "mlp_bias": False, "model_type": "smollm3", "no_rope_layer_interval": 4,
                       "no_rope_layers": [1, 1, 1, 0] * 9, "num_attention_heads": 16, "num_hidden_layers": 36,
                       "num_key_value_heads": 4, "pad_token_id": 128004, "pretraining_tp": 2, "rms_norm_eps": 1e-06,
                       "rope_scaling": None, "rope_theta": 5000000.0, "sliding_window": None, "torch_dtype": "bfloat16",
                       "use_cache": False, "use_sliding_window": False, "vocab_size": 128256},
        "Phi-3-mini-4k-instruct": phi3_4k,
        # The published lists of divisors are replaced by others of the same kind.
        "Phi-3-mini-128k-instruct": {**phi3_4k, "max_position_embeddings": 131072, "sliding_window": 262144,
                                     "rope_scaling": {"long_factor": [round(1.05 + 1.3 * i, 2) for i in range(48)],
                                                      "short_factor": [round(1.0 + 0.04 * i, 2) for i in range(48)],
                                                      "type": "longrope"}},
        "gemma-3-1b-it": {"architectures": ["Gemma3ForCausalLM"], "attention_bias": False, "attention_dropout": 0.0,
                          "attn_logit_softcapping": None, "bos_token_id": 2, "cache_implementation": "hybrid",
                          "eos_token_id": [1, 106], "final_logit_softcapping": None, "head_dim": 256,
                          "hidden_activation": "gelu_pytorch_tanh", "hidden_size": 1152, "intermediate_size": 6912,
                          "max_position_embeddings": 32768, "model_type": "gemma3_text", "num_attention_heads": 4,
                          "num_hidden_layers": 26, "num_key_value_heads": 1, "pad_token_id": 0, "query_pre_attn_scalar": 256,
                          "rms_norm_eps": 1e-06, "rope_local_base_freq": 10000, "rope_scaling": None, "rope_theta": 1000000,
                          "sliding_window": 512, "sliding_window_pattern": 6, "torch_dtype": "bfloat16", "use_cache": True,
                          "vocab_size": 262144},
        "gemma-3-4b-it": {**gemma, "text_config": {"hidden_size": 2560, "intermediate_size": 10240, "model_type": "gemma3_text",
                                                   "num_hidden_layers": 34, "rope_scaling": linear8, "sliding_window": 1024}},
        "gemma-3-27b-it": {**gemma, "text_config": {"head_dim": 128, "hidden_size": 5376, "intermediate_size": 21504,
                                                    "model_type": "gemma3_text", "num_attention_heads": 32,
                                                    "num_hidden_layers": 62, "num_key_value_heads": 16,
                                                    "query_pre_attn_scalar": 168, "rope_scaling": linear8,
                                                    "sliding_window": 1024}},
    }


def make_published(file):
    """Sizes and frequencies that transformers reads out of them: those of the first layer, of the last layer with RoPE of
    another kind (Gemma 3), and those of texts beyond the original context (LongRoPE)."""
    for name, text in published_configs().items():
        with tempfile.TemporaryDirectory() as folder:
            json.dump(text, open(os.path.join(folder, "config.json"), "w"))
            whole = AutoConfig.from_pretrained(folder)
        config = getattr(whole, "text_config", whole)
        module = importlib.import_module(type(config).__module__.replace("configuration", "modeling"))
        prefix = type(config).__name__.removesuffix("TextConfig").removesuffix("Config")
        rotary = getattr(module, prefix + "RotaryEmbedding")(config)
        group = file.create_group(f"published/{name}")
        group.attrs["config"] = json.dumps(text, indent=2)
        head_dim = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        group.attrs["sizes"] = json.dumps({
            "layers": config.num_hidden_layers, "heads": config.num_attention_heads, "kv_heads": config.num_key_value_heads,
            "head_dim": head_dim, "hidden": config.hidden_size, "intermediate": config.intermediate_size,
            "vocab": config.vocab_size, "tied": bool(getattr(whole, "tie_word_embeddings", config.tie_word_embeddings)),
            "eps": config.rms_norm_eps,
            "windows": [window_of(config, i) for i in range(config.num_hidden_layers)]})
        if prefix == "Gemma3":
            put_frequencies(group, "full", rotary.full_attention_inv_freq, rotary.full_attention_attention_scaling)
            put_frequencies(group, "sliding", rotary.sliding_attention_inv_freq, rotary.sliding_attention_attention_scaling)
        else:
            put_frequencies(group, "full", rotary.inv_freq, rotary.attention_scaling)
        if config.rope_parameters.get("rope_type") == "longrope":
            beyond = config.original_max_position_embeddings + 1
            put_frequencies(group, "long", *ROPE_INIT_FUNCTIONS["longrope"](config, seq_len=beyond))


def put_frequencies(group, name, frequencies, scaling):
    group[name] = frequencies.numpy().astype("f4")
    group[name].attrs["scaling"] = float(scaling)


def window_of(config, layer):
    kinds = getattr(config, "layer_types", None)
    slides = kinds[layer] == "sliding_attention" if kinds else getattr(config, "sliding_window", None) is not None
    return config.sliding_window if slides else 0


def main():
    out = sys.argv[1] if len(sys.argv) > 1 else os.path.join(HERE, "architectures.h5")
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    with h5py.File(out, "w", libver=("v110", "v110")) as file:
        file.attrs["versions"] = json.dumps({"torch": torch.__version__, "transformers": transformers.__version__, "gguf": "0.19.0"})
        make_cases(file)
        make_published(file)
    print(os.path.getsize(out), "bytes")


if __name__ == "__main__":
    main()
