"""Networks of public repositories through ``amct qat run``, and proof on data of their shape.

Needs clones of the repositories that ``public_files`` names, each as ``<owner>+<name>`` in one
folder: that of ``--repositories`` or ``AMCT_REPOSITORIES``.  Each network is quantized in every
layer and trained for four iterations; then ``amct verify`` compares Caffe with the integers, the
ONNX model runs in onnxruntime beside the simulation, and ``amct lint`` reads the deployable model.
The script prints one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Dict, List

os.environ.setdefault("GLOG_minloglevel", "2")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "2")

import numpy as np
import onnx
import onnxruntime
from networks import Array
from onnx import helper
from public_files import NETWORKS, PublicNetwork, prepare, samples

from amct_core.errors import AmctError
from amct_core.file_names import deploy_files
from cpu_sim_backend import Simulator

SAVED = "qat/result/model"


def amct(*arguments: str) -> Dict[str, Any]:
    """Run a command of ours; return its exit status and what it printed as JSON."""
    command = [sys.executable, "-m", "amct_core", *arguments]
    ended = subprocess.run(command, capture_output=True, text=True)
    printed = json.loads(ended.stdout) if ended.stdout.startswith(("{", "[")) else None
    errors = [line for line in ended.stderr.splitlines() if line.startswith("Error")]
    return {"status": ended.returncode, "printed": printed, "error": errors}


def measure(repositories: Path, network: PublicNetwork, images: Array) -> Dict[str, Any]:
    """Take one network through every step in the working folder."""
    prepare(repositories, network, images)
    run = amct(
        "qat",
        "run",
        "net.prototxt",
        "net.caffemodel",
        "--solver",
        "solver.prototxt",
        "-o",
        "qat",
        "--json",
    )
    if run["status"]:
        return {"run": run}
    feed = inputs(images)
    np.savez("x.npz", **feed)
    verified = amct("verify", SAVED, "--data", "x.npz", "--json")
    report = verified["printed"] or {}
    linted = amct("lint", SAVED, "--json")
    findings = (linted["printed"] or {}).get("findings", [])
    return {
        "verify": {
            "status": verified["status"],
            **{
                key: report.get(key)
                for key in (
                    "exact",
                    "exact_integers",
                    "missing_layers",
                    "inexact_float_layers",
                    "fed_layers",
                )
            },
            "error": verified["error"],
        },
        "quantized_layers": len(report.get("layers", [])),
        "differing_integers": sum(
            layer[f"{what}_mismatches"]
            for layer in report.get("layers", [])
            for what in ("input_int8", "accumulator", "factor")
        ),
        "outputs": report.get("outputs"),
        "onnx": beside_onnx(feed),
        "lint_errors": [each for each in findings if each.get("severity") == "error"],
    }


def inputs(images: Array) -> Dict[str, Array]:
    """Return random numbers in the shapes of the deployable model's inputs, one for each image."""
    simulator = Simulator(*deploy_files(SAVED))
    random = np.random.default_rng(1)
    return {
        name: random.normal(size=(len(images), *shape[1:])).astype(np.float32)
        for name, shape in simulator.inputs.items()
    }


def beside_onnx(feed: Dict[str, Array]) -> Dict[str, Any]:
    """Return what differs between the simulation and its ONNX model in onnxruntime."""
    simulator = Simulator(*deploy_files(SAVED))
    exported = amct("simulate", SAVED, "--data", "x.npz", "-o", "y.npz", "--onnx", "m.onnx")
    if exported["status"]:
        return exported
    model = onnx.load("m.onnx")
    layers = simulator.quantized_layers
    for layer in layers:
        for blob, kind in zip(
            layer.integer_blobs, (onnx.TensorProto.UINT8, onnx.TensorProto.INT32)
        ):
            model.graph.output.append(helper.make_tensor_value_info(blob, kind, None))
    blobs = sorted({*simulator.integer_blobs, *simulator.outputs})
    session = onnxruntime.InferenceSession(model.SerializeToString())
    names = list(dict.fromkeys(blobs))
    theirs = dict(zip(names, session.run(names, feed)))
    mine = simulator.run(feed, names)
    differing: List[str] = []
    for layer in layers:
        quantized, accumulator = layer.integer_blobs
        q = theirs[quantized].astype(np.int32) - 128
        if (q != mine[quantized]).any() or (theirs[accumulator] != mine[accumulator]).any():
            differing.append(layer.name)
    errors = {
        blob: float(np.abs(theirs[blob] - mine[blob]).max() / np.abs(mine[blob]).max())
        for blob in simulator.outputs
    }
    classes = {
        blob: int((theirs[blob].argmax(1) != mine[blob].argmax(1)).sum())
        for blob in simulator.outputs
    }
    return {
        "differing_layers": differing,
        "largest_error_over_largest_output": errors,
        "differing_classes": classes,
    }


def main() -> None:
    """Measure the networks that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repositories", default=os.environ.get("AMCT_REPOSITORIES"))
    parser.add_argument("--shared", default=os.environ.get("AMCT_SHARED", "../shared"))
    parser.add_argument("--network", action="append", choices=list(NETWORKS))
    parser.add_argument("--keep", help="folder for what each network wrote")
    arguments = parser.parse_args()
    if arguments.repositories is None:
        parser.error("--repositories, or AMCT_REPOSITORIES: the folder of the clones")
    shared, repositories = (Path(p).resolve() for p in (arguments.shared, arguments.repositories))
    sys.path.insert(0, str(shared / "data"))
    import load

    photos, _ = load.imagenet_sample()
    digits, _ = load.mnist("test")
    found = {}
    for name in arguments.network or NETWORKS:
        network = NETWORKS[name]
        images = samples(network.shape, photos, digits)
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(arguments.keep).resolve() / name if arguments.keep else Path(temporary)
            folder.mkdir(parents=True, exist_ok=True)
            os.chdir(folder)
            try:
                found[name] = measure(repositories, network, images)
            except AmctError as error:
                found[name] = {"error": str(error)}
            os.chdir("/")
        print(name, json.dumps(found[name])[:600], file=sys.stderr)
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
