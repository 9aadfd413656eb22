"""Peak memory of ``amct simulate`` on few and on many samples.

Each run is a process of its own; what counts is the most resident memory that it ever had (Linux's
VmHWM), mapped files included.  ``excess`` is what the many samples took beyond the few.  Weights
are random and bounds arbitrary: neither changes the memory.  Images of a folder are links to a few
files, and the ``.npz`` file is compressed, so that 10,000 samples need little space on the disk.

It prints one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path
from typing import Any, Callable, Dict, List, Tuple

import numpy as np
from PIL import Image
from simulation_speed import deployed

ROOT = Path(__file__).resolve().parent.parent
NETWORKS: Dict[str, Tuple[str, Tuple[int, int, int]]] = {
    "lenet": ("lenet/lenet.prototxt", (1, 28, 28)),
    "squeezenet": ("squeezenet/SqueezeNet_deploy.prototxt", (3, 227, 227)),
}
"""Prototxt below ``models``, and the shape of an image."""

COUNTS = {
    ("lenet", "reference"): (100, 10000),
    ("lenet", "fast"): (100, 10000),
    ("squeezenet", "reference"): (100, 200),
    ("squeezenet", "fast"): (100, 10000),
}
"""How many samples; the reference engine would need hours for 10,000 images of SqueezeNet."""

BATCH = 20
DIFFERENT_IMAGES = 8

MEASURED = """
import sys
from amct_core.cli.main import cli

try:
    cli(sys.argv[1:], prog_name="amct")
finally:
    (line,) = [x for x in open("/proc/self/status") if x.startswith("VmHWM:")]
    print(line.split()[1], file=sys.stderr)
"""


def write_npz(folder: Path, shape: Tuple[int, int, int], samples: int) -> List[str]:
    """Write an ``.npz`` file of uint8 images; return the options that name it."""
    path = folder / f"{samples}.npz"
    image = np.arange(np.prod(shape), dtype=np.uint32).astype(np.uint8).tobytes()
    header = {"descr": "|u1", "fortran_order": False, "shape": (samples, *shape)}
    deflated = zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1)
    with deflated as archive, archive.open("data.npy", "w", force_zip64=True) as member:
        np.lib.format.write_array_header_1_0(member, header)
        for _ in range(samples):
            member.write(image)
    return ["--data", str(path)]


def write_images(folder: Path, shape: Tuple[int, int, int], samples: int) -> List[str]:
    """Make a folder of images; return the options that name it and declare a preprocessing."""
    channels, height, width = shape
    generator = np.random.default_rng(0)
    for index in range(DIFFERENT_IMAGES):
        pixels = generator.integers(0, 256, (height + 9, width + 30, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{index}.jpg")
    images = folder / f"images{samples}"
    images.mkdir()
    for index in range(samples):
        (images / f"{index:05d}.jpg").symlink_to(folder / f"{index % DIFFERENT_IMAGES}.jpg")
    declaration = folder / "pre.json"
    declared = {
        "channels": "GRAY" if channels == 1 else "BGR",
        "resize": {"short_side": height + 4},
        "crop": {"width": width, "height": height},
        "scale": 0.0078125,
    }
    declaration.write_text(json.dumps(declared))
    return ["--data", str(images), "--preprocess", str(declaration)]


SOURCES: Dict[str, Callable[[Path, Tuple[int, int, int], int], List[str]]] = {
    "npz": write_npz,
    "images": write_images,
}


def run(prefix: str, options: List[str], engine: str, folder: Path) -> Dict[str, Any]:
    """Simulate in a process of its own; return its peak memory in MiB and its seconds."""
    start = time.perf_counter()
    command = ["simulate", prefix, *options, "-o", str(folder / "y.npz"), "--engine", engine]
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, *command, "--batch-size", str(BATCH)],
        check=False,
        cwd=folder,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise RuntimeError(done.stderr)
    peak = int(done.stderr.split()[-1]) / 1024
    return {"peak_mib": round(peak, 1), "seconds": round(time.perf_counter() - start, 1)}


def measure(
    shared: Path, network: str, engine: str, source: str, counts: Tuple[int, int]
) -> Dict[str, Any]:
    """Return the peaks of one network, engine and kind of data."""
    model, shape = NETWORKS[network]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prefix = deployed(shared / "models" / model, folder)
        few, many = (
            run(prefix, SOURCES[source](folder, shape, samples), engine, folder)
            for samples in counts
        )
    return {
        "network": network,
        "engine": engine,
        "source": source,
        "samples": list(counts),
        "few": few,
        "many": many,
        "excess_mib": round(many["peak_mib"] - few["peak_mib"], 1),
    }


def main() -> None:
    """Print the measurement as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shared", type=Path, default=os.environ.get("AMCT_SHARED"))
    parser.add_argument("--network", action="append", choices=sorted(NETWORKS), help="default: all")
    parser.add_argument("--engine", action="append", choices=("reference", "fast"))
    parser.add_argument("--source", action="append", choices=sorted(SOURCES))
    parser.add_argument("--samples", type=int, nargs=2, help="few and many; default: by engine")
    arguments = parser.parse_args()
    shared = Path(arguments.shared or ROOT.parent / "shared").resolve()
    results = [
        measure(shared, network, engine, source, arguments.samples or COUNTS[network, engine])
        for network in arguments.network or NETWORKS
        for engine in arguments.engine or ("reference", "fast")
        for source in arguments.source or SOURCES
    ]
    print(json.dumps({"batch": BATCH, "runs": results}, indent=2))


if __name__ == "__main__":
    main()
