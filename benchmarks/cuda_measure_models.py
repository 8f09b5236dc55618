# SPDX-License-Identifier: GPL-3.0-or-later
"""The stages of cuda_measure.py that run models: recordings of a GPU against those of the CPU, and a large model beside eager attention."""
import json
import shutil
import sys
from pathlib import Path

BENCHMARKS = Path(__file__).resolve().parent
METHODS = ["h2o", "snapkv", "tova", "expected_attention", "knorm", "keydiff", "adakv"]
KEPT_SHARES = "0.1,0.3,0.5"
EVALUATED = ["snapkv", "h2o", "adakv", "streaming_llm@paper"]
STATISTICS_BOUND = {"float32": 1e-5, "bf16": 1e-3}
WARM_UP_TOKENS = 64


def missing_package(*names):
    for name in names:
        try:
            __import__(name)
        except ImportError:
            return f"no {name}"
    return ""


def lack(run, *packages):
    """Why models cannot be run here; a dry run does without a GPU."""
    return missing_package("torch", "safetensors", *packages) or (run.why_not() if not run.options.dry_run else "")


def checkpoint(run, shape):
    """Folder of a random checkpoint of this shape, written if it is not there."""
    folder = run.work / shape
    if not (folder / "config.json").is_file():
        made = run.child([sys.executable, BENCHMARKS / "make_random_checkpoint.py", shape, folder, "--device", run.device, "--tokenizer"])
        if made.status != "done":
            raise RuntimeError(f"make_random_checkpoint.py {shape}: {made.status}, {made.error}")
    return folder


def write_ids(run, folder, *lengths):
    from cuda_eager_peer import prompt_ids
    vocabulary = json.loads((folder / "config.json").read_text())["vocab_size"]
    path = run.work / "ids.json"
    path.write_text(json.dumps([prompt_ids(length, vocabulary) for length in lengths]))
    return path


def recorded(run, folder, ids, out, device, dtype, *options):
    return run.child([*run.program("kvloupe"), "capture", folder, "--ids", ids, "--out", out, "--device", device, "--dtype", dtype,
                      "--overwrite", "--json", "--progress", "none", *options])


def kept_sets(run, recording):
    """Lines of `kvloupe replay`: what every method keeps, by method and share."""
    methods = [part for method in METHODS for part in ("--method", method)]
    replay = run.child([*run.program("kvloupe"), "replay", recording, *methods, "--keep", KEPT_SHARES])
    if replay.status != "done":
        raise RuntimeError(f"kvloupe replay: {replay.status}, {replay.error}")
    return {(line["method"], line["keep"]): line["kept"] for line in map(json.loads, replay.output.splitlines())}


def share_in_common(kept, other):
    """Of the tokens that all heads keep, how many the other recording's heads keep too."""
    ours = {(layer, head, token) for layer, heads in kept.items() for head, tokens in heads.items() for token in tokens}
    theirs = {(layer, head, token) for layer, heads in other.items() for head, tokens in heads.items() for token in tokens}
    return len(ours & theirs) / max(1, len(ours))


def worst_text(errors):
    name = max(errors, key=errors.get)
    return f"{errors[name]:.1e} ({name})"


def agreement(run):
    """Of a small random model: statistics against the queries and keys recorded with them, and against the CPU's; kept sets; the same bits twice."""
    why = lack(run, "h5py", "numpy")
    if why:
        return run.report("agreement", "", "skipped", why)
    import cuda_recording_checks as checks
    folder = checkpoint(run, "llama-small")
    ids = write_ids(run, folder, 300 if run.options.dry_run else 1500)

    def record(name, device, dtype):
        path = run.work / f"{name}.h5"
        child = recorded(run, folder, ids, path, device, dtype, "--record", "full")
        if child.status == "done":
            verified = run.child([*run.program("kvloupe"), "verify", path])
            if verified.status != "done":
                child.status, child.error = "failed", f"kvloupe verify: {verified.output.strip() or verified.error}"
        if child.status != "done":
            run.report("agreement", name, child.status, child.error, **child.numbers())
            return None
        return path

    cpu = record("cpu float32", "cpu", "float32")
    for dtype in ("float32", "bf16") if run.gpu else ("float32",):
        bound = STATISTICS_BOUND[dtype]
        name = f"{run.device} {dtype}"
        one, two = record(f"{name}, once", run.device, dtype), record(f"{name}, again", run.device, dtype)
        if not one or not two:
            continue
        errors = checks.statistics_errors(one)
        run.report("agreement", f"{name}: statistics of its queries and keys", "ok" if max(errors.values()) <= bound else "failed",
                   f"largest relative error {worst_text(errors)}, bound {bound:g}", bound=bound, **errors)
        differing = checks.differing_arrays(one, two)
        run.report("agreement", f"{name}: two runs", "failed" if differing else "ok",
                   f"{len(differing)} arrays differ, {differing[0]} first" if differing else "the same bits", arrays=differing[:20])
        if cpu:
            beside_the_cpu(run, checks, name, one, cpu, dtype)


def beside_the_cpu(run, checks, name, recording, cpu, dtype):
    differences = checks.statistics_differences(recording, cpu)
    # In bfloat16 the model itself rounds between layers: what differs is then not the record alone, and has no bound.
    bound = STATISTICS_BOUND[dtype] if dtype == "float32" else None
    status = "measured" if bound is None else "ok" if max(differences.values()) <= bound else "missed"
    run.report("agreement", f"{name}: statistics beside the CPU's", status,
               f"largest relative difference {worst_text(differences)}" + (f", bound {bound:g}" if bound else ""), bound=bound, **differences)
    ours, theirs = kept_sets(run, recording), kept_sets(run, cpu)
    equal = sum(ours[key] == theirs[key] for key in theirs)
    common = min(share_in_common(ours[key], theirs[key]) for key in theirs)
    status = "measured" if dtype != "float32" else "ok" if equal == len(theirs) else "missed"
    run.report("agreement", f"{name}: kept sets beside the CPU's", status,
               f"{equal} of {len(theirs)} methods and shares keep the same tokens, the others at least {common:.4f} of them",
               equal=equal, of=len(theirs), least_in_common=common)


def evaluation(run):
    """Compressed caches of a small random model, which answers nonsense: the same nonsense on GPU and CPU, and twice."""
    why = lack(run)
    if why:
        return run.report("evaluation", "", "skipped", why)
    folder = checkpoint(run, "llama-small")
    methods = [part for method in EVALUATED for part in ("--method", method)]

    def evaluated(name, device, dtype):
        out = run.work / f"{name}.jsonl"
        child = run.child([*run.program("kvloupe"), "evaluate", folder, "--suite", "fundamental", "--task", "ar,csr", "--samples", "2", *methods,
                           "--keep", "0.3,0.6", "--measure", "accuracy,nll,kl", "--max-new-tokens", "12", "--device", device, "--dtype", dtype,
                           "--out", out, "--overwrite", "--json", "--progress", "none"])
        if child.status != "done":
            run.report("evaluation", name, child.status, child.error, **child.numbers())
            return None
        rows = [row for row in map(json.loads, out.read_text().splitlines()) if row["type"] == "row"]
        return {(row["sample"], row["branch"]): row["result"] for row in rows}

    cpu = evaluated("cpu float32", "cpu", "float32")
    for dtype in ("float32", "bf16") if run.gpu else ("float32",):
        name = f"{run.device} {dtype}"
        one, two = evaluated(f"{name}, once", run.device, dtype), evaluated(f"{name}, again", run.device, dtype)
        if not one or not two:
            continue
        same = one == two
        run.report("evaluation", f"{name}: two runs", "ok" if same else "failed", "the same results" if same else "other results")
        if not cpu:
            continue
        equal = sum(one[key]["output"]["ids"] == cpu[key]["output"]["ids"] for key in cpu)
        nll = max(abs(one[key]["nll_gold"]["sum_nats"] / cpu[key]["nll_gold"]["sum_nats"] - 1) for key in cpu)
        status = "measured" if dtype != "float32" else "ok" if equal == len(cpu) else "missed"
        run.report("evaluation", f"{name}: responses beside the CPU's", status,
                   f"{equal} of {len(cpu)} are the same tokens; likelihoods of answers differ by {nll:.1e} at most",
                   equal=equal, of=len(cpu), nll=nll)


def tree_bytes(path):
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


def seconds_of_last_sample(parts):
    """Of the forward pass with its record, without the model's loading; null without h5py."""
    if missing_package("h5py"):
        return None
    import h5py
    with h5py.File(max(parts.glob("[0-9]*.h5"))) as recording:
        return float(next(iter(recording["samples"].values())).attrs["wall_seconds"])


def gigabytes(bytes_):
    return f"{bytes_ / 1e9:.2f} GB"


def report_pass(run, what, child, forward, disk, **numbers):
    """A line for a forward pass of either side."""
    status = "measured" if child.status == "done" else child.status
    text = f"{child.error}; " if child.error else f"{forward:.2f} s forward, " if forward is not None else ""
    text += f"{child.seconds:.1f} s in all, "
    text += f"{gigabytes(child.device_bytes)} of the GPU, " if run.gpu and child.device_bytes is not None else ""
    text += f"{gigabytes(child.host_anonymous_bytes)} of the host" + (f", {gigabytes(disk)} on disk" if disk else "")
    run.report("capture", what, status, text, forward_seconds=forward, disk_bytes=disk, **child.numbers(), **numbers)


def capture(run):
    """A large random model at many tokens: recorded, and run as one does without KVLoupe."""
    why = lack(run)
    if why:
        return run.report("capture", "", "skipped", why)
    shape, tokens = run.options.shape, run.options.tokens
    dtype = "bf16" if run.gpu else "float32"
    folder = checkpoint(run, shape)
    layer = json.loads((folder / "config.json").read_text())["num_hidden_layers"] // 2
    run.report("capture", "model", "measured", f"{shape}, {dtype}, {tokens} tokens; {gigabytes(tree_bytes(folder))}, random weights",
               shape=shape, tokens=tokens, dtype=dtype)

    ids = write_ids(run, folder, WARM_UP_TOKENS, tokens)
    for what, options in (("kvloupe, qk", ["--record", "qk"]), (f"kvloupe, maps of layer {layer}", ["--record", "full", "--layers", layer])):
        out = run.work / "capture.h5"
        parts = Path(f"{out}.parts")
        child = recorded(run, folder, ids, out, run.device, dtype, "--no-merge", *options)
        forward, disk = None, None
        if child.status == "done":
            forward, disk = seconds_of_last_sample(parts), tree_bytes(parts)
        report_pass(run, what, child, forward, disk)
        shutil.rmtree(parts, ignore_errors=True)
    for what, maps in (("eager, every map kept", "all"), (f"eager, maps of layer {layer}", layer)):
        out = run.work / "maps.bin"
        child = run.child([sys.executable, BENCHMARKS / "cuda_eager_peer.py", folder, "--tokens", tokens, "--maps", maps, "--device", run.device,
                           "--dtype", dtype, "--out", out])
        peer = json.loads(child.output) if child.status == "done" else {}
        if peer.get("out_of_memory"):
            child.status, child.error = "out of memory", f"after {peer['layers_kept']} layers"
        report_pass(run, what, child, peer.get("forward_seconds"), peer.get("disk_bytes"), write_seconds=peer.get("write_seconds"),
                    allocated_bytes=peer.get("allocated_bytes"), implementation=peer.get("implementation"))
        out.unlink(missing_ok=True)
