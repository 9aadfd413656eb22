"""Proof over all data of real networks that no integer differs: Caffe, fast and reference engine.

Each network is quantized in all layers that can be, trained for a few iterations (its accuracy is
not the point here), and saved.  Then three programs run freely from the same images: the fake-quant
model in Caffe, and both engines on the deployable model.  Every int8 input and int32 accumulator of
every quantized layer and every output is compared: Caffe's with the fast engine's, and the fast
engine's with the reference engine's.  Where neither pair differs, nor do Caffe and the reference
engine.  The fast engine runs twice, with every integer asked for and with the outputs alone, when
it fuses what it can.

The script prints one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any, Dict, Mapping, Optional, Sequence

os.environ.setdefault("GLOG_minloglevel", "2")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "2")

import attrs
import numpy as np
from network_workflow import SAVED, quantize, run_float32, write_training_model
from networks import REAL_NETWORKS, Array, Network, load_images
from real_networks import not_quantized

from amct_core import workflow
from amct_core.file_names import deploy_files
from amct_core.graph import Value
from cpu_sim_backend import Simulator
from cpu_sim_backend.report import VerifyReport
from cpu_sim_backend.verify import compare

DEPLOYED = deploy_files(SAVED)


@attrs.define
class Agreement:
    """How many values of one kind were compared between the engines, and how many differ."""

    compared: int = 0
    differing: int = 0

    def observe(self, fast: Array, reference: Array) -> None:
        """Take in one blob of one batch; another shape or type is a difference in every value."""
        same = fast.shape == reference.shape and fast.dtype == reference.dtype
        self.compared += reference.size
        self.differing += int(np.count_nonzero(fast != reference)) if same else reference.size


class BothEngines(Simulator):
    """The fast engine, which at every batch is compared with the reference engine."""

    def __init__(self, prototxt: str, caffemodel: str) -> None:
        super().__init__(prototxt, caffemodel, "fast")
        self.reference = Simulator(prototxt, caffemodel, "reference")
        self.agreements: Dict[str, Agreement] = {}
        self.largest_accumulator = 0

    def run_values(
        self,
        inputs: Mapping[str, Array],
        values: Sequence[Value],
        fed: Optional[Mapping[str, Sequence[Array]]] = None,
    ) -> Dict[Value, Array]:
        """Return what the fast engine gives."""
        fast = super().run_values(inputs, values, fed)
        reference = self.reference.run_values(inputs, values, fed)
        for value, expected in reference.items():
            self._observe(str(expected.dtype), fast[value], expected)
            if expected.dtype == np.int32:
                magnitude = np.abs(expected.astype(np.int64)).max(initial=0)
                self.largest_accumulator = max(self.largest_accumulator, int(magnitude))
        for value, found in super().run_values(inputs, self.computed_outputs, fed).items():
            self._observe("outputs_alone", found, reference[value])
        return fast

    def _observe(self, kind: str, fast: Array, reference: Array) -> None:
        self.agreements.setdefault(kind, Agreement()).observe(fast, reference)


def make_model(shared: Path, network: Network, iterations: int) -> None:
    """Train and save the quantized network in the working folder."""
    os.makedirs("tmp", exist_ok=True)
    model = str(shared / "models" / network.model)
    weights = str(shared / "models" / str(network.weights))
    images, labels = load_images(shared, network, iterations * network.batch_size)
    float32 = run_float32(model, weights, network, images)
    arrays = write_training_model(network, model, images, labels, float32)
    quantize(network, weights, arrays, iterations, "keep")


def measure(shared: Path, network: Network, samples: Optional[int], iterations: int) -> Any:
    """Compare on one network, in the working folder; a model that is there is taken as it is."""
    start = time.perf_counter()
    if not all(map(os.path.exists, DEPLOYED)):
        make_model(shared, network, iterations)
    quantized_after = time.perf_counter() - start
    images, _ = load_images(shared, network, samples)
    executor = workflow.registries().frontends.get("caffe").fake_quant_executor(SAVED)
    simulator = BothEngines(*DEPLOYED)
    report = compare(executor, simulator, {network.data: images}, network.batch_size)
    result = {
        "images": len(images),
        "layers_quantized": len(report.layers),
        "not_quantized": not_quantized(str(shared / "models" / network.model), report),
        "largest_accumulator": simulator.largest_accumulator,
        "largest_partial_sum_bound": max(
            layer.max_abs_partial_sum_bound for layer in report.layers
        ),
        "int16_saturated": sum(layer.int16_saturated for layer in report.layers),
        "caffe_and_fast": with_caffe(simulator, report),
        "reference_and_fast": {
            kind: attrs.asdict(found) for kind, found in sorted(simulator.agreements.items())
        },
    }
    engines_agree = not any(found.differing for found in simulator.agreements.values())
    return {
        "holds": engines_agree and report.mismatches == 0 and report.passed,
        **result,
        "seconds_to_quantize": round(quantized_after, 1),
        "seconds_to_compare": round(time.perf_counter() - start - quantized_after, 1),
    }


def with_caffe(simulator: BothEngines, report: VerifyReport) -> Dict[str, Any]:
    """Return what was compared with the fake-quant model in Caffe, and how much of it differs."""
    counts = {kind: found.compared for kind, found in simulator.agreements.items()}
    inexact = {blob: simulator.inexact_layers(blob) for blob in simulator.outputs}
    return {
        "int8_compared": counts["int8"],
        "int8_differing": sum(layer.input_int8_mismatches for layer in report.layers),
        "int32_compared": counts["int32"],
        "int32_differing": sum(layer.accumulator_mismatches for layer in report.layers),
        "stored_factors_differing": sum(layer.factor_mismatches for layer in report.layers),
        "outputs_differing": {output.blob: output.mismatches for output in report.outputs},
        "outputs_compared_to_1e-6": {
            blob: list(layers) for blob, layers in inexact.items() if layers
        },
        "layers_that_differ": [
            attrs.asdict(layer) for layer in report.layers if layer.first_difference is not None
        ],
    }


def main() -> None:
    """Measure and print."""
    root = Path(__file__).resolve().parent.parent
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shared", type=Path, default=os.environ.get("AMCT_SHARED"))
    parser.add_argument(
        "--network", action="append", choices=sorted(REAL_NETWORKS), help="default: all"
    )
    parser.add_argument("--images", type=int, help="of each network's data; default: all of them")
    parser.add_argument("--iterations", type=int, default=10, help="of training")
    parser.add_argument(
        "--models", type=Path, help="keep the quantized models in this folder, and use those in it"
    )
    arguments = parser.parse_args()
    shared = Path(arguments.shared or root.parent / "shared").resolve()
    models = arguments.models and arguments.models.resolve()
    results = {}
    for name in arguments.network or REAL_NETWORKS:
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary) if models is None else models / name
            folder.mkdir(parents=True, exist_ok=True)
            os.chdir(folder)
            results[name] = measure(
                shared, REAL_NETWORKS[name], arguments.images, arguments.iterations
            )
            os.chdir(root)
    print(json.dumps({"networks": results}, indent=2))


if __name__ == "__main__":
    main()
