#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests of benchmarks/cuda_measure.py and scripts/cuda-bundle without a GPU.

usage: cuda_measure_test.py PROGRAMS
PROGRAMS is the folder of kvloupe. What needs torch, safetensors, h5py or transformers is skipped where they are missing.
"""
import contextlib
import importlib.util
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
ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "benchmarks"))
import cuda_measure  # noqa: E402
import cuda_measure_models  # noqa: E402

PROGRAMS = Path(sys.argv.pop(1)).resolve()


def needs(*packages):
    missing = [package for package in packages if importlib.util.find_spec(package) is None]
    return unittest.skipIf(missing, f"{sys.executable} lacks {', '.join(missing)}")


needs_models = unittest.skipUnless((PROGRAMS / "kvloupe-run").exists(), "built without LibTorch")


def script(folder, name, text):
    path = Path(folder) / name
    path.write_text("#!/bin/sh\n" + text)
    path.chmod(0o755)
    return path


class Quiet(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.printed = io.StringIO()
        quiet = contextlib.redirect_stdout(self.printed)
        quiet.__enter__()
        self.addCleanup(quiet.__exit__, None, None, None)

    def run_with(self, *arguments):
        run = cuda_measure.Run(cuda_measure.parsed(["--programs", str(PROGRAMS), "--work", str(self.folder / "work"), *arguments]))
        self.addCleanup(run.close)
        return run


class ChildTest(Quiet):
    def test_memory_of_a_program_is_watched(self):
        child = self.run_with("--dry-run").child([sys.executable, "-c", "import time; x = b'x' * (200 << 20); time.sleep(0.3); print(len(x))"])
        self.assertEqual((child.status, child.output, child.error), ("done", f"{200 << 20}\n", ""))
        self.assertGreater(child.host_anonymous_bytes, 200 << 20)
        self.assertLess(child.host_anonymous_bytes, 400 << 20)
        self.assertGreaterEqual(child.host_bytes, child.host_anonymous_bytes)
        self.assertIsNone(child.device_bytes)

    def test_a_program_that_takes_too_long_is_ended_with_those_it_started(self):
        mark = self.folder / "mark"
        program = script(self.folder, "slow", f"(sleep 2; touch {mark}) & sleep 60")
        with mock.patch.object(cuda_measure, "LEAST_SECONDS", 0):
            child = self.run_with("--dry-run").child([program], 0.5)
        self.assertEqual(child.status, "timed out")
        self.assertLess(child.seconds, 2)
        subprocess.run(["sleep", "2"], check=True)
        self.assertFalse(mark.exists())

    def test_nothing_is_begun_when_no_time_is_left(self):
        child = self.run_with("--dry-run", "--limit", "1").child(["touch", self.folder / "mark"])
        self.assertEqual(child.status, "timed out")
        self.assertFalse((self.folder / "mark").exists())

    def test_memory_that_ran_out_is_told_from_other_failures(self):
        run = self.run_with("--dry-run")
        for text, status in (("kvloupe: error: device cuda: 10.0 MiB are needed, 3.0 of 80.0 MiB are free", "out of memory"),
                             ("CUDA out of memory. Tried to allocate 8 GiB", "out of memory"), ("no such layer", "failed")):
            child = run.child([script(self.folder, "fails", f"echo begun >&2; echo '{text}' >&2; exit 1")])
            self.assertEqual((child.status, child.error), (status, text))
        self.assertEqual(run.child([self.folder / "absent"]).status, "failed")


class DriverTest(Quiet):
    def test_an_unknown_stage_is_wrong_usage(self):
        with contextlib.redirect_stderr(io.StringIO()) as errors, self.assertRaises(SystemExit) as end:
            cuda_measure.parsed(["--stages", "kernels,nonsense"])
        self.assertEqual(end.exception.code, 2)
        self.assertIn("there is no nonsense", errors.getvalue())

    def test_a_stage_that_fails_does_not_take_the_others_along(self):
        def broken(run):
            raise ValueError("first line\nthe reason")

        with mock.patch.dict(cuda_measure.STAGES, {"bandwidth": broken}):
            status = cuda_measure.main(["--dry-run", "--stages", "bandwidth,kernels", "--out", str(self.folder / "out.jsonl")])
        lines = [json.loads(line) for line in (self.folder / "out.jsonl").read_text().splitlines()]
        self.assertEqual(status, 1)
        self.assertEqual([(line["stage"], line["status"]) for line in lines], [("bandwidth", "failed"), ("kernels", "skipped")])
        self.assertEqual(lines[0]["text"], "ValueError: the reason")
        self.assertTrue(self.printed.getvalue().rstrip().endswith("no time or size above is a measurement."))

    def test_stages_without_time_are_skipped(self):
        self.assertEqual(cuda_measure.main(["--dry-run", "--limit", "0", "--stages", "environment,agreement"]), 0)
        self.assertEqual(self.printed.getvalue().count("no time left\n"), 2)

    @needs("torch")
    def test_times_are_held_against_writing_and_flash_attention(self):
        import cuda_flash_attention
        lines = [json.dumps({"type": kind, "record": record, "milliseconds": ms, "written_bytes": 2e9, "write_bytes_per_second": 2e12})
                 for kind, record, ms in (("bfloat16", "qk", 1.5), ("float", "qk", 1.7), ("bfloat16", "full", 1.3), ("float16", "full", 1.5))]
        run = self.run_with("--programs", str(self.folder), "--stages", "attention")
        run.gpu, run.device_memory_free = True, lambda: 0
        text = "'\necho '".join(lines)
        script(self.folder, "cuda_attention_benchmark", f"echo '  entropy  2e-2: WRONG'\necho '{text}'\nexit 1")
        with mock.patch.multiple(cuda_flash_attention, fused_ms=lambda *tensors: 1.0, inputs=lambda *shape: []):
            cuda_measure.attention(run)
        self.assertEqual([(r["what"], r["status"], round(r.get("ratio", 0), 3)) for r in run.results],
                         [("against the definition, twice", "failed", 0), ("qk, bfloat16", "ok", 1.5), ("qk, float32", "missed", 1.7),
                          ("full, bfloat16", "ok", 1.3), ("full, float16", "missed", 1.5)])
        self.assertIn("WRONG", run.results[0]["text"])

    def test_device_tests_that_were_skipped_are_a_failure_where_there_is_a_gpu(self):
        run = self.run_with("--programs", str(self.folder))
        run.gpu, run.device_memory_free = True, lambda: 0
        with mock.patch.object(cuda_measure, "torch", mock.MagicMock()):
            outputs = {"[  PASSED  ] 2 tests.": "ok", "[  SKIPPED ] CudaKernels.x\n[  PASSED  ] 1 test.": "failed", "": "failed"}
            for output, status in outputs.items():
                script(self.folder, "cuda_device_tests", f"echo '{output}'")
                cuda_measure.kernels(run)
                self.assertEqual(run.results[-1]["status"], status, output)

    @needs_models
    @needs("torch", "safetensors", "h5py", "numpy")
    def test_a_dry_run_goes_through_every_stage(self):
        status = cuda_measure.main(["--dry-run", "--programs", str(PROGRAMS), "--out", str(self.folder / "out.jsonl")])
        results = [json.loads(line) for line in (self.folder / "out.jsonl").read_text().splitlines()]
        self.assertEqual(status, 0, results)
        found = {(r["stage"], r["what"]): r for r in results}
        for stage in ("bandwidth", "kernels", "attention"):
            self.assertEqual((found[stage, ""]["status"], found[stage, ""]["text"]), ("skipped", "no GPU"))
        self.assertEqual(found["agreement", "cpu float32: statistics of its queries and keys"]["status"], "ok")
        self.assertEqual(found["agreement", "cpu float32: two runs"]["text"], "the same bits")
        self.assertEqual(found["agreement", "cpu float32: kept sets beside the CPU's"]["equal"], 21)
        self.assertEqual(found["evaluation", "cpu float32: two runs"]["status"], "ok")
        responses = found["evaluation", "cpu float32: responses beside the CPU's"]
        self.assertEqual((responses["equal"], responses["of"]), (36, 36))
        for what in ("kvloupe, qk", "kvloupe, maps of layer 2", "eager, every map kept", "eager, maps of layer 2"):
            result = found["capture", what]
            self.assertEqual(result["status"], "measured", result)
            self.assertGreater(result["forward_seconds"], 0)
            self.assertGreater(result["disk_bytes"], 0)
        self.assertEqual(found["capture", "eager, every map kept"]["disk_bytes"], 4 * 8 * 400 * 400 * 2)


@needs_models
@needs("torch", "safetensors", "h5py", "numpy")
class RecordingChecksTest(Quiet):
    def setUp(self):
        super().setUp()
        run = self.run_with("--dry-run")
        model = cuda_measure_models.checkpoint(run, "llama-small")
        self.recording = self.folder / "r.h5"
        ids = cuda_measure_models.write_ids(run, model, 100)
        child = cuda_measure_models.recorded(run, model, ids, self.recording, "cpu", "float32", "--record", "full")
        self.assertEqual(child.status, "done", child.error)

    def test_a_changed_number_is_found(self):
        import cuda_recording_checks as checks
        import h5py
        changed = self.folder / "changed.h5"
        changed.write_bytes(self.recording.read_bytes())
        self.assertEqual(checks.differing_arrays(self.recording, changed), [])
        with h5py.File(changed, "r+") as file:
            entropies = file["samples/000000/layers/01/row_entropy"]
            entropies[3, 50] = entropies[3, 50] * 1.01
        self.assertEqual(checks.differing_arrays(self.recording, changed), ["samples/000000/layers/01/row_entropy"])
        self.assertAlmostEqual(checks.statistics_errors(changed)["row_entropy"], 0.01, delta=1e-4)
        self.assertLess(checks.statistics_errors(changed)["row_logsumexp"], 1e-6)
        self.assertAlmostEqual(checks.statistics_differences(changed, self.recording)["row_entropy"], 0.01, delta=1e-4)

    def test_windows_hide_what_is_further_back(self):
        import cuda_recording_checks as checks
        import numpy as np
        vectors = np.zeros((6, 2))
        statistics = checks.statistics_of_head(vectors, vectors, 1.0, 2)
        np.testing.assert_allclose(statistics["row_max"], [1, .5, .5, .5, .5, .5])
        np.testing.assert_allclose(statistics["column_sum"], [1.5, 1, 1, 1, 1, .5])
        np.testing.assert_allclose(statistics["row_sink_mass"], [1, 1, 1, 1, .5, 0])
        np.testing.assert_allclose(statistics["row_entropy"][1:], np.log(2))

    def test_an_array_that_is_missing_or_not_a_number_is_no_agreement(self):
        import cuda_recording_checks as checks
        import h5py
        changed = self.folder / "changed.h5"
        changed.write_bytes(self.recording.read_bytes())
        with h5py.File(changed, "r+") as file:
            del file["samples/000000/layers/00/values"]
            file["samples/000000/layers/00/row_max"][0, 0] = float("nan")
        self.assertEqual(checks.differing_arrays(self.recording, changed), ["samples/000000/layers/00/row_max", "samples/000000/layers/00/values"])
        self.assertEqual(checks.statistics_errors(changed)["row_max"], float("inf"))


@needs("torch", "safetensors", "transformers")
class EagerPeerTest(Quiet):
    def test_without_transformers_the_same_is_computed(self):
        import cuda_eager_peer as peer
        import torch
        model = cuda_measure_models.checkpoint(self.run_with("--dry-run"), "llama-small")
        config = json.loads((model / "config.json").read_text())
        config["rope_scaling"] = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                                  "original_max_position_embeddings": 128}
        (model / "config.json").write_text(json.dumps(config))
        ids = torch.tensor([peer.prompt_ids(200, config["vocab_size"])])
        results = []
        for alone in (False, True):
            maps = {}
            with torch.inference_mode():
                logits = peer.load(model, torch.float32, torch.device("cpu"), alone)[0].forward(ids, maps.__setitem__)
            results.append((logits[0, -1], maps))
        torch.testing.assert_close(results[0][0], results[1][0], rtol=1e-4, atol=1e-4)
        self.assertEqual(sorted(results[0][1]), list(range(4)))
        for layer in range(4):
            torch.testing.assert_close(results[0][1][layer], results[1][1][layer], rtol=1e-3, atol=1e-5)


class BundleTest(Quiet):
    """With kvloupe in place of the programs that only a build for CUDA has."""

    def setUp(self):
        super().setUp()
        (self.folder / "build/bin").mkdir(parents=True)
        for name in ("kvloupe", "kvloupe-run", "cuda_device_tests", "cuda_attention_benchmark"):
            (self.folder / "build/bin" / name).write_bytes((PROGRAMS / "kvloupe").read_bytes())
            (self.folder / "build/bin" / name).chmod(0o755)
        self.torch("linked", "2.11.0+cu130")
        (self.folder / "build/CMakeCache.txt").write_text(f"KVLOUPE_CUDA_TORCH:PATH={self.folder}/linked/torch\n")

    def torch(self, folder, version):
        package = self.folder / folder / "torch"
        (package / "lib").mkdir(parents=True)
        (package / "__init__.py").write_text("raise ImportError('finding it is enough')")
        (package / "version.py").write_text(f"__version__ = '{version}'\ncuda: Optional[str] = '13.0'\n")

    def bundle(self, *arguments):
        command = [ROOT / "scripts/cuda-bundle", *arguments, "--build", self.folder / "build"]
        return subprocess.run([str(part) for part in command], capture_output=True, text=True)

    def launched(self, torch, *arguments):
        return subprocess.run([str(self.folder / "out/run"), *arguments], capture_output=True, text=True, cwd="/",
                              env={"PATH": "/usr/bin:/bin", "PYTHON": sys.executable, "PYTHONPATH": str(self.folder / torch),
                                   "PYTHONDONTWRITEBYTECODE": "1"})

    def test_programs_start_beside_the_torch_they_were_linked_with_and_no_other(self):
        made = self.bundle(self.folder / "out")
        self.assertEqual(made.returncode, 0, made.stderr)
        self.assertIn("torch 2.11.0+cu130, cuda 13.0, glibc GLIBC_2.", made.stdout)
        libraries = {path.name.split(".so")[0] for path in (self.folder / "out/lib").iterdir()}
        self.assertIn("libhdf5_serial", libraries)
        self.assertTrue(libraries.isdisjoint({"libc", "libm", "libstdc++", "libgcc_s", "ld-linux-x86-64", "libtorch", "libcudart"}))
        self.torch("patch", "2.11.1")
        self.torch("newer", "2.12.0")
        for torch in ("linked", "patch"):
            started = self.launched(torch, "kvloupe", "--version")
            self.assertEqual((started.returncode, started.stderr), (0, ""))
            self.assertTrue(started.stdout.startswith("kvloupe "))
        refused = self.launched("newer", "kvloupe", "--version")
        self.assertEqual(refused.returncode, 1)
        self.assertIn("linked with torch 2.11.0+cu130", refused.stderr)
        self.assertEqual(self.launched("linked", "check").returncode, 0)
        self.assertIn("there is no program nonsense", self.launched("linked", "nonsense").stderr)
        dry = self.launched("absent", "measure", "--dry-run", "--stages", "kernels")
        self.assertEqual(dry.returncode, 0, dry.stderr)

    def test_what_does_not_travel_is_refused(self):
        self.assertIn("more than 0", self.bundle(self.folder / "out.tar.gz", "--limit", "0").stderr)
        (self.folder / "build/bin/kvloupe-run").unlink()
        self.assertIn("kvloupe-run was not built", self.bundle(self.folder / "other").stderr)
        self.assertFalse((self.folder / "other").exists())


if __name__ == "__main__":
    unittest.main()
