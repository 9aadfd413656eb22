"""How far Ascend processors depart from the exact integers on real networks and images.

LeNet, SqueezeNet and a small MobileNet v2 with depthwise convolutions are each quantized, trained
for a few iterations and saved through the public API.  The saved model runs exactly and as each
processor computes it; what differs is counted as ``amct verify --soc-version`` does.  The times of
both are taken in turn, in one process, on one batch.  The script prints one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any, Dict, Mapping

os.environ.setdefault("GLOG_minloglevel", "2")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "2")

from network_workflow import SAVED, quantize, run_float32, write_training_model
from networks import REAL_NETWORKS, Array, Network, load_images

from amct_core.file_names import deploy_files
from cpu_sim_backend import ArraySource, Simulator
from cpu_sim_backend.departure import departure

SOC_VERSIONS = ("Ascend310", "Ascend310P3", "Ascend310B1")
"""ISA v100, v200, and one with a fix-pipe."""

SAMPLES = {"lenet": 10000, "squeezenet": 400, "mobilenet_v2_cifar": 5000}
ROUNDS = 5


def save(shared: Path, network: Network, images: Array, labels: Array, iterations: int) -> None:
    """Take the network through the workflow, in the working folder."""
    model, weights = (str(shared / "models" / name) for name in (network.model, network.weights))
    trained = images[: iterations * network.batch_size]
    float32 = run_float32(model, weights, network, trained)
    arrays = write_training_model(network, model, trained, labels[: len(trained)], float32)
    quantize(network, weights, arrays, iterations, "fold")


def measure(network: Network, images: Array) -> Dict[str, Any]:
    """Return a row for each processor."""
    exact = Simulator(*deploy_files(SAVED))
    modes = {name: Simulator(*deploy_files(SAVED), soc_version=name) for name in SOC_VERSIONS}
    data = {network.data: images}
    ratios = times({"exact": exact, **modes}, {network.data: images[: network.batch_size]})
    rows = {}
    for name, simulator in modes.items():
        found = departure(exact, simulator, ArraySource(data), network.batch_size)
        int8 = [layer for layer in found.layers if layer.how != "float16"]
        rows[name] = {
            "differing_int8": sum(layer.differing for layer in int8),
            "int8": sum(layer.values for layer in int8),
            "layers": {
                how: sum(layer.how == how for layer in found.layers)
                for how in ("int8", "merged", "float16")
            },
            "changed_classes": {output.blob: output.decisions for output in found.outputs},
            "time_over_exact": ratios[name],
            "by_layer": {
                layer.name: {"differing": layer.differing, "of": layer.values, "by": layer.largest}
                for layer in int8
            },
        }
    return rows


def times(simulators: Mapping[str, Simulator], batch: Mapping[str, Array]) -> Dict[str, float]:
    """Return the median of the times over those of the exact integers, taken in turn."""
    taken: Dict[str, list[float]] = {name: [] for name in simulators}
    for _ in range(ROUNDS + 1):
        for name, simulator in simulators.items():
            start = time.perf_counter()
            simulator.run(batch)
            taken[name].append(time.perf_counter() - start)
    medians = {name: statistics.median(values[1:]) for name, values in taken.items()}
    return {name: round(value / medians["exact"], 2) for name, value in medians.items()}


def main() -> None:
    """Measure and print."""
    root = Path(__file__).resolve().parent.parent
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shared", type=Path, default=os.environ.get("AMCT_SHARED"))
    parser.add_argument("--network", action="append", choices=sorted(SAMPLES))
    parser.add_argument("--iterations", type=int, default=10)
    arguments = parser.parse_args()
    shared = Path(arguments.shared or root.parent / "shared").resolve()
    results: Dict[str, Any] = {"iterations": arguments.iterations}
    for name in arguments.network or SAMPLES:
        network = REAL_NETWORKS[name]
        images, labels = load_images(shared, network, SAMPLES[name])
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)
            os.makedirs("tmp")
            save(shared, network, images, labels, arguments.iterations)
            results[name] = {"samples": len(images), **measure(network, images)}
            os.chdir(root)
    print(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
