"""How far Ascend processors depart from the exact integers on LeNet and MNIST.

Trains and saves LeNet as ``lenet_mnist.py`` does, and runs the saved model with and without soc
versions over the test images, and with each deviation alone.  It prints one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from pathlib import Path
from typing import Any, Dict, List, Sequence

os.environ.setdefault("GLOG_minloglevel", "2")

import attrs
import numpy as np
from lenet_mnist import SCALE, prepare, quantize
from numpy.typing import NDArray

from amct_core.extensions import Fact, ProcessorFamily
from amct_core.file_names import deploy_files
from amct_core.graph.attributes import Quant
from amct_core.plugins import registries
from amct_core.processor_families import find_family
from cpu_sim_backend import Simulator
from cpu_sim_backend.device import as_computed_by

SOC_VERSIONS = ("Ascend310", "Ascend310P3", "Ascend310B1", "Ascend910B1")
"""V100; V200, which applies N; two with a fix-pipe, of which the last takes no Caffe models."""

BATCH = 500

Array = NDArray[Any]


def quants(simulator: Simulator) -> List[str]:
    """Return the blobs that are int8."""
    return [n.tops[0] for n in simulator.graph.nodes if isinstance(n.attributes, Quant)]


ALONE = {
    "rolls_back": "Ascend310",
    "quantizes_in_fp16": "Ascend310",
    "cuts_deq_scale": "Ascend310B1",
    "honours_shift_n": "Ascend310",
}
"""Deviations, each with a processor that has it."""


def only(deviation: str, soc_version: str) -> ProcessorFamily:
    """Return the family of ``soc_version`` with one of its deviations and no other."""
    family = find_family(registries().processor_families, soc_version)
    no, yes = (Fact(value, "verified", "left out here") for value in (False, True))
    exact = {name: yes if name == "honours_shift_n" else no for name in ALONE}
    return attrs.evolve(family, **{**exact, deviation: getattr(family, deviation)})


def run(simulator: Simulator, images: Array) -> Dict[str, Array]:
    """Return what the model computes: ``prob``, what goes into it, and the int8 inputs."""
    wanted = [*quants(simulator), "ip2", "prob"]
    batches = [
        simulator.run({"data": images[i : i + BATCH]}, wanted) for i in range(0, len(images), BATCH)
    ]
    return {blob: np.concatenate([b[blob] for b in batches]) for blob in wanted}


def compared(found: Dict[str, Array], exact: Dict[str, Array], labels: Array) -> Dict[str, Any]:
    """Return one row: how ``found`` differs from the exact integers."""
    classes, exact_classes = found["prob"].argmax(axis=1), exact["prob"].argmax(axis=1)
    spread = float(np.std(exact["ip2"]))
    return {
        "accuracy": float(np.mean(classes == labels)),
        "differing_classes": int(np.sum(classes != exact_classes)),
        "differing_logits": int(np.sum(found["ip2"] != exact["ip2"])),
        "logits": int(exact["ip2"].size),
        "largest_difference_of_a_logit": float(np.abs(found["ip2"] - exact["ip2"]).max()),
        "rms_difference_over_spread_of_logits": float(
            np.sqrt(np.mean((found["ip2"] - exact["ip2"]) ** 2)) / spread
        ),
        "differing_int8": {
            blob: {"differing": int(np.sum(array != exact[blob])), "of": int(array.size)}
            for blob, array in found.items()
            if array.dtype == np.int8
        },
    }


def measure(save_path: str, soc_versions: Sequence[str], images: Array, labels: Array) -> Any:
    """Return a row for each processor, and for each deviation alone."""
    files = deploy_files(save_path)
    model = Simulator(*files, engine="reference")
    exact = run(model, images)
    rows = {"exact": compared(exact, exact, labels)}
    for soc_version in soc_versions:
        simulator = Simulator(*files, engine="reference", soc_version=soc_version)
        assert simulator.device is not None
        rows[soc_version] = {
            **compared(run(simulator, images), exact, labels),
            "deviations": list(simulator.device.lines())[1:],
        }
    for deviation, soc_version in ALONE.items():
        family = only(deviation, soc_version)
        device = as_computed_by(model.graph, family, soc_version)
        found = run(Simulator.from_graph(device.graph, "reference"), images)
        rows[f"{deviation} of {soc_version} alone"] = compared(found, exact, labels)
    return rows


def main() -> None:
    """Measure and print."""
    root = Path(__file__).resolve().parent.parent
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shared", type=Path, default=os.environ.get("AMCT_SHARED"))
    parser.add_argument("--iterations", type=int, default=200)
    parser.add_argument("--samples", type=int, default=10000, help="test images to compare on")
    parser.add_argument("--train-samples", type=int, default=60000)
    parser.add_argument("--shift-n-algo", action="append", help="default: search_n_v2 and none")
    parser.add_argument("--soc-version", action="append", help=f"default: {SOC_VERSIONS}")
    arguments = parser.parse_args()
    shared = Path(arguments.shared or root.parent / "shared").resolve()
    with tempfile.TemporaryDirectory() as folder:
        prepare(shared, Path(folder), arguments.train_samples)
        os.chdir(folder)
        import load

        images, labels = load.mnist("test")
        images = images[: arguments.samples, None].astype(np.float32) * SCALE
        results = {
            "samples": len(images),
            "iterations": arguments.iterations,
            "shift_n_algo": {
                algo: measure(
                    quantize(shared, algo, arguments.iterations),
                    arguments.soc_version or SOC_VERSIONS,
                    images,
                    labels[: len(images)],
                )
                for algo in arguments.shift_n_algo or ("search_n_v2", "none")
            },
        }
        os.chdir(root)
    print(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
