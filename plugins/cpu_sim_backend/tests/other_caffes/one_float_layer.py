"""Networks of one float layer of a type that the installed Caffe need not have."""

from __future__ import annotations

from typing import Any, Dict, List, Sequence, Tuple

import numpy as np
from numpy.typing import NDArray

from amct_caffe.model.formats.prototxt import document as documents
from amct_caffe.model.network import CaffeNetwork
from amct_caffe.model.to_graph import to_graph
from amct_core.graph import Graph
from cpu_sim_backend import Simulator

Array = NDArray[Any]
ENGINES = ("reference", "fast")


def graph(body: str, *shapes: Tuple[int, ...], weights: Sequence[Any] = ()) -> Graph:
    """Return a network of Inputs ``x0``, ``x1``, ... and the layer ``y``, which reads them."""
    lines = []
    for index, shape in enumerate(shapes):
        dims = " ".join(f"dim: {size}" for size in shape)
        lines.append(
            f'layer {{ name: "x{index}" type: "Input" top: "x{index}" '
            f"input_param {{ shape {{ {dims} }} }} }}"
        )
    bottoms = " ".join(f'bottom: "x{index}"' for index in range(len(shapes)))
    lines.append(f'layer {{ name: "y" {bottoms} top: "y" {body} }}')
    blobs: Dict[str, List[Array]] = {}
    if weights:
        blobs["y"] = [np.asarray(blob, np.float32) for blob in weights]
    return to_graph(CaffeNetwork(documents.from_text("\n".join(lines)), blobs), "TEST")


def run(engine: str, body: str, *inputs: Array, weights: Sequence[Any] = ()) -> Array:
    """Return what the layer makes of ``inputs`` in one of the engines."""
    network = graph(body, *(x.shape for x in inputs), weights=weights)
    fed = {f"x{index}": x for index, x in enumerate(inputs)}
    return Simulator.from_graph(network, engine).run(fed, ["y"])["y"]


def run_onnx(body: str, *inputs: Array, weights: Sequence[Any] = ()) -> Array:
    """Return what onnxruntime makes of ``inputs`` with the exported layer."""
    import onnxruntime

    from cpu_sim_backend.onnx_export import export

    model = export(graph(body, *(x.shape for x in inputs), weights=weights))
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    read = {value.name for value in session.get_inputs()}
    fed = {f"x{index}": x for index, x in enumerate(inputs) if f"x{index}" in read}
    found: Array = session.run(["y"], fed)[0]
    return found
