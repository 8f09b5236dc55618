#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes KVLoupe recordings (docs/recording-format.md) from queries, keys and values that a model has in PyTorch.

Recording       REC.h5 and the folder of parts from which it grows
SampleFile      the HDF5 file of one sample
SampleRecorder  attention, block of rows by block of rows, into a SampleFile

needs: torch h5py numpy
"""
import collections
import concurrent.futures
import fcntl
import os
import time
import uuid
import zlib
from pathlib import Path

import h5py
import numpy as np
import torch

TILE = 256  # cells along the edge of a chunk of a map; rows that are computed together
TOKENS_PER_CHUNK = 1024
TEXT_TOKENS_PER_CHUNK = 16384
DECODE_CHUNK = (1, 64, 1024)
OVERVIEW_EDGE = 128
LARGEST_UNMAPPED_LEVEL = 512
SINKS = 4
TAIL_ROWS = 64
TOP_MASSES = (1, 8, 64)
DEFLATE_LEVELS = {"none": 0, "fast": 1, "small": 6}
SPAN_KINDS = ("bos", "system", "template", "instruction", "shot", "shot_question", "shot_answer", "context", "needle",
              "evidence", "question", "thinking", "answer", "generated")
HIDDEN = -1e30  # logit of a key that a query does not see; finite, so that 0 * HIDDEN is 0


class RecordingError(Exception):
    """What is wrong with the input or the output, in one line for the user."""


def divided_up(value, divisor):
    return -(-value // divisor)


def overview_factor(tokens):
    factor = 1
    while divided_up(tokens, factor) > OVERVIEW_EDGE:
        factor *= 2
    return factor


def pyramid_factors(tokens, kind):
    """Factors of the levels that a recording of this kind stores."""
    factors = []
    factor = 4
    while True:
        edge = divided_up(tokens, factor)
        if kind == "full" or (edge <= LARGEST_UNMAPPED_LEVEL and not (kind == "qk" and factor == 4)):
            factors.append(factor)
        if edge <= TILE:
            return factors
        factor *= 4


def fletcher32(data):
    """HDF5's checksum of an even number of bytes."""
    words = np.frombuffer(data, ">u2").astype(np.uint64)
    first = int(words.sum())
    second = int((words * np.arange(len(words), 0, -1, dtype=np.uint64)).sum())

    def folded(total):
        return total % 65535 or (65535 if total else 0)

    return folded(second) << 16 | folded(first)


def encoded_chunk(values, level):
    """Bytes of a chunk behind the filters shuffle, deflate, fletcher32, or fletcher32 alone at level 0."""
    data = values.tobytes()
    if level:
        data = zlib.compress(np.frombuffer(data, np.uint8).reshape(-1, values.itemsize).T.tobytes(), level)
        padded = data + b"\0" * (len(data) % 2)
    else:
        padded = data
    return data + fletcher32(padded).to_bytes(4, "little")


def fixed_string(data):
    """Bytes of UTF-8 text as h5py stores them in a string of fixed length."""
    return np.array(data, h5py.string_dtype("utf-8", max(1, len(data))))


def write_attributes(node, attributes):
    """Strings of fixed length, int64, float64; lists become int32 arrays."""
    for name, value in attributes.items():
        if isinstance(value, str):
            data = fixed_string(value.encode())
            node.attrs.create(name, data, dtype=data.dtype)
        elif isinstance(value, list):
            node.attrs.create(name, np.array(value, "<i4"))
        else:
            node.attrs.create(name, np.array(value, "<f8" if isinstance(value, float) else "<i8"))


def synced(path, flags=os.O_RDONLY):
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def rename_durably(source, target):
    synced(source)
    os.replace(source, target)
    synced(Path(target).parent, os.O_RDONLY | os.O_DIRECTORY)


def open_new(path):
    return h5py.File(path, "w", libver=("v110", "v110"))


class Recording:
    """REC.h5 while it is written: complete samples lie in REC.h5.parts/ and become REC.h5 at the end.

    `root`, `model` and `tokenizer` are the attributes of these groups."""

    def __init__(self, path, root, model, tokenizer, existing="refuse"):
        self.path = Path(path)
        self.folder = Path(f"{path}.parts")
        self.root = {"format": "kvloupe-recording", "format_version": 1, "uuid": str(uuid.uuid4()), "created": timestamp(), **root}
        self.model = model
        self.tokenizer = tokenizer
        self.rope = None  # (inverse frequencies [variants, head_dim / 2], attention scaling), known with the first sample
        if existing == "refuse" and (self.path.exists() or self.parts()):
            raise RecordingError(f"{self.path if self.path.exists() else self.folder}: exists already; --resume goes on, "
                                 "--overwrite replaces it")
        if existing == "resume" and self.path.exists():
            raise RecordingError(f"{self.path}: is finished; --resume goes on with {self.folder}")
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lock = open(self.folder / ".lock", "w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RecordingError(f"{self.folder}: another program is writing this recording") from None
        if existing == "overwrite":
            for part in self.parts().values():
                part.unlink()
            self.path.unlink(missing_ok=True)
        for left_behind in self.folder.glob(".*.tmp"):
            left_behind.unlink()
        for part in self.parts().values():
            self._adopt(part)

    def parts(self):
        """Complete samples by number."""
        return {int(part.stem): part for part in sorted(self.folder.glob("[0-9]" * 6 + ".h5"))}

    def _adopt(self, part):
        with h5py.File(part) as file:
            for name in ("file_sha256", "config"):
                found = file["model"].attrs[name].decode()
                if found != self.model[name]:
                    raise RecordingError(f"{part}: cannot be resumed: model {name} is {found[:80]!r}, now {self.model[name][:80]!r}")
            for name in ("uuid", "created", "generator", "command"):
                self.root[name] = file.attrs[name].decode()
            if "rope" in file["model"]:
                rope = file["model/rope"]
                self.set_rope(rope["inv_freq"][:], float(rope.attrs["attention_scaling"]))

    def prompt_sha256(self, number):
        """Of the prompt of a complete sample, None if there is no such sample."""
        part = self.parts().get(number)
        if part is None:
            return None
        with h5py.File(part) as file:
            return file[f"samples/{number:06}"].attrs["prompt_sha256"].decode()

    def set_rope(self, frequencies, scaling):
        """All samples of a recording share one table; one that was turned with other frequencies is refused."""
        if self.rope is None:
            self.rope = (np.asarray(frequencies, "<f8"), scaling)
        elif self.rope[0].shape != frequencies.shape or not np.array_equal(self.rope[0], frequencies) or self.rope[1] != scaling:
            raise RecordingError("this prompt is turned with other RoPE frequencies than those before it (a rotation that depends "
                                 "on the length of the text); record long and short prompts into recordings of their own")

    def write_header(self, file):
        write_attributes(file, self.root)
        write_attributes(file.create_group("model"), self.model)
        write_attributes(file.create_group("tokenizer"), self.tokenizer)

    def write_rope(self, file):
        if self.rope is not None:
            group = file.create_group("model/rope")
            write_attributes(group, {"attention_scaling": float(self.rope[1])})
            frequencies = self.rope[0]
            group.create_dataset("inv_freq", data=frequencies, chunks=frequencies.shape, fletcher32=True)

    def finish(self):
        """Parts become REC.h5: one is renamed, several are copied beside it first."""
        parts = self.parts()
        if not parts:
            return
        if len(parts) == 1:
            rename_durably(next(iter(parts.values())), self.path)
        else:
            temporary = self.path.with_name(f".{self.path.name}.tmp")
            with open_new(temporary) as target:
                self.write_header(target)
                self.write_rope(target)
                samples = target.create_group("samples")
                for number, part in parts.items():
                    with h5py.File(part) as source:
                        source.copy(source[f"samples/{number:06}"], samples)
            rename_durably(temporary, self.path)
            for part in parts.values():
                part.unlink()
        (self.folder / ".lock").unlink()
        self.folder.rmdir()


def timestamp():
    seconds = int(os.environ.get("SOURCE_DATE_EPOCH") or time.time())
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


class SampleFile:
    """The HDF5 file of one sample while it is written. Chunks are deflated by several threads and written by the caller's.

    A context manager: left by an exception, the file is deleted; commit() makes it a part."""

    PENDING_BYTES = 256 << 20

    def __init__(self, recording, number, compression):
        self.recording = recording
        self.number = number
        self.level = DEFLATE_LEVELS[compression]
        self.path = recording.folder / f".{number:06}.h5.tmp"
        self.file = open_new(self.path)
        recording.write_header(self.file)
        self.group = self.file.create_group(f"samples/{number:06}")
        self._threads = concurrent.futures.ThreadPoolExecutor(max(1, min(16, len(os.sched_getaffinity(0)))))
        self._pending = collections.deque()
        self._pending_bytes = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._threads.shutdown(cancel_futures=True)
        if self.file:
            self._pending.clear()
            self.file.close()
            self.path.unlink(missing_ok=True)

    def array(self, group, name, dtype, shape, chunk, compressed=False):
        """A dataset that may shrink and whose chunks are no larger than it is; one that exists is opened."""
        if name in group:
            return group[name]
        chunk = tuple(min(edge, size) for edge, size in zip(chunk, shape))
        filters = {"shuffle": True, "compression": "gzip", "compression_opts": self.level} if compressed and self.level else {}
        return group.create_dataset(name, shape, dtype, chunks=chunk, maxshape=shape, fletcher32=True, **filters)

    def put_chunk(self, dataset, offset, values):
        """A whole chunk of a compressed dataset; smaller `values` are padded with 0."""
        if values.shape != dataset.chunks:
            padded = np.zeros(dataset.chunks, dataset.dtype)
            padded[tuple(slice(size) for size in values.shape)] = values
            values = padded
        self._pending.append((dataset, offset, values.nbytes, self._threads.submit(encoded_chunk, values, self.level)))
        self._pending_bytes += values.nbytes
        while self._pending_bytes > self.PENDING_BYTES or (self._pending and self._pending[0][3].done()):
            self._write_first()

    def put_array(self, dataset, values):
        """A whole compressed dataset."""
        for place in np.ndindex(*(divided_up(size, edge) for size, edge in zip(values.shape, dataset.chunks))):
            offset = tuple(i * edge for i, edge in zip(place, dataset.chunks))
            self.put_chunk(dataset, offset, values[tuple(slice(o, o + edge) for o, edge in zip(offset, dataset.chunks))])

    def _write_first(self):
        dataset, offset, size, chunk = self._pending.popleft()
        self._pending_bytes -= size
        dataset.id.write_direct_chunk(offset, chunk.result())

    def write_text(self, text, ids, pieces, offsets, spans, nll, top_ids, top_logprobs):
        """Bytes of the text, then per token; `spans` are (begin, end, kind, shot, label) in tokens."""
        dataset = self.group.create_dataset("text", data=fixed_string(text))
        write_attributes(dataset, {"bytes": len(text)})
        tokens = self.group.create_group("tokens")
        for name, dtype, values in (("ids", "<i4", ids), ("offsets", "<i8", offsets), ("nll", "<f4", nll),
                                    ("top_ids", "<i4", top_ids), ("top_logprobs", "<f4", top_logprobs)):
            values = np.asarray(values, dtype)
            chunk = (TEXT_TOKENS_PER_CHUNK,) + values.shape[1:]
            self.array(tokens, name, dtype, values.shape, chunk)[...] = values
        tokens.create_dataset("pieces", data=np.array([p.replace("\0", "<0x00>") for p in pieces], object),
                              dtype=h5py.string_dtype())
        kinds = h5py.enum_dtype({kind: i for i, kind in enumerate(SPAN_KINDS)}, basetype="i1")
        span = np.dtype([("begin", "<i8"), ("end", "<i8"), ("kind", kinds), ("shot", "<i4"), ("label", h5py.string_dtype())])
        rows = np.empty(len(spans), span)
        for i, (begin, end, kind, shot, label) in enumerate(spans):
            rows[i] = (begin, end, SPAN_KINDS.index(kind), shot, label.replace("\0", "<0x00>"))
        self.group.create_dataset("spans", (len(spans),), span, data=rows if spans else None)

    def write_last_logits(self, logits):
        self.array(self.group.create_group("logits"), "last", "<f4", logits.shape, (TEXT_TOKENS_PER_CHUNK,))[...] = logits

    def commit(self, attributes):
        while self._pending:
            self._write_first()
        write_attributes(self.group, attributes)
        self.recording.write_rope(self.file)
        self.file.close()
        self.file = None
        rename_durably(self.path, self.recording.folder / f"{self.number:06}.h5")


def pooled(cells, ratio, reduce):
    """[heads, rows, columns] to blocks of ratio x ratio by torch.amax or torch.sum; edges are filled up with 0."""
    if ratio == 1:
        return cells
    heads, rows, columns = cells.shape
    if rows % ratio or columns % ratio:
        cells = torch.nn.functional.pad(cells, (0, -columns % ratio, 0, -rows % ratio))
    # Rows first: that is quick, and the slow reduction along memory has little left to do.
    cells = reduce(cells.view(heads, -1, ratio, cells.shape[-1]), 2)
    return reduce(cells.view(heads, cells.shape[1], -1, ratio), 3)


class Levels:
    """Maxima and sums over blocks of F x F cells of maps of some heads, while their rows come in. Factors are powers of two."""

    def __init__(self, heads, tokens, factors, device):
        coarse = [factor for factor in factors if factor > TILE]
        self._fine = sorted({factor for factor in factors if factor <= TILE} | ({TILE} if coarse else set()))
        self._coarse = sorted(coarse)
        self._maxima, self._sums = ({factor: torch.zeros(heads, *[divided_up(tokens, factor)] * 2, device=device)
                                     for factor in self._fine} for _ in range(2))

    def add(self, rows, begin, first):
        """Rows from `begin`, columns from `first` (both multiples of 256) of every head."""
        largest, total, done = rows, rows, 1
        for factor in self._fine:
            largest, total = pooled(largest, factor // done, torch.amax), pooled(total, factor // done, torch.sum)
            done = factor
            place = (slice(None), slice(begin // factor, begin // factor + total.shape[1]),
                     slice(first // factor, first // factor + total.shape[2]))
            self._maxima[factor][place] = largest
            self._sums[factor][place] = total

    def finish(self):
        """{factor: (maxima, sums)}, each [heads, edge, edge]."""
        finer = TILE
        for factor in self._coarse:
            self._maxima[factor] = pooled(self._maxima[finer], factor // finer, torch.amax)
            self._sums[factor] = pooled(self._sums[finer], factor // finer, torch.sum)
            finer = factor
        return {factor: (self._maxima[factor], self._sums[factor]) for factor in self._maxima}


def hide_invisible(logits, begin, first, window):
    """Puts HIDDEN where key > query or key <= query - window; logits are [heads, rows from `begin`, columns from `first`]."""
    rows, columns = logits.shape[1:]
    queries = torch.arange(begin, begin + rows, device=logits.device)[:, None]
    keys = torch.arange(first, first + columns, device=logits.device)
    diagonal = max(0, begin - first)
    logits[:, :, diagonal:].masked_fill_(keys[diagonal:] > queries, HIDDEN)
    if window:
        left = max(0, begin + rows - window - first)
        logits[:, :, :left].masked_fill_(keys[:left] <= queries - window, HIDDEN)


def sorted_rows(cells):
    """Ascending. On a CPU by numpy, which sorts with vector instructions."""
    return torch.from_numpy(np.sort(cells.numpy(), -1)) if cells.device.type == "cpu" else cells.sort(-1).values


def softmax_rows(logits, first, visible=None):
    """Probabilities, and the statistics of every row: log-sum-exp, entropy, mass on the sinks, largest probability; with
    `visible` (keys that each row sees) also Gini coefficient and masses of the largest. `logits` are overwritten."""
    largest = logits.amax(-1, keepdim=True)
    logits -= largest
    probabilities = logits.exp()
    total = probabilities.sum(-1, keepdim=True)
    probabilities /= total
    logarithm = total.log()
    rows = {"row_logsumexp": (largest + logarithm)[..., 0],
            "row_entropy": logarithm[..., 0] - torch.linalg.vecdot(probabilities, logits),
            "row_sink_mass": probabilities[..., :max(0, SINKS - first)].sum(-1),
            "row_max": total[..., 0].reciprocal()}
    if visible is not None:
        ascending = sorted_rows(probabilities)
        # 0 for the largest; what is not visible is 0 and comes first.
        behind = torch.arange(ascending.shape[-1] - 1, -1, -1, dtype=ascending.dtype, device=ascending.device)
        mass = ascending.sum(-1)
        rows["row_gini"] = ((visible - 1) * mass - 2 * (ascending @ behind)) / (visible * mass)
        rows["row_top_mass"] = torch.stack([ascending[..., -count:].sum(-1) for count in TOP_MASSES], -1)
    return probabilities, rows


def on_host(tensor, dtype=torch.float32):
    return tensor.to(dtype).cpu().numpy()


class SampleRecorder:
    """Attention of one sample into a SampleFile. Each layer brings the whole prompt first, then one generated token at a time.

    Everything is computed in float32 on the device of the queries. Memory: block_rows x P cells of a few heads, and the levels
    of their pyramid that are stored; never a map.
    `layers`: numbers to record; `map_heads`: {layer: heads with maps}, None = all heads of all layers (for kind "full");
    `channels`: order in which those of queries and keys are stored, so that channel i is turned with i + d / 2, None = as they
    come; `extras` may hold "row-order" and "output-norms"; `decode_rows`: the last n rows of generated tokens, None = all."""

    FLUSH_TOKENS = 64

    def __init__(self, file, kind, prompt_tokens, most_tokens, heads, kv_heads, head_dim, *, layers, map_heads=None,
                 channels=None, extras=(), decode_rows=None, block_rows=TILE):
        self.file = file
        self.kind = kind
        self.prompt_tokens = prompt_tokens
        self.most_tokens = most_tokens
        self.heads, self.kv_heads, self.head_dim = heads, kv_heads, head_dim
        self.layers = set(layers)
        self.map_heads = map_heads
        self.channels = channels
        self.row_order = kind == "stats" or "row-order" in extras
        self.output_norms = "output-norms" in extras
        self.decode_rows = decode_rows
        self.block_rows = block_rows
        self.factors = pyramid_factors(prompt_tokens, kind)
        self.overview = overview_factor(prompt_tokens)
        self._counts = {}  # by window: cells per block of every level
        self._groups = {}  # by layer
        self._maps = {}  # by layer: heads with maps
        self._waiting = collections.defaultdict(list)  # by layer: arrays of generated tokens
        self._rows = collections.defaultdict(lambda: collections.deque(maxlen=decode_rows))  # by layer: (index, row)

    def prompt(self, layer, query, key, value, scale, window, *, rope_variant=0, query_before_rope=None, output_weight=None,
               wants_output=False):
        """Query [heads, P, d], key and value [kv_heads, P, d] of the whole prompt, turned by RoPE; `query_before_rope` is in the
        order of `channels`, `output_weight` is [hidden, heads * d]. Returns the attention's output [heads, P, d] if it is wanted."""
        group = self._groups[layer] = self.file.group.require_group("layers").create_group(f"{layer:02}")
        maps = []
        if self.kind == "full":
            maps = list(range(self.heads)) if self.map_heads is None else self.map_heads.get(layer, [])
        self._maps[layer] = maps
        write_attributes(group, {"window": window, "rope_variant": rope_variant, "map_heads": maps})
        for name, array in self._vector_arrays(query, key, value, output_weight).items():
            self._token_array(group, name, (array.shape[0], *array.shape[2:]))[:, :array.shape[1]] = on_host(array)
        if query_before_rope is not None:
            self._write_query_statistics(group, query_before_rope)
        return self._write_rows(group, query, key, value if wants_output else None, scale, window, maps)

    def generated(self, layer, query, key, value, scale, window, *, output_weight=None):
        """One generated token: query [heads, 1, d], key and value [kv_heads, tokens so far, d]."""
        tokens = key.shape[1]
        shared = query.float().view(self.kv_heads, -1, self.head_dim) * scale
        logits = torch.bmm(shared, key.float().transpose(1, 2)).view(self.heads, 1, tokens)
        hide_invisible(logits, tokens - 1, 0, window)
        visible = torch.tensor([min(tokens, window or tokens)], device=query.device) if self.row_order else None
        probabilities, rows = softmax_rows(logits, 0, visible)
        arrays = {**rows, **self._vector_arrays(query, key[:, -1:], value[:, -1:], output_weight)}
        waiting = self._waiting[layer]
        # Copies: a view would hold on to a whole cache of every step.
        waiting.append({name: on_host(array).copy() for name, array in arrays.items()})
        if self._maps[layer] and self.decode_rows != 0:
            self._rows[layer].append((tokens - 1 - self.prompt_tokens, on_host(probabilities[self._maps[layer], 0], torch.float16)))
        if len(waiting) == self.FLUSH_TOKENS:
            self._flush(layer, tokens)

    def finish(self, total_tokens):
        """Writes what waits and cuts arrays to the tokens that there are."""
        for layer in self._waiting:
            self._flush(layer, total_tokens)
            self._flush_rows(layer)
        if total_tokens < self.most_tokens:
            for group in self._groups.values():
                for name, dataset in group.items():
                    if isinstance(dataset, h5py.Dataset) and name not in ("attention", "query_mean", "query_cov"):
                        dataset.resize(tuple(total_tokens if size == self.most_tokens else size for size in dataset.shape)
                                       if name != "decode" else (dataset.shape[0], total_tokens - self.prompt_tokens, total_tokens))

    def _token_array(self, group, name, width):
        """The dataset of a float32 array with one value, or one vector, per token; `width` is the shape without tokens."""
        rows = (1,) if name in ("queries", "keys", "values") else (width[0],)
        return self.file.array(group, name, "<f4", (width[0], self.most_tokens, *width[1:]), (*rows, TOKENS_PER_CHUNK, *width[1:]))

    def _vector_arrays(self, query, key, value, output_weight):
        arrays = {"key_norm": key.float().norm(dim=-1), "value_norm": value.float().norm(dim=-1)}
        if self.kind != "stats":
            turned = (query, key) if self.channels is None else (query[..., self.channels], key[..., self.channels])
            arrays.update(queries=turned[0], keys=turned[1], values=value)
        if self.output_norms and output_weight is not None:
            # One head at a time: |W_o,h v|_1 needs [tokens, hidden] for each.
            weights = output_weight.view(output_weight.shape[0], self.heads, self.head_dim)
            shared = self.heads // self.kv_heads
            arrays["output_value_norm1"] = torch.stack([(value[h // shared].float() @ weights[:, h].float().T).abs().sum(-1)
                                                        for h in range(self.heads)])
        return arrays

    def _write_query_statistics(self, group, queries):
        """Mean and covariance from position 4 on; 0 for shorter prompts."""
        rest = queries[:, SINKS:].float()
        count = rest.shape[1]
        mean = rest.mean(1) if count else torch.zeros(self.heads, self.head_dim)
        centred = rest - mean.to(rest.device)[:, None]
        covariance = torch.bmm(centred.transpose(1, 2), centred) / max(1, count)
        for name, array in (("query_mean", mean), ("query_cov", covariance)):
            self.file.array(group, name, "<f4", array.shape, array.shape)[...] = on_host(array)

    def _write_rows(self, group, query, key, value, scale, window, maps):
        tokens = self.prompt_tokens
        device = query.device
        wide = torch.float64 if device.type != "mps" else torch.float32
        # So many heads at once that their blocks stay in the cache of a processor, or fill a GPU.
        room = (32 << 20) if device.type == "cpu" else (1 << 30)
        together = max(1, min(self.heads, room // (3 * 4 * self.block_rows * tokens)))
        column_sums = torch.zeros(self.heads, tokens, dtype=wide, device=device)
        statistics = {}
        output = torch.empty(self.heads, tokens, self.head_dim, device=device) if value is not None else None
        tail_rows = min(TAIL_ROWS, tokens) if self.kind == "stats" else 0
        tail = torch.zeros(self.heads, tail_rows, self.most_tokens, device=device)
        attention = self.file.array(group, "attention", "<f2", (len(maps), tokens, tokens), (1, TILE, TILE), True) if maps else None
        counts = self._cell_counts(window, device)
        overviews = {name: np.zeros((self.heads, *[divided_up(tokens, self.overview)] * 2), "<f2") for name in ("max", "mean")}
        for low in range(0, self.heads, together):
            heads = slice(low, min(self.heads, low + together))
            shared = torch.arange(heads.start, heads.stop, device=device) // (self.heads // self.kv_heads)
            scaled = query[heads].float() * scale
            keys = key[shared].float()
            values = value[shared].float() if value is not None else None
            levels = Levels(len(shared), tokens, {*self.factors, self.overview}, device)
            for begin in range(0, tokens, self.block_rows):
                end = min(tokens, begin + self.block_rows)
                first = max(0, begin - window + 1) // TILE * TILE if window else 0
                logits = torch.bmm(scaled[:, begin:end], keys[:, first:end].transpose(1, 2))
                hide_invisible(logits, begin, first, window)
                visible = torch.arange(begin + 1, end + 1, device=device).clamp(max=window or end) if self.row_order else None
                probabilities, rows = softmax_rows(logits, first, visible)
                del logits
                for name, array in rows.items():
                    if name not in statistics:
                        statistics[name] = torch.zeros(self.heads, tokens, *array.shape[2:], device=device)
                    statistics[name][heads, begin:end] = array
                column_sums[heads, first:end] += probabilities.sum(1, dtype=wide)
                levels.add(probabilities, begin, first)
                if output is not None:
                    output[heads, begin:end] = torch.bmm(probabilities, values[:, first:end])
                if (left := max(begin, tokens - tail_rows)) < end:
                    tail[heads, left - (tokens - tail_rows):end - (tokens - tail_rows), first:end] = probabilities[:, left - begin:]
                self._write_map(attention, maps, heads, probabilities, begin, first)
            self._write_levels(group, heads, levels.finish(), counts, window, overviews)
        statistics["column_sum"] = column_sums
        for name, array in statistics.items():
            self._token_array(group, name, (self.heads, *array.shape[2:]))[:, :tokens] = on_host(array)
        if tail_rows:
            self.file.put_array(self.file.array(group, "tail", "<f4", tail.shape, (1, tail_rows, TOKENS_PER_CHUNK), True), on_host(tail))
        for name, array in overviews.items():
            dataset = self.file.array(group.require_group("overview"), name, "<f2", array.shape, array.shape, True)
            self.file.put_array(dataset, array)
        return output

    def _write_map(self, attention, maps, heads, probabilities, begin, first):
        for slot, head in enumerate(maps):
            if heads.start <= head < heads.stop:
                cells = on_host(probabilities[head - heads.start], torch.float16)
                for row in range(0, cells.shape[0], TILE):
                    # Columns behind the diagonal are not stored.
                    for column in range(0, min(cells.shape[1], begin - first + row + TILE), TILE):
                        tile = cells[None, row:row + TILE, column:column + TILE]
                        self.file.put_chunk(attention, (slot, begin + row, first + column), tile)

    def _cell_counts(self, window, device):
        """{factor: cells that a query sees in each block, [1, edge, edge]}."""
        if window not in self._counts:
            levels = Levels(1, self.prompt_tokens, {*self.factors, self.overview}, device)
            for begin in range(0, self.prompt_tokens, self.block_rows):
                end = min(self.prompt_tokens, begin + self.block_rows)
                first = max(0, begin - window + 1) // TILE * TILE if window else 0
                visible = torch.ones(1, end - begin, end - first, device=device)
                hide_invisible(visible, begin, first, window)
                levels.add(visible.clamp_(min=0), begin, first)
            self._counts[window] = {factor: sums for factor, (_, sums) in levels.finish().items()}
        return {factor: sums.to(device) for factor, sums in self._counts[window].items()}

    def _write_levels(self, group, heads, levels, counts, window, overviews):
        for factor in {*self.factors, self.overview}:
            maxima, sums = levels[factor]
            for name, cells in (("max", maxima), ("mean", sums / counts[factor].clamp(min=1))):
                cells = on_host(cells, torch.float16)
                if factor == self.overview:
                    overviews[name][heads] = cells
                if factor not in self.factors:
                    continue
                shape = (self.heads, *cells.shape[1:])
                dataset = self.file.array(group.require_group(f"pyramid/{factor}"), name, "<f2", shape, (1, TILE, TILE), True)
                for head, row in np.ndindex(len(cells), divided_up(shape[1], TILE)):
                    first = max(0, row * TILE * factor - window + 1) // factor // TILE if window else 0
                    for column in range(first, row + 1):
                        tile = cells[None, head, row * TILE:(row + 1) * TILE, column * TILE:(column + 1) * TILE]
                        self.file.put_chunk(dataset, (heads.start + head, row * TILE, column * TILE), tile)

    def _flush(self, layer, tokens):
        """Arrays of generated tokens up to `tokens`."""
        waiting = self._waiting[layer]
        if waiting:
            for name in waiting[0]:
                values = np.concatenate([arrays[name] for arrays in waiting], axis=1)
                dataset = self._token_array(self._groups[layer], name, (values.shape[0], *values.shape[2:]))
                dataset[:, tokens - len(waiting):tokens] = values
            waiting.clear()
        if self.decode_rows is None:
            self._flush_rows(layer)

    def _flush_rows(self, layer):
        rows = self._rows[layer]
        if rows:
            shape = (rows[0][1].shape[0], self.most_tokens - self.prompt_tokens, self.most_tokens)
            dataset = self.file.array(self._groups[layer], "decode", "<f2", shape, DECODE_CHUNK, True)
            box = np.zeros((shape[0], len(rows), rows[-1][1].shape[1]), "<f2")
            for i, (_, row) in enumerate(rows):
                box[:, i, :row.shape[1]] = row
            dataset[:, rows[0][0]:rows[0][0] + len(rows), :box.shape[2]] = box
            rows.clear()
