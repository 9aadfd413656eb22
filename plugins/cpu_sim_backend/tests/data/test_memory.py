"""Simulating many samples takes no more memory than simulating few: whole processes, peak and all.

What is measured is the resident memory of ``amct simulate`` at its highest (VmHWM), mapped files
included.  Data and results of the larger run are many times the allowed difference.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, List

import numpy as np
import pytest

from plugins.cpu_sim_backend.tests.integers.one_quantized import word

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="peak memory is read from Linux's /proc"
)

SIDE, FEW, MANY = 64, 40, 1200
SAMPLE = 3 * SIDE * SIDE
ALLOWED = 8 << 20

MEASURED = """
import sys
from amct_core.cli.main import cli

try:
    cli(sys.argv[1:], prog_name="amct")
finally:
    (line,) = [x for x in open("/proc/self/status") if x.startswith("VmHWM:")]
    print(line.split()[1], file=sys.stderr)
"""


@pytest.fixture(scope="module")
def prefix(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return a deployable network whose blobs are as large as its input."""
    from amct_caffe.model.formats.caffemodel import writer

    folder = tmp_path_factory.mktemp("network")
    (folder / "n_deploy_model.prototxt").write_text(
        f"""
        layer {{ name: "data" type: "Input" top: "data"
          input_param {{ shape {{ dim: 1 dim: 3 dim: {SIDE} dim: {SIDE} }} }} }}
        layer {{ name: "quant" type: "Quant" bottom: "data" top: "q"
          quant_param {{ scale: 1.0 offset: "\\200" }} }}
        layer {{ name: "conv" type: "Convolution" bottom: "q" top: "sums"
          convolution_param {{ num_output: 3 kernel_size: 1 }} }}
        layer {{ name: "dequant" type: "DeQuant" bottom: "sums" top: "out" }}
        """
    )
    blobs: List[Any] = [np.ones((3, 3, 1, 1), np.int8), np.zeros(3, np.int32)]
    words = [np.full(3, word(0.5), np.uint64)]
    with (folder / "n_deploy_weights.caffemodel").open("wb") as stream:
        layers = [("conv", "Convolution", blobs), ("dequant", "DeQuant", words)]
        writer.write(stream, "n", layers)
    return str(folder / "n")


def write_npz(folder: Path, samples: int) -> List[str]:
    values = np.arange(samples * SAMPLE, dtype=np.uint32).astype(np.uint8)
    np.savez(folder / "x.npz", data=values.reshape(samples, 3, SIDE, SIDE).astype(np.float32))
    return ["--data", str(folder / "x.npz")]


def write_images(folder: Path, samples: int) -> List[str]:
    image = pytest.importorskip("PIL.Image")
    (folder / "images").mkdir()
    for index in range(samples):
        pixels = np.full((SIDE, SIDE, 3), index % 256, np.uint8)
        image.fromarray(pixels).save(folder / f"images/{index}.ppm")
    (folder / "pre.json").write_text(json.dumps({"channels": "BGR", "mean": [1, 2, 3]}))
    return ["--data", str(folder / "images"), "--preprocess", str(folder / "pre.json")]


SOURCES = {"npz": write_npz, "image folder": write_images}


def peak(prefix: str, folder: Path, source: str, engine: str, samples: int) -> int:
    """Return the most memory that ``amct simulate`` had on ``samples`` samples, in bytes."""
    folder = folder / str(samples)
    folder.mkdir()
    output = folder / "y.npz"
    outputs = [option for blob in ("q", "sums", "out") for option in ("--outputs", blob)]
    command = [
        "simulate", prefix, *SOURCES[source](folder, samples), "-o", str(output), *outputs,
        "--batch-size", "20", "--engine", engine,
    ]  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, *command], cwd=folder, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    with np.load(output) as written:
        shapes: Dict[str, Any] = {name: written[name].shape for name in written.files}
    assert shapes == dict.fromkeys(("q", "sums", "out"), (samples, 3, SIDE, SIDE))
    return int(done.stderr.split()[-1]) * 1024


@pytest.mark.parametrize("engine", ["reference", "fast"])
@pytest.mark.parametrize("source", SOURCES)
def test_thirty_times_the_samples_need_no_more_memory(
    prefix: str, tmp_path: Path, source: str, engine: str
) -> None:
    if engine == "fast":
        pytest.importorskip("numba")
        pytest.importorskip("onnxruntime")
    results = (MANY - FEW) * SAMPLE * (1 + 4 + 4)
    assert results > 10 * ALLOWED
    few, many = (peak(prefix, tmp_path, source, engine, samples) for samples in (FEW, MANY))
    assert many - few < ALLOWED
