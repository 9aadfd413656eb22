"""The simulator in float32 beside Caffe, layer by layer, on real networks without quantization.

Both run a copy of each network in which no layer works in place, so that the output of every layer
is there to be compared.  Two comparisons, each with both engines:

- *free-running*: both start from the same images.  A value may differ by 1e-5 of the largest
  magnitude of its blob.
- *same input*: each layer is given the very blobs that Caffe's layer was given.  Where Caffe fixes
  the order of its operations no bit may differ; where a BLAS or a math library decides it, 1e-6 of
  the largest magnitude of the blob.

"The largest magnitude of its blob" is taken over all images; the same is told with error and
magnitude both of one image, which is stricter.  The script prints one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

os.environ.setdefault("GLOG_minloglevel", "2")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "2")

import attrs
import caffe
import numpy as np
from networks import REAL_NETWORKS, Array, Network, load_images

from amct_caffe.frontend import CaffeFrontend
from amct_caffe.model.formats.prototxt import document as documents
from amct_core.graph import Graph, Node
from amct_core.graph.attributes import Input
from cpu_sim_backend import Simulator

ENGINES = ("fast", "reference")

FREE_RUNNING_BOUND = 1e-5
SAME_INPUT_BOUND = 1e-6
"""Largest error over the largest magnitude of the blob."""


@attrs.define
class Deviation:
    """How far one blob lies from Caffe's, over all batches.

    Attributes:
        layer, kind: what computes it.
        exact: whether Caffe fixes the order of the layer's operations.
        values: how many were compared.
        differing: how many are not equal.
        error: largest absolute error.
        magnitude: largest magnitude in Caffe's blob, over all images.
        worst_image: largest error over the largest magnitude, where both are those of one image.
        elementwise: largest error relative to the value itself, where that is not zero.  It says
            little: a sum that cancels to almost nothing has no correct digits in either program.
        elementwise_beyond: how many values err by more than 1e-5 relative to themselves.
    """

    layer: str
    kind: str
    exact: bool
    values: int = 0
    differing: int = 0
    error: float = 0.0
    magnitude: float = 0.0
    worst_image: float = 0.0
    elementwise: float = 0.0
    elementwise_beyond: int = 0

    @property
    def relative(self) -> float:
        """Largest error over the largest magnitude of the blob."""
        return self.error / self.magnitude if self.magnitude else self.error

    def observe(self, mine: Array, theirs: Array) -> None:
        """Take in one batch, images along the first axis."""
        if mine.shape != theirs.shape:
            raise ValueError(f"{self.layer}: shape {mine.shape}, in Caffe {theirs.shape}")
        if not (np.isfinite(theirs).all() and np.isfinite(mine).all()):
            raise ValueError(f"{self.layer}: a value is not finite")
        self.values += theirs.size
        magnitudes = np.abs(theirs).reshape(len(theirs), -1).max(axis=1).astype(np.float64)
        self.magnitude = max(self.magnitude, float(magnitudes.max()))
        if np.array_equal(mine, theirs):
            return
        errors = np.abs(mine.astype(np.float64) - theirs)
        self.differing += int(np.count_nonzero(errors))
        self.error = max(self.error, float(errors.max()))
        with np.errstate(divide="ignore", invalid="ignore"):
            # 0 / 0 is no error; an error where Caffe has 0 is infinite, and only counted.
            by_image = errors.reshape(len(theirs), -1).max(axis=1) / magnitudes
            by_value = errors / np.abs(theirs)
        self.worst_image = max(self.worst_image, float(np.nanmax(by_image)))
        self.elementwise_beyond += int(np.count_nonzero(by_value > FREE_RUNNING_BOUND))
        finite = by_value[np.isfinite(by_value)]
        self.elementwise = max(self.elementwise, float(finite.max(initial=0)))


def write_out_of_place(model: str, path: str) -> None:
    """Write a copy of ``model`` as in testing, whose in-place layers write blobs of their own.

    A blob that had been written before is called ``<blob>@<layer>`` from there on.
    """
    document = documents.read(model)
    current: Dict[str, str] = {}
    layers = []
    for layer in document.layers_in("TEST"):
        layer = layer.copy()
        layer.bottoms = [current.get(blob, blob) for blob in layer.bottoms]
        written = {blob: f"{blob}@{layer.name}" if blob in current else blob for blob in layer.tops}
        layer.tops = [written[blob] for blob in layer.tops]
        current.update(written)
        layers.append(layer)
    document.layers = layers
    Path(path).write_text(document.format())


def one_layer(node: Node, shapes: Mapping[str, Tuple[int, ...]], engine: str) -> Simulator:
    """Return a simulator of one layer, whose inputs are inputs of the network."""
    inputs = [
        Node(name=blob, type="Input", bottoms=(), tops=(blob,), attributes=Input((shapes[blob],)))
        for blob in dict.fromkeys(node.bottoms)
    ]
    return Simulator.from_graph(Graph(node.name, [*inputs, node]), engine)


class Comparison:
    """One engine beside Caffe on one network.

    Args:
        graph: the network, none of whose layers works in place.
        shapes: Caffe's, by blob.
        engine: of the simulator.
    """

    def __init__(self, graph: Graph, shapes: Mapping[str, Tuple[int, ...]], engine: str) -> None:
        self.engine = engine
        self.simulator = Simulator.from_graph(graph, engine)
        self.nodes = [node for node in graph.nodes if not isinstance(node.attributes, Input)]
        self.layers = {node.name: one_layer(node, shapes, engine) for node in self.nodes}
        self.free: Dict[str, Deviation] = {}
        self.same: Dict[str, Deviation] = {}
        for node in self.nodes:
            for top in node.tops:
                exact = node.type.is_exact(node)
                self.free[top] = Deviation(node.name, node.op, exact)
                self.same[top] = Deviation(node.name, node.op, exact)
        self.fused_differing = 0

    def observe(self, inputs: Mapping[str, Array], theirs: Mapping[str, Array]) -> None:
        """Run one batch both ways and compare with Caffe's blobs."""
        mine = self.simulator.run(inputs, list(self.free))
        for blob, deviation in self.free.items():
            deviation.observe(mine[blob], theirs[blob])
        # With the outputs alone, an engine may do several layers at once.
        for blob, array in self.simulator.run(inputs).items():
            self.fused_differing += int(np.count_nonzero(array != mine[blob]))
        for node in self.nodes:
            given = {blob: theirs[blob] for blob in node.bottoms}
            for blob, array in self.layers[node.name].run(given, node.tops).items():
                self.same[blob].observe(array, theirs[blob])

    def report(self) -> Dict[str, Any]:
        """Return what was found; layer by layer."""
        exact = [deviation for deviation in self.same.values() if deviation.exact]
        inexact = [deviation for deviation in self.same.values() if not deviation.exact]
        found: Dict[str, Any] = {
            "engine": self.simulator.engine,
            "free_running": worst(list(self.free.values()), FREE_RUNNING_BOUND),
            "same_input_exact": {
                "layers": len(exact),
                "types": sorted({deviation.kind for deviation in exact}),
                "floats": sum(deviation.values for deviation in exact),
                "differing": sum(deviation.differing for deviation in exact),
                "differing_layers": [d.layer for d in exact if d.differing],
            },
            "same_input_inexact": worst(inexact, SAME_INPUT_BOUND),
            "differing_when_only_outputs_are_asked_for": self.fused_differing,
        }
        exactly = not (found["same_input_exact"]["differing"] or self.fused_differing)
        bounded = (found["free_running"], found["same_input_inexact"])
        found["holds"] = exactly and not any(part["beyond_bound"] for part in bounded)
        found["holds_in_every_image"] = exactly and not any(
            part["beyond_bound_in_an_image"] for part in bounded
        )
        found["layers"] = {self.free[blob].layer: self._layer(blob) for blob in self.free}
        return found

    def _layer(self, blob: str) -> str:
        """Return one line, which keeps the file short; errors are those of the worst image."""
        free, same = self.free[blob], self.same[blob]
        beside = f"same input {short(same.worst_image)}, {same.differing} of {same.values} differ"
        return f"{free.kind}: free-running {short(free.worst_image)}, {beside}"


def worst(deviations: Sequence[Deviation], bound: float) -> Dict[str, Any]:
    """Return how many layers there are, which deviates most, and which leave the bound."""
    if not deviations:
        return {"layers": 0, "beyond_bound": [], "beyond_bound_in_an_image": []}
    most = max(deviations, key=lambda deviation: deviation.relative)
    image = max(deviations, key=lambda deviation: deviation.worst_image)
    return {
        "layers": len(deviations),
        "types": sorted({deviation.kind for deviation in deviations}),
        "bound": bound,
        "worst": short(most.relative),
        "worst_layer": f"{most.layer} ({most.kind})",
        "beyond_bound": [d.layer for d in deviations if not d.relative <= bound],
        "worst_image": short(image.worst_image),
        "worst_image_layer": f"{image.layer} ({image.kind})",
        "beyond_bound_in_an_image": [d.layer for d in deviations if not d.worst_image <= bound],
        "values": sum(deviation.values for deviation in deviations),
        "worst_elementwise": short(max(deviation.elementwise for deviation in deviations)),
        "values_beyond_1e-5_of_themselves": sum(d.elementwise_beyond for d in deviations),
    }


def short(value: float) -> float:
    """Return ``value`` with three digits."""
    return float(f"{value:.3g}")


def measure(
    shared: Path, network: Network, images: Optional[int], engines: Sequence[str]
) -> Dict[str, Any]:
    """Compare on one network, in the working folder."""
    start = time.perf_counter()
    weights = str(shared / "models" / str(network.weights))
    model = "out_of_place.prototxt"
    write_out_of_place(str(shared / "models" / network.model), model)
    net = caffe.Net(model, caffe.TEST, weights=weights)
    data, _ = load_images(shared, network, images)
    comparisons: List[Comparison] = []
    for batch_start in range(0, len(data), network.batch_size):
        batch = {network.data: data[batch_start : batch_start + network.batch_size]}
        net.blobs[network.data].reshape(*batch[network.data].shape)
        net.blobs[network.data].data[...] = batch[network.data]
        net.forward()
        theirs = {name: np.array(blob.data) for name, blob in net.blobs.items()}
        if not comparisons:
            shapes = {name: array.shape for name, array in theirs.items()}
            graph = CaffeFrontend().read(model, weights).test
            comparisons = [Comparison(graph, shapes, engine) for engine in engines]
        for comparison in comparisons:
            comparison.observe(batch, theirs)
    reports = [comparison.report() for comparison in comparisons]
    layers = {report["engine"]: report.pop("layers") for report in reports}
    if len(layers) > 1 and all(found == layers[engines[0]] for found in layers.values()):
        layers = {" and ".join(layers): layers[engines[0]]}
    return {
        "images": len(data),
        "batch_size": network.batch_size,
        "holds": all(report["holds"] for report in reports),
        "holds_in_every_image": all(report["holds_in_every_image"] for report in reports),
        "engines": reports,
        "layers": layers,
        "seconds": round(time.perf_counter() - start, 1),
    }


def main() -> None:
    """Measure and print."""
    root = Path(__file__).resolve().parent.parent
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shared", type=Path, default=os.environ.get("AMCT_SHARED"))
    parser.add_argument(
        "--network", action="append", choices=sorted(REAL_NETWORKS), help="default: all"
    )
    parser.add_argument("--images", type=int, default=100, help="of each network's data")
    parser.add_argument("--engine", action="append", choices=ENGINES, help="default: both")
    arguments = parser.parse_args()
    shared = Path(arguments.shared or root.parent / "shared").resolve()
    results = {}
    for name in arguments.network or REAL_NETWORKS:
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)
            results[name] = measure(
                shared, REAL_NETWORKS[name], arguments.images, arguments.engine or ENGINES
            )
            os.chdir(root)
    print(json.dumps({"networks": results}, indent=2))


if __name__ == "__main__":
    main()
