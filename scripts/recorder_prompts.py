#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prompts of record_transformers.py: read from its options, turned into tokens, their spans found, tokens shown as text."""
import dataclasses
import hashlib
import json
import re
from pathlib import Path

from recording_writer import SPAN_KINDS, RecordingError


@dataclasses.dataclass
class Prompt:
    """Exactly one of text, messages and ids is filled. Spans are in bytes of the text, or of the last message."""
    id: str = ""
    pair_id: str = ""
    task: str = ""
    seed: int = 0
    text: str = ""
    messages: list = dataclasses.field(default_factory=list)
    ids: list = dataclasses.field(default_factory=list)
    spans: list = dataclasses.field(default_factory=list)


def read_text(path):
    try:
        return Path(path).read_bytes().decode()
    except UnicodeDecodeError as error:
        raise RecordingError(f"{path}: byte {error.start} is not UTF-8, expected UTF-8 text") from None


def read_json(text, where):
    try:
        return json.loads(text)
    except ValueError as error:
        raise RecordingError(f"{where}: {error}, expected JSON") from None


def prompt_of_line(value, where):
    if not isinstance(value, dict) or ("text" in value) == ("messages" in value):
        raise RecordingError(f"{where}: expected an object with text or messages")
    prompt = Prompt()
    for field in dataclasses.fields(Prompt):
        if field.name in value and field.name != "ids":
            kind = type(getattr(prompt, field.name))
            if type(value[field.name]) is not kind:
                raise RecordingError(f"{where}: {field.name}: found {value[field.name]!r:.60}, expected {kind.__name__}")
            setattr(prompt, field.name, value[field.name])
    if not all(isinstance(m, dict) and isinstance(m.get("role"), str) and isinstance(m.get("content"), str) for m in prompt.messages):
        raise RecordingError(f"{where}: messages: expected objects with role and content")
    for i, span in enumerate(prompt.spans):
        if not isinstance(span, dict) or span.get("kind") not in SPAN_KINDS or not (
                all(type(span.get(end)) is int for end in ("begin", "end")) and 0 <= span["begin"] <= span["end"]
                and type(span.get("shot", -1)) is int and span.get("shot", -1) >= -1 and isinstance(span.get("label", ""), str)):
            raise RecordingError(f"{where}: span {i}: found {span!r:.80}, expected begin, end (bytes), kind (one of "
                                 f"{', '.join(SPAN_KINDS)}), and perhaps shot and label")
    return prompt


def read_prompts(args):
    if args.prompts:
        name = Path(args.prompts).name
        prompts = []
        for number, line in enumerate(read_text(args.prompts).split("\n"), 1):
            if line.strip():
                where = f"{args.prompts} line {number}"
                prompts.append(prompt_of_line(read_json(line, where), where))
                prompts[-1].id = prompts[-1].id or f"{name}:{number}"
    elif args.ids:
        lists = read_json(read_text(args.ids), args.ids)
        lists = lists if isinstance(lists, list) and lists and isinstance(lists[0], list) else [lists]
        if not all(isinstance(ids, list) and ids and all(type(i) is int and i >= 0 for i in ids) for ids in lists):
            raise RecordingError(f"{args.ids}: expected a list of token ids, or a list of such lists, none of them empty")
        prompts = [Prompt(ids=ids) for ids in lists]
    else:
        prompts = [Prompt(text=args.prompt if args.prompt is not None else read_text(args.prompt_file))]
    if not prompts:
        raise RecordingError(f"{args.prompts}: no prompts in it, expected one JSON object per line")
    for i, prompt in enumerate(prompts):
        prompt.id = prompt.id or f"{i:06}"
        if not (prompt.text or prompt.messages or prompt.ids):
            raise RecordingError(f"prompt {prompt.id}: it is empty, expected at least one token")
    return prompts


def flat_decoders(decoder):
    if not decoder:
        return []
    return [decoder] if decoder["type"] != "Sequence" else [d for part in decoder["decoders"] for d in flat_decoders(part)]


def byte_alphabet():
    """{stand-in character: byte} of byte-level vocabularies: what is printable stands for itself."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    rest = [byte for byte in range(256) if byte not in plain]
    return {**{chr(byte): byte for byte in plain}, **{chr(256 + i): byte for i, byte in enumerate(rest)}}


class TokenBytes:
    """The bytes behind token ids, read from the decoder of the tokenizer's definition. Ids without one are shown as <7>."""

    def __init__(self, tokenizer):
        self.tokenizer = tokenizer
        backend = getattr(tokenizer, "backend_tokenizer", None)
        self.definition = backend.to_str() if backend is not None else ""
        definition = json.loads(self.definition or "{}")
        decoders = flat_decoders(definition.get("decoder"))
        kinds = {decoder["type"] for decoder in decoders}
        self.alphabet = byte_alphabet() if "ByteLevel" in kinds else None
        self.falls_back = "ByteFallback" in kinds
        self.replacements = [(d["pattern"]["String"], d["content"]) for d in decoders if d["type"] == "Replace" and "String" in d["pattern"]]
        self.replacements += [(d["replacement"], " ") for d in decoders if d["type"] == "Metaspace"]
        self.added = {token["id"]: token for token in definition.get("added_tokens", [])}

    def of(self, token):
        if self.tokenizer is None:
            return b""
        added = self.added.get(token)
        entry = added["content"] if added else self.tokenizer.convert_ids_to_tokens(token) or ""
        if added and added["special"]:
            return entry.encode()
        if not added and self.alphabet and all(character in self.alphabet for character in entry):
            return bytes(self.alphabet[character] for character in entry)
        if not added and self.falls_back and re.fullmatch("<0x[0-9A-Fa-f]{2}>", entry):
            return bytes([int(entry[3:5], 16)])
        for old, new in self.replacements:
            entry = entry.replace(old, new)
        return entry.encode()

    def text(self, ids):
        """(text, byte ranges that cover it without gaps, piece of each token). What is no UTF-8 becomes '?' in the text
        and <0xE2> in a piece."""
        parts = [self.of(token) for token in ids]
        offsets, at = [], 0
        for part in parts:
            offsets.append((at, at + len(part)))
            at += len(part)
        pieces = [f"<{token}>" if self.tokenizer is None else replaced_errors(part, lambda byte: f"<0x{byte:02X}>")
                  for token, part in zip(ids, parts)]
        text = replaced_errors(b"".join(parts).replace(b"\0", b"?"), lambda _: "?")
        return text.encode(), offsets, pieces


def replaced_errors(data, replacement):
    """UTF-8 text, each byte that is none replaced."""
    result = ""
    while True:
        try:
            return result + data.decode()
        except UnicodeDecodeError as error:
            result += data[:error.start].decode() + replacement(data[error.start])
            data = data[error.start + 1:]


def spans_over_tokens(spans, offsets, text):
    """Spans over bytes to spans over tokens: a token that straddles two spans goes to the one that holds its first byte that
    is not white space. Spans without a token are left out."""
    anchors = []
    for begin, end in offsets:
        anchors.append(next((at for at in range(begin, end) if text[at] not in b" \t\r\n\f\v"), begin))

    def holds(span, byte):
        return span[0] <= byte < span[1]

    result = []
    for span in spans:
        outside = [other for other in spans if not (other[0] <= span[0] and other[1] >= span[1])]
        tokens = [i for i, (begin, end) in enumerate(offsets)
                  if begin < end and begin < span[1] and end > span[0]
                  and (holds(span, anchors[i]) or not any(holds(other, anchors[i]) for other in outside))]
        if tokens:
            result.append((tokens[0], tokens[-1] + 1, *span[2:]))
    return result


@dataclasses.dataclass
class Prepared:
    """A prompt ready to run."""
    prompt: Prompt
    ids: list
    spans: list
    sha256: str


def prepare(prompt, tokenizer, token_bytes, chat, vocab_size):
    ids = prompt.ids
    if not ids:
        if tokenizer is None:
            raise RecordingError(f"prompt {prompt.id}: the model has no tokenizer, expected token ids (--ids)")
        if prompt.messages or chat:
            if not tokenizer.chat_template:
                raise RecordingError(f"prompt {prompt.id}: the model has no chat template, expected text without --chat")
            messages = prompt.messages or [{"role": "user", "content": prompt.text}]
            rendered = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
            ids = tokenizer(rendered, add_special_tokens=False)["input_ids"]
        else:
            ids = tokenizer(prompt.text)["input_ids"]
    outside = next((i for i, token in enumerate(ids) if not 0 <= token < vocab_size), None)
    if not ids or outside is not None:
        raise RecordingError(f"prompt {prompt.id}: " + ("it is empty, expected at least one token" if not ids else
                             f"token id {ids[outside]} at position {outside}, expected 0 to {vocab_size - 1}"))
    text, offsets, _ = token_bytes.text(ids)
    spans = []
    if prompt.spans:
        own = (prompt.messages[-1]["content"] if prompt.messages else prompt.text).encode()
        shift = text.rfind(own)
        if shift < 0:
            raise RecordingError(f"prompt {prompt.id}: spans: the tokens do not give back the text they refer to")
        for span in prompt.spans:
            if span["end"] > len(own):
                raise RecordingError(f"prompt {prompt.id}: spans: found end {span['end']}, expected at most the {len(own)} bytes of the text")
            spans.append((span["begin"] + shift, span["end"] + shift, span["kind"], span.get("shot", -1), span.get("label", "")))
        spans = spans_over_tokens(spans, offsets, text)
    if tokenizer is not None and ids[0] == tokenizer.bos_token_id:
        spans.insert(0, (0, 1, "bos", -1, "bos"))
    digest = hashlib.sha256(text or " ".join(map(str, ids)).encode()).hexdigest()
    return Prepared(prompt, list(ids), spans, digest)
