#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Records what a Hugging Face causal language model attends to, as a recording that KVLoupe opens.

    python3 record_transformers.py meta-llama/Llama-3.1-8B-Instruct --prompt-file prompt.txt --chat --out rec.h5

MODEL is what transformers' from_pretrained takes (a name on the Hub, a folder), or a GGUF file. The model runs as it is, on any
device and in any type: its attention layers call a function of ours (transformers' AttentionInterface) with queries and keys
after RoPE; it computes the output and records. No map is ever held whole, output_attentions is not used.
docs/record-transformers.md says what is recorded, what is checked and what is refused.

needs: torch, transformers 5, h5py, numpy; beside this file: recorder_prompts.py and recording_writer.py
"""
import argparse
import concurrent.futures
import copy
import dataclasses
import hashlib
import inspect
import json
import os
import re
import signal
import sys
import time
from pathlib import Path

import torch
import transformers
from recorder_prompts import TokenBytes, prepare, read_prompts, read_text
from recording_writer import DEFLATE_LEVELS, TILE, Recording, RecordingError, SampleFile, SampleRecorder, divided_up

INTERFACE = "kvloupe"
AUTOMATIC_MAP_BYTES = 2 << 30
CHECKED_TOKENS = 64  # of a prompt, run by the model's own attention too
PROBE_TOKENS = 32
LOGIT_ROWS = 128  # logits that are held at once
TOP_TOKENS = 5
TOKENIZER_FILES = ("tokenizer*", "vocab*", "*.tiktoken", "tekken.json")
WINDOW_ROWS = 16  # rows of a mask that are looked at
TOLERANCES = {torch.float32: (1e-3, 1e-3), torch.float64: (1e-3, 1e-3)}  # of logits against eager, of the rotation
LOW_PRECISION = (0.15, 0.1)


# The model

def window_of_mask(q_length, kv_length, q_offset=0, kv_offset=0, mask_function=None, local_size=None, **_):
    """Called by transformers in place of making a mask: the window, 0 = none, as a tensor that goes through the model to
    `Subject.attend`. Rows of the mask that would have been made must be causal, or causal within that window."""
    if q_length == 0:
        return None
    keys = torch.arange(kv_offset, kv_offset + kv_length)
    for row in sorted({i * (q_length - 1) // WINDOW_ROWS for i in range(WINDOW_ROWS + 1)}):
        query = q_offset + row
        seen = mask_function(torch.tensor(0), torch.tensor(0), torch.tensor(query), keys)
        expected = (keys <= query) & (keys > query - local_size if local_size else True)
        if not torch.equal(seen.expand_as(keys).bool().cpu(), expected):
            raise RecordingError(f"the model's mask lets token {query} see other tokens than causal attention"
                                 + (f" in a window of {local_size}" if local_size else "") + "; only these can be recorded")
    return torch.full((1, 1, 1, 1), local_size or 0, dtype=torch.int64)


@dataclasses.dataclass
class LayerCall:
    """What an attention layer hands over: query [heads, rows, d], key and value [kv_heads, tokens so far, d]."""
    layer: int
    module: object
    query: torch.Tensor
    key: torch.Tensor
    value: torch.Tensor
    scale: float
    window: int

    def shape(self):
        return (self.query.shape[0], self.key.shape[0], self.query.shape[-1], self.scale)


def sdpa(query, key, value, scale, window):
    """Output of causal attention [heads, rows, d] for the last `rows` of the keys' tokens, in blocks where there is a window."""
    rows, tokens = query.shape[1], key.shape[1]
    attend = torch.nn.functional.scaled_dot_product_attention
    shared = {"scale": scale, "enable_gqa": query.shape[0] != key.shape[0]}
    if rows == tokens and (not window or window >= tokens):
        return attend(query[None], key[None], value[None], is_causal=True, **shared)[0]
    output = torch.empty_like(query)
    block = max(TILE, window) if window else rows
    for begin in range(0, rows, block):
        end = min(rows, begin + block)
        queries = torch.arange(tokens - rows + begin, tokens - rows + end, device=query.device)[:, None]
        first = max(0, tokens - rows + begin - window + 1) if window else 0
        last = tokens - rows + end
        keys = torch.arange(first, last, device=query.device)
        seen = (keys <= queries) & (keys > queries - window if window else True)
        output[:, begin:end] = attend(query[None, :, begin:end], key[None, :, first:last], value[None, :, first:last],
                                      attn_mask=None if end - begin == 1 else seen, **shared)[0]
    return output


@dataclasses.dataclass
class Rotation:
    """How a layer's queries and keys are turned: a buffer of inverse frequencies and the channels that go together."""
    module: object
    buffer: str
    pairs: str  # "halves": channel i with i + rotated / 2; "neighbours": 2 i with 2 i + 1

    def frequencies(self):
        return getattr(self.module, self.buffer).detach().double().cpu()

    def scaling(self):
        return float(getattr(self.module, self.buffer.replace("inv_freq", "attention_scaling"), 1.0))

    def order(self, head_dim):
        """Order of the channels in which i goes with i + head_dim / 2; those that are not turned come last in each half."""
        rotated = 2 * len(self.frequencies())
        channels = torch.arange(head_dim)
        turned, rest = channels[:rotated], channels[rotated:].view(2, -1)
        first, second = (turned[::2], turned[1::2]) if self.pairs == "neighbours" else turned.view(2, -1)
        return torch.cat([first, rest[0], second, rest[1]])


def turned_back(vectors, frequencies, scaling):
    """[heads, tokens, d] before RoPE; channel i goes with i + d / 2. `frequencies` is [d / 2]."""
    angles = torch.outer(torch.arange(vectors.shape[1], dtype=torch.float64), frequencies)
    cosine, sine = (part.float().to(vectors.device) for part in (angles.cos() / scaling, angles.sin() / scaling))
    first, second = vectors.float().chunk(2, -1)
    return torch.cat([first * cosine + second * sine, second * cosine - first * sine], -1)


class Subject:
    """A model whose attention layers call `attend`; `observer` gets every LayerCall and may return an output [heads, rows, d]."""

    def __init__(self, args):
        path = Path(args.model)
        self.gguf = path.name if path.suffix == ".gguf" else None
        self.source = str(path.parent) if self.gguf else args.model
        self.revision = args.revision
        extra = {"gguf_file": self.gguf} if self.gguf else {"revision": args.revision} if args.revision else {}
        dtype = args.dtype if args.dtype != "auto" or not self.gguf else "float32"
        placed = {"device_map": "auto"} if args.device == "auto" else {}
        try:
            self.config = self._config(extra)
            self.model = transformers.AutoModelForCausalLM.from_pretrained(
                self.source, dtype=dtype if dtype == "auto" else getattr(torch, dtype), **placed, **extra)
        except (OSError, ValueError, KeyError, ImportError) as error:  # what transformers raises
            raise RecordingError(f"{args.model}: cannot be loaded: {str(error).strip().splitlines()[0]}") from None
        if not placed:
            self.model.to(args.device)
        self.model.eval()
        self.device = self.model.get_input_embeddings().weight.device
        self.dtype = self.model.dtype
        self.tokenizer = self._tokenizer(extra)
        self.observer = lambda call: None
        transformers.AttentionInterface.register(INTERFACE, self.attend)
        transformers.AttentionMaskInterface.register(INTERFACE, window_of_mask)

    def _config(self, extra):
        config = transformers.AutoConfig.from_pretrained(self.source, **extra)
        if config.is_encoder_decoder:
            raise RecordingError(f"{self.source}: {config.model_type} is an encoder-decoder model, expected a causal language model")
        config = config.get_text_config(decoder=True)
        other = set(getattr(config, "layer_types", None) or []) - {"full_attention", "sliding_attention", "chunked_attention"}
        if other:
            raise RecordingError(f"{self.source}: {config.model_type} has layers without softmax attention ({', '.join(sorted(other))}), "
                                 "which a recording cannot hold")
        return config

    def _tokenizer(self, extra):
        folder = Path(self.source)
        if folder.is_dir() and not self.gguf and not any(path for pattern in TOKENIZER_FILES for path in folder.glob(pattern)):
            return None  # transformers would make an empty one up
        try:
            return transformers.AutoTokenizer.from_pretrained(self.source, **extra)
        except (OSError, ValueError, KeyError):  # what transformers raises where there is none
            return None

    def folder(self):
        """Where the files of the model lie, None if that cannot be told."""
        if Path(self.source).is_dir():
            return Path(self.source)
        config = transformers.utils.cached_file(self.source, "config.json", revision=self.revision, _raise_exceptions_for_missing_entries=False)
        return Path(config).parent if config else None

    def attend(self, module, query, key, value, attention_mask, scaling=None, is_causal=None, sliding_window=None, **extra):
        """transformers' attention interface: query [1, heads, rows, d], key and value [1, kv_heads, tokens, d]."""
        layer = getattr(module, "layer_idx", None)
        where = f"layer {layer} ({type(module).__name__})"
        if layer is None or is_causal is False or getattr(module, "is_causal", True) is False:
            raise RecordingError(f"{where}: expected causal self-attention of a numbered layer")
        for name, what in (("softcap", "caps its logits"), ("s_aux", "has sinks outside the text"), ("position_bias", "adds a position bias")):
            if extra.get(name) is not None:
                raise RecordingError(f"{where} {what}: its rows are no plain softmax of queries and keys, which a recording holds")
        window = sliding_window or 0
        if attention_mask is not None:
            if attention_mask.numel() != 1 or attention_mask.dtype != torch.int64:
                raise RecordingError(f"{where}: the model makes a mask of its own, expected transformers' masking_utils")
            window = int(attention_mask)
        if query.shape[-1] != value.shape[-1] or query.shape[-1] != key.shape[-1] or query.shape[0] != 1:
            raise RecordingError(f"{where}: found queries of {query.shape[-1]} channels and values of {value.shape[-1]}, expected the same "
                                 "(compressed, 'latent' attention cannot be recorded)")
        scale = scaling if scaling is not None else query.shape[-1] ** -0.5
        call = LayerCall(layer, module, query[0], key[0], value[0], float(scale), window)
        output = self.observer(call)
        if output is None:
            output = sdpa(call.query, call.key, call.value, call.scale, call.window)
        return output.to(query.dtype).transpose(0, 1)[None].contiguous(), None

    def forward(self, ids, cache=None, last_only=False):
        extra = {"logits_to_keep": 1} if last_only and "logits_to_keep" in inspect.signature(self.model.forward).parameters else {}
        return self.model(input_ids=torch.tensor([ids], device=self.device), past_key_values=cache, use_cache=cache is not None, **extra)

    def calls(self, ids):
        """What every layer hands over for this text, by layer; queries and keys only."""
        found = {}

        def keep(call):
            if call.layer in found:
                raise RecordingError(f"layer {call.layer} computes attention twice per token, expected once")
            found[call.layer] = call

        self.observer = keep
        self.forward(ids, last_only=True)
        self.observer = lambda call: None
        layers = self.config.num_hidden_layers
        if sorted(found) != list(range(layers)):
            missing = sorted(set(range(layers)) - set(found))
            raise RecordingError(f"{self.source}: layers {missing or sorted(found)} of {layers}: attention does not go through transformers' "
                                 f"AttentionInterface ({type(self.model).__name__}), so it cannot be recorded")
        shapes = {call.shape() for call in found.values()}
        if len(shapes) > 1:
            raise RecordingError(f"{self.source}: layers differ in (heads, kv heads, head size, softmax scale): "
                                 f"{', '.join(map(str, sorted(shapes)))}; expected the same in all")
        return found

    def check_against_eager(self, ids):
        """Our attention must give the logits of the model's own, else the model does something that we do not know of."""
        ids = ids[:CHECKED_TOKENS]
        self.model.set_attn_implementation("eager")
        expected = self.forward(ids).logits[0].float()
        self.model.set_attn_implementation(INTERFACE)
        found = self.forward(ids).logits[0].float()
        difference = float((found - expected).square().mean().sqrt() / expected.std().clamp(min=1e-6))
        if not difference <= TOLERANCES.get(self.dtype, LOW_PRECISION)[0]:
            raise RecordingError(f"{self.source}: logits differ from those of the model's own attention by {difference:.3g} standard deviations; "
                                 "its attention is not the plain one that recordings hold")

    def rotations(self, token):
        """Rotation of every layer, None = it has none; nothing at all if the model's rotation is of an unknown kind.

        Where all tokens are the same, queries and keys before RoPE are the same too, in every layer: turning back must make
        them so. The buffers of inverse frequencies that the model has are tried, pairing halves or neighbours."""
        calls = self.calls([token] * PROBE_TOKENS)
        head_dim = calls[0].query.shape[-1]
        candidates = [Rotation(module, name, pairs) for module in self.model.modules() for name, buffer in module.named_buffers(recurse=False)
                      if name.endswith("inv_freq") and "original" not in name and 2 * len(buffer) <= head_dim and head_dim % 2 == 0
                      for pairs in ("halves", "neighbours")]
        tolerance = TOLERANCES.get(self.dtype, LOW_PRECISION)[1]
        result = {}
        for layer, call in calls.items():
            def spread(rotation):
                vectors = torch.cat([call.query, call.key]).float()
                if rotation is not None:
                    vectors = turned_back(vectors[..., rotation.order(head_dim)], padded(rotation.frequencies(), head_dim), 1.0)
                return float((vectors - vectors[:, :1]).abs().mean() / vectors.abs().mean().clamp(min=1e-30))

            best = min([None, *candidates], key=spread)
            if spread(best) > tolerance:
                return {} if candidates else dict.fromkeys(calls)
            result[layer] = best
        return result

    def output_weight(self, module):
        """[hidden, heads * d] of the projection behind a layer's attention."""
        for name in ("o_proj", "out_proj", "dense", "c_proj", "wo"):
            weight = getattr(getattr(module, name, None), "weight", None)
            if weight is not None:
                return weight.T if type(getattr(module, name)).__name__ == "Conv1D" else weight
        raise RecordingError(f"--with output-norms: {type(module).__name__} has no output projection of a known name")


def padded(frequencies, head_dim):
    return torch.nn.functional.pad(frequencies, (0, head_dim // 2 - len(frequencies)))


class RopeTable:
    """What /model/rope holds, and which row of it a layer is turned with."""

    def __init__(self, rotations, windows, head_dim):
        self.rotations = rotations
        self.head_dim = head_dim
        self.known = bool(rotations)
        orders = {tuple(rotation.order(head_dim).tolist()) for rotation in rotations.values() if rotation is not None}
        if len(orders) > 1:
            raise RecordingError("layers pair the channels of their heads in different ways, expected one")
        self.exists = bool(orders)
        order = orders.pop() if orders else ()
        self.channels = list(order) if list(order) != sorted(order) else None
        # Rows as `kvloupe capture` orders them: of layers without a window, with one, without RoPE.
        keys = []
        self.variant = {}
        for layer, rotation in sorted(rotations.items(), key=lambda item: (item[1] is None, windows[item[0]] > 0, item[0])):
            key = "none" if rotation is None else (id(rotation.module), rotation.buffer)
            if key not in keys:
                keys.append(key)
            self.variant[layer] = keys.index(key)
        self._first_layer = {variant: layer for layer, variant in reversed(sorted(self.variant.items()))}

    def frequencies(self, layer):
        rotation = self.rotations[layer]
        return padded(rotation.frequencies() if rotation is not None else torch.zeros(0, dtype=torch.float64), self.head_dim)

    def scaling(self):
        found = {rotation.scaling() for rotation in self.rotations.values() if rotation is not None}
        if len(found) > 1:
            raise RecordingError(f"layers scale their rotation by {', '.join(map(str, sorted(found)))}, expected one number")
        return found.pop() if found else 1.0

    def before(self, call):
        """Queries of a layer before RoPE, in the order of `channels`; None if the rotation is not known."""
        if not self.known:
            return None
        query = call.query if self.channels is None else call.query[..., self.channels]
        return turned_back(query, self.frequencies(call.layer), self.scaling())

    def table(self):
        """[variants, head_dim / 2] as the model has it now: some rotations depend on the length of the text."""
        return torch.stack([self.frequencies(self._first_layer[variant]) for variant in sorted(self._first_layer)]).numpy()


# Recording

def file_sha256(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def weights_sha256(subject):
    """Of the weights as KVLoupe computes it: of the file, or of a list of the hashes of the shards; "" if there is none."""
    folder = subject.folder()
    if subject.gguf:
        return file_sha256(folder / subject.gguf)
    if folder is None:
        return ""
    index = folder / "model.safetensors.index.json"
    names = sorted(set(json.loads(read_text(index))["weight_map"].values())) if index.exists() else ["model.safetensors"]
    if not all((folder / name).exists() for name in names):
        return ""
    if len(names) == 1:
        return file_sha256(folder / names[0])
    return hashlib.sha256("".join(f"{file_sha256(folder / name)}  {name}\n" for name in names).encode()).hexdigest()


def tokenizer_attributes(subject, token_bytes):
    if subject.tokenizer is None:
        return {"kind": "", "sha256": ""}
    folder = subject.folder()
    file = folder / "tokenizer.json" if folder is not None and not subject.gguf else None
    digest = file_sha256(file) if file is not None and file.exists() else hashlib.sha256(token_bytes.definition.encode()).hexdigest()
    return {"kind": f"{type(subject.tokenizer).__name__} (transformers)", "sha256": digest}


def model_attributes(subject, args, call, weights):
    config = subject.config
    device = str(subject.device)
    if subject.device.type == "cuda":
        device += f" {torch.cuda.get_device_name(subject.device)}"
    return {"name": args.model, "architecture": config.model_type, "file_sha256": weights, "adapter_sha256": "",
            "config": config.to_json_string(use_diff=False), "num_layers": config.num_hidden_layers, "num_heads": call.query.shape[0],
            "num_kv_heads": call.key.shape[0], "head_dim": call.query.shape[-1], "hidden_size": config.hidden_size,
            "vocab_size": subject.vocab_size, "max_positions": getattr(config, "max_position_embeddings", None) or 0,
            "dtype": str(subject.dtype).removeprefix("torch."), "device": device,
            "attention_implementation": f"transformers {transformers.__version__}, {args.attn}; recorded in float32"}


def record_kind(args, prompts, layers, heads):
    if args.record:
        return args.record
    tiles = divided_up(max(len(prompt.ids) for prompt in prompts), TILE)
    maps = sum(len(h) for h in args.heads.values()) if args.heads is not None else len(args.layers or range(layers)) * heads
    size = maps * tiles * (tiles + 1) // 2 * TILE * TILE * 2
    if size < AUTOMATIC_MAP_BYTES:
        return "full"
    say(f"maps of the longest prompt would take {size / 2**30:.1f} GiB, so queries and keys are recorded without maps "
        "(--record full stores them)")
    return "qk"


def check_room(prompts, generate, positions, may_be_longer):
    """A rotation goes on behind the context it was trained for, as transformers lets it; a table of positions ends."""
    for prompt in prompts:
        if positions and len(prompt.ids) + generate > positions:
            message = (f"prompt {prompt.prompt.id}: {len(prompt.ids)} tokens and {generate} to generate, but the context of the model "
                       f"holds {positions}")
            if not may_be_longer:
                raise RecordingError(message)
            say(f"{message}; recorded all the same")


class TokenMeasures:
    """Likelihoods of a text as its logits come in, block by block."""

    def __init__(self):
        self.nll = [float("nan")]
        self.top_ids = []
        self.top_logprobs = []

    def add(self, logits, following):
        """Logits [rows, vocab] of consecutive tokens; `following` are the tokens after each, fewer where none is known yet."""
        logits = logits.float()
        total = logits.logsumexp(-1)
        if following:
            target = torch.tensor(following, device=logits.device)
            self.nll += (total[:len(following)] - logits[:len(following)].gather(1, target[:, None])[:, 0]).tolist()
        best = logits.topk(TOP_TOKENS)
        self.top_ids += best.indices.tolist()
        self.top_logprobs += (best.values - total[:, None]).tolist()


class SampleRun:
    """One prompt through the model into one SampleFile."""

    def __init__(self, subject, rope, prepared, recorder, attn):
        self.subject = subject
        self.rope = rope
        self.prepared = prepared
        self.recorder = recorder
        self.attn = attn
        self.measures = TokenMeasures()

    def observe(self, call):
        show(f"{self.prepared.prompt.id}: layer {call.layer + 1} of {self.subject.config.num_hidden_layers}")
        in_prompt = call.query.shape[1] > 1 or call.key.shape[1] == 1
        if call.layer not in self.recorder.layers:
            return None
        weight = self.subject.output_weight(call.module) if self.recorder.output_norms else None
        if not in_prompt:
            self.recorder.generated(call.layer, call.query, call.key, call.value, call.scale, call.window, output_weight=weight)
            return None
        return self.recorder.prompt(call.layer, call.query, call.key, call.value, call.scale, call.window,
                                    rope_variant=self.rope.variant.get(call.layer, 0), query_before_rope=self.rope.before(call),
                                    output_weight=weight, wants_output=self.attn == "float32")

    def prefill(self, cache):
        """Logits of the last token. Those of the others are made from the hidden states, block by block, by the model's own
        code behind its layers."""
        ids = self.prepared.ids
        kept = []
        base = self.subject.model.base_model
        hook = base.register_forward_hook(lambda module, inputs, output: kept.append(output))
        try:
            last = self.subject.forward(ids, cache, last_only=True).logits[0, -1].float()
        finally:
            hook.remove()
        hidden = kept[-1].last_hidden_state
        own = base.__dict__.get("forward")
        try:
            for begin in range(0, len(ids), LOGIT_ROWS):
                end = min(len(ids), begin + LOGIT_ROWS)
                output = copy.copy(kept[-1])
                output.last_hidden_state = hidden[:, begin:end]
                base.forward = lambda *_, **__: output  # noqa: B023 - called in this turn of the loop
                self.measures.add(self.subject.forward(ids[begin:end]).logits[0], ids[begin + 1:end + 1])
        finally:
            if own is None:
                del base.forward
            else:
                base.forward = own
        return last

    def generate(self, logits, cache, count, ends):
        """Greedy; ends after a token of `ends`. Ids of the generated tokens."""
        ids = []
        while len(ids) < count and not (ids and ids[-1] in ends):
            ids.append(int(logits.argmax()))
            # The likelihood of this token was not known when the one before it was measured.
            self.measures.nll.append(float(logits.logsumexp(-1) - logits[ids[-1]]))
            logits = self.subject.forward([ids[-1]], cache).logits[0, -1].float()
            self.measures.add(logits[None], [])
            show(f"{self.prepared.prompt.id}: generated {len(ids)} of {count}")
        return ids


def record_sample(subject, rope, recording, number, prepared, kind, args, token_bytes):
    started = time.monotonic()
    prompt_tokens = len(prepared.ids)
    most = prompt_tokens + args.generate
    model = recording.model
    ends = subject.model.generation_config.eos_token_id if subject.model.generation_config else subject.config.eos_token_id
    ends = set(ends if isinstance(ends, list) else [ends])
    with SampleFile(recording, number, args.compression) as file:
        recorder = SampleRecorder(file, kind, prompt_tokens, most, model["num_heads"], model["num_kv_heads"], model["head_dim"],
                                  layers=args.layers if args.layers is not None else range(model["num_layers"]), map_heads=args.heads,
                                  channels=rope.channels, extras=args.extras, decode_rows=args.decode_rows, block_rows=args.block_rows)
        run = SampleRun(subject, rope, prepared, recorder, args.attn)
        cache = transformers.DynamicCache()  # without a configuration it keeps all tokens, also in layers with a window
        subject.observer = run.observe
        logits = run.prefill(cache)
        if rope.exists:
            recording.set_rope(rope.table(), rope.scaling())
        file.write_last_logits(logits.cpu().numpy())
        ids = prepared.ids + run.generate(logits, cache, args.generate, ends)
        subject.observer = lambda call: None
        recorder.finish(len(ids))
        text, offsets, pieces = token_bytes.text(ids)
        spans = prepared.spans + ([(prompt_tokens, len(ids), "generated", -1, "generated")] if len(ids) > prompt_tokens else [])
        file.write_text(text, ids, pieces, offsets, spans, run.measures.nll, run.measures.top_ids, run.measures.top_logprobs)
        prompt = prepared.prompt
        file.commit({"id": prompt.id, "pair_id": prompt.pair_id, "task": prompt.task, "role": args.role, "seed": prompt.seed,
                     "prompt_sha256": prepared.sha256, "prompt_tokens": prompt_tokens, "total_tokens": len(ids),
                     "softmax_scale": subject.scale, "wall_seconds": time.monotonic() - started})


def record(args):
    prompts = read_prompts(args)
    subject = Subject(args)
    with torch.inference_mode(), concurrent.futures.ThreadPoolExecutor(1) as beside:
        weights = beside.submit(weights_sha256, subject)
        token_bytes = TokenBytes(subject.tokenizer)
        subject.model.set_attn_implementation(INTERFACE)
        vocabulary = subject.model.get_input_embeddings().weight.shape[0]
        prepared = [prepare(prompt, subject.tokenizer, token_bytes, args.chat, vocabulary) for prompt in prompts]
        calls = subject.calls(prepared[0].ids[:CHECKED_TOKENS])
        call = calls[0]
        check_selection(args, subject.config.num_hidden_layers, call.query.shape[0])
        subject.check_against_eager(prepared[0].ids)
        subject.vocab_size = subject.forward(prepared[0].ids[:1]).logits.shape[-1]
        subject.scale = call.scale
        rope = RopeTable(subject.rotations(prepared[0].ids[-1]), {layer: c.window for layer, c in calls.items()}, call.query.shape[-1])
        if not rope.known:
            say("the rotation of queries and keys is of an unknown kind: the recording says nothing about it, methods that need it refuse")
        check_room(prepared, args.generate, getattr(subject.config, "max_position_embeddings", None), rope.exists)
        kind = record_kind(args, prepared, subject.config.num_hidden_layers, call.query.shape[0])
        recording = Recording(args.out, {"generator": f"record_transformers.py (torch {torch.__version__}, transformers "
                                                      f"{transformers.__version__})", "command": args.command},
                              model_attributes(subject, args, call, weights.result()), tokenizer_attributes(subject, token_bytes),
                              "resume" if args.resume else "overwrite" if args.overwrite else "refuse")
        for number, p in enumerate(prepared):
            there = recording.prompt_sha256(number)
            if there is not None and there != p.sha256:
                raise RecordingError(f"--resume: sample {number} of {args.out} was recorded from another prompt")
            if there is None:
                record_sample(subject, rope, recording, number, p, kind, args, token_bytes)
    if not args.no_merge:
        recording.finish()
    say(f"{args.out}: {len(prepared)} sample{'s' * (len(prepared) != 1)} recorded ({kind})")


# The command line

def layer_list(text):
    layers = set()
    for part in text.split(","):
        first, _, last = part.partition("-")
        if int(last or first) < int(first):
            raise argparse.ArgumentTypeError(f"found {part}, expected the smaller number first")
        layers.update(range(int(first), int(last or first) + 1))
    return sorted(layers)


def head_lists(text):
    heads = {}
    for part in text.split(","):
        layer, head = part.split(":")
        heads.setdefault(int(layer), set()).add(int(head))
    return {layer: sorted(found) for layer, found in heads.items()}


def decode_row_limit(text):
    limits = {"all": None, "none": 0}
    return limits[text] if text in limits else int(re.fullmatch(r"last:(\d+)", text)[1])


def block_row_count(text):
    rows = int(text)
    if rows < TILE or rows % TILE:
        raise argparse.ArgumentTypeError(f"found {rows}, expected a multiple of {TILE}")
    return rows


def check_selection(args, layers, heads):
    for what, found, most in [("--layers", max(args.layers or [0]), layers), ("--heads: layer", max(args.heads or [0]), layers),
                              ("--heads: head", max(sum((args.heads or {}).values(), [0])), heads)]:
        if found >= most:
            raise RecordingError(f"{what}: found {found}, expected 0 to {most - 1}")


def show(text):
    """A line that the next one replaces, on a terminal."""
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


def say(text):
    print(("\r\033[K" if sys.stderr.isatty() else "") + text, file=sys.stderr, flush=True)


def arguments(argv):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("model", metavar="MODEL", help="name on the Hub, folder, or GGUF file")
    add("--out", "-o", required=True, metavar="REC.h5", help="recording to write")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--prompt", metavar="TEXT", help="the prompt itself")
    source.add_argument("--prompt-file", metavar="F", help="file that holds one prompt")
    source.add_argument("--prompts", metavar="F.jsonl", help="lines with text or messages, and optionally id, pair_id, task, seed, spans")
    source.add_argument("--ids", metavar="F.json", help="list of token ids, or list of such lists")
    add("--chat", action="store_true", help="make the prompt a user message of the model's chat template")
    add("--generate", type=int, default=0, metavar="N", help="tokens to generate after the prompt, greedily")
    add("--record", choices=("full", "qk", "stats"), help="with maps; queries and keys without maps; statistics only "
        "(default: full while the maps of a sample stay under 2 GiB, else qk)")
    add("--with", dest="extras", action="append", default=[], choices=("row-order", "output-norms"),
        help="Gini and top masses of rows (stats always has them); 1-norms of W_o v")
    add("--layers", type=layer_list, metavar="0-5,8", help="layers to record (default: all)")
    add("--heads", type=head_lists, metavar="5:3,20:7", help="heads whose maps are stored, LAYER:HEAD (default: all)")
    add("--decode-rows", type=decode_row_limit, metavar="all|last:N|none", help="rows of generated tokens to store")
    add("--compression", choices=tuple(DEFLATE_LEVELS), default="fast", help="of maps")
    add("--device", default="cuda" if torch.cuda.is_available() else "cpu", help="cpu, cuda, cuda:1, mps; auto spreads the model over "
        "all GPUs and needs accelerate (default: %(default)s)")
    add("--dtype", choices=("auto", "float32", "bfloat16", "float16"), default="auto", help="type the model runs in (default: its own)")
    add("--attn", choices=("sdpa", "float32"), default="sdpa", help="the model's output from torch's sdpa in its type, or from the "
        "float32 rows that are recorded")
    add("--block-rows", type=block_row_count, default=TILE, metavar="N", help="rows computed at once (default: %(default)s)")
    add("--role", default="", help="role of the model, kept in the recording")
    add("--revision", help="of a model on the Hub")
    add("--threads", type=int, metavar="N", help="threads that PyTorch uses (default: all cores)")
    again = parser.add_mutually_exclusive_group()
    again.add_argument("--resume", action="store_true", help="go on after the last complete sample")
    again.add_argument("--overwrite", action="store_true", help="replace a recording that exists")
    add("--no-merge", action="store_true", help="leave one file per sample in REC.h5.parts")
    args = parser.parse_args(argv)
    if args.generate < 0:
        parser.error("--generate: expected 0 or more")
    words = ["--prompt=..." if word.startswith("--prompt=") else "..." if i and argv[i - 1] == "--prompt" else word
             for i, word in enumerate(argv)]
    args.command = " ".join(["record_transformers.py", *words])
    return args


def main(argv):
    args = arguments(argv)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    torch.set_float32_matmul_precision("highest")
    if not sys.stderr.isatty():
        transformers.utils.logging.disable_progress_bar()
    if args.threads:
        torch.set_num_threads(args.threads)
    try:
        record(args)
    except RecordingError as error:
        say(f"record_transformers.py: error: {error}")
        return 1
    except (OSError, torch.OutOfMemoryError) as error:
        say(f"record_transformers.py: error: {str(error).splitlines()[0]}")
        return 1
    except KeyboardInterrupt:
        say(f"record_transformers.py: interrupted; complete samples are in {args.out}.parts")
        return 130
    return 0


if __name__ == "__main__":
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    sys.exit(main(sys.argv[1:]))
