"""Quantization-aware training of real networks, and proof over real images.

SqueezeNet, open_nsfw and the RFB-320 face detector with their own weights; the definitions of
ResNet-50 and MobileNet v1 with random weights.  Each is trained for a few iterations, SqueezeNet on
its labels, the others on what they gave in float32, through the public API.  The script prints one
JSON object.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any, Dict, List, Mapping, Sequence, Tuple

os.environ.setdefault("GLOG_minloglevel", "2")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "2")

import attrs
import caffe
import numpy as np
from network_workflow import SAVED, quantize, run_float32, write_training_model
from networks import NETWORKS, Array, Network, load_images, write_random_weights

from amct_core import record as records
from amct_core import workflow
from amct_core.extensions.frontend import Executor
from amct_core.file_names import deploy_files
from cpu_sim_backend import Simulator
from cpu_sim_backend.report import VerifyReport
from cpu_sim_backend.verify import compare

RANDOM_SAMPLES = 16
"""Images for a network with random weights: its outputs mean nothing, its integers must agree."""


class Recording(Executor):
    """Runs another executor and keeps some blobs of every batch."""

    def __init__(self, executor: Executor, blobs: Sequence[str]) -> None:
        self._executor = executor
        self._kept: Dict[str, List[Array]] = {blob: [] for blob in blobs}

    @property
    def inputs(self) -> Sequence[str]:
        """Input blobs."""
        return self._executor.inputs

    @property
    def outputs(self) -> Sequence[str]:
        """Output blobs."""
        return self._executor.outputs

    def run(self, inputs: Mapping[str, Any], outputs: Sequence[str]) -> Mapping[str, Array]:
        """Run one batch."""
        given = self._executor.run(inputs, [*outputs, *self._kept])
        for blob, batches in self._kept.items():
            batches.append(given[blob])
        return given

    def kept(self) -> Dict[str, Array]:
        """Return the kept blobs of all batches, one behind the other."""
        return {blob: np.concatenate(batches) for blob, batches in self._kept.items()}


def measure(shared: Path, name: str, arguments: argparse.Namespace) -> Dict[str, Any]:
    """Take one network through every step in the working folder."""
    given = {name: getattr(arguments, name) for name in ("batch_size", "batch_num", "base_lr")}
    network = attrs.evolve(
        NETWORKS[name], **{name: value for name, value in given.items() if value}
    )
    os.makedirs("tmp")
    model = str(shared / "models" / network.model)
    weights = str(shared / "models" / network.weights) if network.weights else "tmp/w.caffemodel"
    samples = arguments.samples if network.weights else min(arguments.samples, RANDOM_SAMPLES)
    images, labels = load_images(shared, network, samples)
    if network.weights is None:
        write_random_weights(model, weights, images[:4])
    float32 = run_float32(model, weights, network, images)
    trained = min(samples, arguments.iterations * network.batch_size)
    arrays = write_training_model(network, model, images[:trained], labels[:trained], float32)
    start = time.perf_counter()
    losses = quantize(network, weights, arrays, arguments.iterations, arguments.batch_norm)
    results: Dict[str, Any] = {
        "iterations": arguments.iterations,
        "images_per_iteration": network.batch_size,
        "batch_num": network.batch_num,
        "solver": network.solver,
        "base_lr": network.base_lr,
        "losses": losses,
        "seconds_to_quantize": round(time.perf_counter() - start, 1),
    }
    report, quantized = verify(network, images)
    results["not_quantized"] = not_quantized(model, report)
    results["correlation"] = correlations(float32, quantized, network.outputs)
    results["verify"] = summary(report)
    if network.labelled:
        logits = network.outputs[0]
        results["top1"] = top1(float32[logits], quantized[logits], labels, trained)
    if name == "resnet50":
        results["record"] = compare_records(shared)
    return results


def verify(network: Network, images: Array) -> Tuple[VerifyReport, Dict[str, Array]]:
    """Compare fake-quant model and integers; return the outputs of the former, too."""
    fake_quant = workflow.registries().frontends.get("caffe").fake_quant_executor(SAVED)
    executor = Recording(fake_quant, network.outputs)
    simulator = Simulator(*deploy_files(SAVED))
    report = compare(executor, simulator, {network.data: images}, network.batch_size)
    return report, executor.kept()


def not_quantized(model: str, report: VerifyReport) -> List[str]:
    """Return the definition's layers that could have been quantized and were not.

    None of these networks has an AVE Pooling that is not global.
    """
    net = caffe.Net(model, caffe.TEST)
    quantized = {layer.name for layer in report.layers}
    return [
        name
        for name, layer in zip(net._layer_names, net.layers)
        if layer.type in ("Convolution", "InnerProduct") and name not in quantized
    ]


def correlations(
    float32: Mapping[str, Array], quantized: Mapping[str, Array], blobs: Sequence[str]
) -> Dict[str, float]:
    """Return the correlation coefficient of each output over all its values."""
    return {
        blob: float(np.corrcoef(float32[blob].ravel(), quantized[blob].ravel())[0, 1])
        for blob in blobs
    }


def top1(float32: Array, quantized: Array, labels: Any, trained: int) -> Dict[str, Any]:
    """Return top-1 over all images and over those that were not trained on."""
    result: Dict[str, Any] = {"images": len(labels), "trained_on": trained}
    for name, scores in (("float32", float32), ("quantized", quantized)):
        right = scores.reshape(len(labels), -1).argmax(axis=1) == labels
        result[name] = float(right.mean())
        if trained < len(labels):
            result[f"{name}_not_trained_on"] = float(right[trained:].mean())
    return result


def summary(report: VerifyReport) -> Dict[str, Any]:
    """Return a report in a few lines; its layers only where something is wrong."""
    return {
        "exact": report.exact,
        "exact_integers": report.exact_integers,
        "samples": report.samples,
        "layers": len(report.layers),
        "input_int8_mismatches": sum(layer.input_int8_mismatches for layer in report.layers),
        "accumulator_mismatches": sum(layer.accumulator_mismatches for layer in report.layers),
        "max_abs_partial_sum_bound": max(
            layer.max_abs_partial_sum_bound for layer in report.layers
        ),
        "int16_saturated": sum(layer.int16_saturated for layer in report.layers),
        "output_mismatches": {output.blob: output.mismatches for output in report.outputs},
        "not_exact": [attrs.asdict(layer) for layer in report.layers if not layer.exact],
    }


def compare_records(shared: Path) -> Dict[str, Any]:
    """Compare the record's layers and sizes with those that AMCT recorded for ResNet-50."""
    packed = shared / "models/amct_resnet50_record/record.txt.gz"
    Path("tmp/amct_record.txt").write_bytes(gzip.decompress(packed.read_bytes()))
    ours, theirs = records.read("tmp/record.txt"), records.read("tmp/amct_record.txt")

    def sizes(record: records.Record, name: str) -> Any:
        entry = record.get(name)
        return (entry.channels, entry.height, entry.width, len(entry.scale_w))

    return {
        "layers": len(ours),
        "layers_of_amct": len(theirs),
        "only_one_has": sorted(set(ours) ^ set(theirs)),
        "same_order": list(ours) == list(theirs),
        "other_sizes": [
            name
            for name in theirs
            if name in set(ours) and sizes(ours, name) != sizes(theirs, name)
        ],
    }


def main() -> None:
    """Measure and print."""
    root = Path(__file__).resolve().parent.parent
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shared", type=Path, default=os.environ.get("AMCT_SHARED"))
    parser.add_argument("--network", action="append", choices=sorted(NETWORKS), help="default: all")
    parser.add_argument("--samples", type=int, default=400, help="images to compare on")
    parser.add_argument("--iterations", type=int, default=10, help="of training")
    parser.add_argument("--batch-size", type=int, help="images per iteration; default: by network")
    parser.add_argument("--batch-num", type=int, help="batches to find clip bounds and N from")
    parser.add_argument("--base-lr", type=float, help="learning rate; default: by network")
    parser.add_argument("--batch-norm", choices=("keep", "fold"), default="keep")
    arguments = parser.parse_args()
    shared = Path(arguments.shared or root.parent / "shared").resolve()
    results = {}
    for name in arguments.network or NETWORKS:
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)
            results[name] = measure(shared, name, arguments)
            os.chdir(root)
    print(json.dumps({"batch_norm": arguments.batch_norm, "networks": results}, indent=2))


if __name__ == "__main__":
    main()
