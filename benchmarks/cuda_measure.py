#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures and checks everything that needs a GPU, stage by stage; docs/cuda.md says how to take it to a machine that has one.

usage: cuda_measure.py [--stages STAGE,...] [--limit SECONDS] [--out F.jsonl] ...
needs: torch for CUDA; safetensors, h5py and numpy for the stages that run models; the programs of the preset cuda, or a bundle of
scripts/cuda-bundle. Every result is a line of JSON, a table ends the output. Exit status 1 if a check failed; a missed target or memory
that ran out is a result. --dry-run takes small shapes and the CPU: it shows that the stages work, and measures nothing.
"""
import argparse
import json
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "benchmarks"))
import cuda_measure_models  # noqa: E402

try:
    import torch
except ImportError:
    torch = None

FULL_TARGET = 1.4  # times the time of writing the same bytes
QK_TARGET = 1.5  # times the time of flash attention
# Less is left for a program than that: it is not begun.
LEAST_SECONDS = 10


def last_line(text):
    """The last line that says something, past what a progress bar leaves; the last one that speaks of an error if there is one."""
    lines = [line.strip() for line in re.split(r"[\r\n]", text) if line.strip()]
    return ([line for line in lines if "error: " in line.lower()] or lines or [""])[-1]


def of_process(pid, field):
    """VmHWM or RssAnon in bytes; 0 once the process is gone."""
    try:
        found = re.search(rf"^{field}:\s+(\d+)", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
        return int(found[1]) << 10 if found else 0
    except OSError:
        return 0


@dataclass
class Child:
    """What a program did that ran until its end or its limit."""
    status: str  # done, failed, out of memory, timed out
    seconds: float
    output: str
    error: str  # last line on stderr
    host_bytes: int  # resident at most, with mapped files
    host_anonymous_bytes: int  # without them
    device_bytes: int | None  # more than before on the whole device, at most; null without a GPU

    def numbers(self):
        return {"wall_seconds": self.seconds, "host_bytes": self.host_bytes, "host_anonymous_bytes": self.host_anonymous_bytes,
                "device_bytes": self.device_bytes}


class Run:
    """What the stages share: options, programs, the time that is left, results."""

    def __init__(self, options):
        self.options = options
        self.gpu = not options.dry_run and torch is not None and torch.cuda.is_available()
        self.device = "cuda" if self.gpu else "cpu"
        self.ends = time.monotonic() + options.limit
        self.results = []
        self.out = open(options.out, "w") if options.out else None
        self.work = Path(options.work or tempfile.mkdtemp(prefix="cuda-measure-"))
        self.work.mkdir(parents=True, exist_ok=True)

    def close(self):
        if self.out:
            self.out.close()
        if not self.options.work:
            shutil.rmtree(self.work)

    def why_not(self):
        """Why nothing that needs a GPU can be run; empty where it can."""
        return "" if self.gpu else "no torch" if torch is None else "no GPU"

    def program(self, name):
        """The command that starts a program: of the bundle that this file lies in, or of --programs."""
        launcher = ROOT / "run"
        if launcher.is_file() and not self.options.programs:
            return [str(launcher), name]
        return [str(Path(self.options.programs or ROOT / "build/cuda/bin") / name)]

    def seconds_left(self):
        return self.ends - time.monotonic()

    def report(self, stage, what, status, text, **numbers):
        """status: ok, missed (of a target), measured, skipped, out of memory, timed out, failed."""
        result = {"stage": stage, "what": what, "status": status, "text": text, "device": self.device, **numbers}
        self.results.append(result)
        line = json.dumps(result)
        print(line, flush=True)
        if self.out:
            self.out.write(line + "\n")
            self.out.flush()

    def device_memory_free(self):
        return torch.cuda.mem_get_info()[0] if self.gpu else 0

    def child(self, command, limit=None):
        """Runs a program and watches its memory. It gets what is left of the time, or `limit` seconds if that is less."""
        limit = min(limit or self.seconds_left(), self.seconds_left())
        if limit < LEAST_SECONDS:
            return Child("timed out", 0.0, "", "not begun, no time is left", 0, 0, None)
        if self.gpu:
            torch.cuda.empty_cache()
        free = least_free = self.device_memory_free()
        host = anonymous = 0
        with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
            began = time.monotonic()
            try:
                process = subprocess.Popen([str(part) for part in command], stdout=output, stderr=errors, start_new_session=True)
            except OSError as error:
                return Child("failed", 0.0, "", str(error), 0, 0, None)
            timed_out = False
            while process.poll() is None:
                host = max(host, of_process(process.pid, "VmHWM"))
                anonymous = max(anonymous, of_process(process.pid, "RssAnon"))
                least_free = min(least_free, self.device_memory_free())
                if time.monotonic() - began > limit:
                    timed_out = True
                    os.killpg(process.pid, signal.SIGKILL)
                    process.wait()
                time.sleep(0.01)
            seconds = time.monotonic() - began
            output.seek(0)
            errors.seek(0)
            text, said = output.read(), errors.read()
        status = "timed out" if timed_out else "done" if process.returncode == 0 else "failed"
        if status == "failed" and (process.returncode == -signal.SIGKILL or re.search(r"out of memory|MiB are needed|bad_alloc", said)):
            status = "out of memory"
        error = last_line(said) or f"exit status {process.returncode}"
        return Child(status, seconds, text, "" if status == "done" else error, host, anonymous, free - least_free if self.gpu else None)


def environment(run):
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    versions = {"system": platform.platform(), "libc": " ".join(platform.libc_ver()), "python": platform.python_version(),
                "torch": torch and torch.__version__, "torch_cuda": torch and torch.version.cuda, "cpus": os.cpu_count(), "memory_bytes": memory}
    if run.gpu:
        properties = torch.cuda.get_device_properties(0)
        versions |= {"gpu": properties.name, "compute_capability": f"{properties.major}.{properties.minor}",
                     "device_memory_bytes": properties.total_memory, "multiprocessors": properties.multi_processor_count}
        driver = run.child(["nvidia-smi", "--query-gpu=driver_version,memory.used", "--format=csv,noheader"], 60)
        versions["driver"] = driver.output.strip() or driver.error
    text = f"{versions.get('gpu', run.why_not() or 'GPU')}, torch {versions['torch']}, {versions['cpus']} CPUs"
    run.report("environment", "machine", "measured", text, **versions)
    command = run.program("check") if (ROOT / "run").is_file() and not run.options.programs else [*run.program("kvloupe"), "--version"]
    found = run.child(command, 60)
    run.report("environment", "programs", "ok" if found.status == "done" else "failed", last_line(found.output) or found.error)


def bandwidth(run):
    """The two ceilings of every kernel, and that of copies to the host."""
    if run.why_not():
        return run.report("bandwidth", "", "skipped", run.why_not())
    from cuda_flash_attention import median_ms

    def copied(what, target, source, times):
        ms = median_ms(lambda: target.copy_(source, non_blocking=True))
        rate = times * source.nbytes / ms * 1e3
        run.report("bandwidth", what, "measured", f"{rate / 1e9:.1f} GB/s", bytes_per_second=rate)

    source = torch.randint(0, 255, (4 << 30,), dtype=torch.uint8, device="cuda")
    target = torch.empty_like(source)
    copied("copy on the device, read and written", target, source, 2)
    ms = median_ms(lambda: target.fill_(1))
    run.report("bandwidth", "writing alone", "measured", f"{target.nbytes / ms / 1e6:.1f} GB/s", bytes_per_second=target.nbytes / ms * 1e3)
    pinned = torch.empty(1 << 30, dtype=torch.uint8, pin_memory=True)
    copied("copy to pinned memory of the host", pinned, source[: 1 << 30], 1)
    copied("copy from pinned memory of the host", source[: 1 << 30], pinned, 1)
    del source, target
    for dtype in (torch.bfloat16, torch.float32):
        a, b = (torch.randn(8192, 8192, device="cuda", dtype=dtype) for _ in range(2))
        rate = 2 * 8192**3 / median_ms(lambda: a @ b) * 1e3
        run.report("bandwidth", f"product of 8192 x 8192 matrices, {str(dtype)[6:]}", "measured", f"{rate / 1e12:.1f} TFLOP/s",
                   flops_per_second=rate)


def kernels(run, checker=(), stage="kernels"):
    """Launches against the same programs on the CPU."""
    if run.why_not():
        return run.report(stage, "", "skipped", run.why_not())
    tests = run.child([*checker, *run.program("cuda_device_tests")])
    passed = re.search(r"\[  PASSED  \] (\d+) tests?", tests.output)
    skipped = "[  SKIPPED ]" in tests.output
    status = "failed" if tests.status == "done" and (skipped or not passed) else "ok" if tests.status == "done" else tests.status
    text = f"{passed[1] if passed else 0} tests passed, {tests.seconds:.0f} s"
    if status != "ok":
        text += "; " + "; ".join(line for line in tests.output.splitlines() if "Failure" in line or "[  FAILED  ]" in line)[:300]
        text += f"; {tests.error}" if tests.error else ""
    run.report(stage, "cuda_device_tests", status, text, **tests.numbers())


def sanitizer(run):
    """The same under the tools that find accesses out of bounds and races; takes minutes, and is no stage unless it is named."""
    tool = shutil.which("compute-sanitizer") or "/usr/local/cuda/bin/compute-sanitizer"
    if not Path(tool).is_file():
        return run.report("sanitizer", "", "skipped", "no compute-sanitizer")
    for check in ("memcheck", "racecheck", "initcheck", "synccheck"):
        kernels(run, (tool, "--tool", check, "--error-exitcode", "9", "--target-processes", "all"), f"sanitizer {check}")


def attention(run):
    """Time of attention with its record, beside writing the same bytes and beside flash attention."""
    if run.why_not():
        return run.report("attention", "", "skipped", run.why_not())
    import cuda_flash_attention
    shape = [32, 8, run.options.tokens, 128]
    timed = run.child([*run.program("cuda_attention_benchmark"), *shape, "json"])
    wrong = [line.strip() for line in timed.output.splitlines() if "WRONG" in line or "OTHER BITS" in line]
    status = "ok" if timed.status == "done" else timed.status
    text = "; ".join(wrong)[:300] or timed.error or "all within their bounds"
    run.report("attention", "against the definition, twice", status, text, **timed.numbers())
    for line in [json.loads(line) for line in timed.output.splitlines() if line.startswith("{")]:
        dtype = getattr(torch, {"float": "float32"}.get(line["type"], line["type"]))
        ms = line["milliseconds"]
        if line["record"] == "full":
            peer, other, target = "writing alone", line["written_bytes"] / line["write_bytes_per_second"] * 1e3, FULL_TARGET
        else:
            peer = "memory-efficient attention" if dtype == torch.float32 else "flash attention"
            other = cuda_flash_attention.fused_ms(*cuda_flash_attention.inputs(*shape, dtype))
            target = QK_TARGET if line["record"] == "qk" else None
        ratio = ms / other
        status = "measured" if target is None else "ok" if ratio <= target else "missed"
        text = f"{ms:.2f} ms, {peer} {other:.2f} ms: x {ratio:.2f}" + (f", target {target}" if target else "")
        run.report("attention", f"{line['record']}, {str(dtype)[6:]}", status, text, ratio=ratio, target=target, peer_milliseconds=other, **line)


STAGES = {"environment": environment, "bandwidth": bandwidth, "kernels": kernels, "sanitizer": sanitizer, "attention": attention,
          "agreement": cuda_measure_models.agreement, "evaluation": cuda_measure_models.evaluation, "capture": cuda_measure_models.capture}
DEFAULT = [stage for stage in STAGES if stage != "sanitizer"]


def table(results):
    rows = [(r["stage"], r["what"], r["status"], r["text"]) for r in results]
    widths = [max(len(row[i]) for row in rows) for i in range(3)]
    return "\n".join("  ".join([*(cell.ljust(width) for cell, width in zip(row, widths)), row[3]]).rstrip() for row in rows)


def parsed(arguments):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--stages", default=",".join(DEFAULT), help=f"some of {', '.join(STAGES)}")
    parser.add_argument("--limit", type=float, default=540, help="seconds for everything; a program that would take longer is ended")
    parser.add_argument("--out", help="file for the lines of JSON")
    parser.add_argument("--programs", help="folder of the programs, where this is no bundle")
    parser.add_argument("--work", help="folder for models and recordings, kept; default: one that is removed")
    parser.add_argument("--shape", default="llama-3.1-8b", help="model of the stage capture, of make_random_checkpoint.py")
    parser.add_argument("--tokens", type=int, default=8192, help="prompt of the stages attention and capture")
    parser.add_argument("--dry-run", action="store_true", help="small shapes, on the CPU")
    options = parser.parse_args(arguments)
    options.stages = options.stages.split(",")
    for stage in options.stages:
        if stage not in STAGES:
            parser.error(f"--stages: there is no {stage}, only {', '.join(STAGES)}")
    if options.dry_run:
        options.shape, options.tokens = "llama-small", min(options.tokens, 400)
    return options


def main(arguments=None):
    run = Run(parsed(arguments))
    try:
        for stage in run.options.stages:
            if run.seconds_left() < LEAST_SECONDS:
                run.report(stage, "", "skipped", "no time left")
                continue
            try:
                STAGES[stage](run)
            except Exception as error:  # one stage does not take the others along
                memory = torch is not None and isinstance(error, torch.OutOfMemoryError)
                run.report(stage, "", "out of memory" if memory else "failed", f"{type(error).__name__}: {last_line(str(error))}")
    finally:
        run.close()
    print("\n" + table(run.results))
    if run.options.dry_run:
        print("\nA dry run on the CPU: no time or size above is a measurement.")
    return 1 if any(result["status"] == "failed" for result in run.results) else 0


if __name__ == "__main__":
    sys.exit(main())
