"""Networks of one quantized layer: Input, Quant, the layer, DeQuant."""

from __future__ import annotations

from typing import Any, Dict, List, Sequence

import numpy as np
from numpy.typing import NDArray

from amct_caffe.model.formats.prototxt import document as documents
from amct_caffe.model.network import CaffeNetwork
from amct_caffe.model.to_graph import to_graph
from cpu_sim_backend import Simulator

ACCUMULATOR, OUTPUT = "accumulator", "out"

Blobs = List[NDArray[Any]]


def word(deq_scale: float, shift_n: int = 0) -> int:
    """Return a DeQuant's word: float32 bits below, N from bit 32 on."""
    return int(np.float32(deq_scale).view(np.uint32)) + shift_n * 2**32


def simulator(
    layer: str,
    shape: Sequence[int],
    blobs: Blobs,
    words: Sequence[int],
    engine: str,
    scale: float = 1.0,
    offset: int = 0,
) -> Simulator:
    """Return a network of one layer in integers.

    Args:
        layer: type and parameters, in prototxt notation.
        shape: of the input, batch size first.
        blobs: int8 weights, int32 bias.
        words: of the DeQuant.
        engine: ``reference`` or ``fast``.
        scale: of the Quant.
        offset: of the Quant.
    """
    dims = " ".join(f"dim: {dim}" for dim in shape)
    text = f"""
    layer {{ name: "data" type: "Input" top: "data" input_param {{ shape {{ {dims} }} }} }}
    layer {{ name: "quant" type: "Quant" bottom: "data" top: "q"
      quant_param {{ scale: {scale!r} offset: "\\{offset % 256:03o}" }} }}
    layer {{ name: "layer" bottom: "q" top: "{ACCUMULATOR}" {layer} }}
    layer {{ name: "dequant" type: "DeQuant" bottom: "{ACCUMULATOR}" top: "{OUTPUT}" }}
    """
    weights: Dict[str, Blobs] = {"dequant": [np.array(words, np.uint64)]}
    if blobs:
        weights["layer"] = blobs
    network = CaffeNetwork(documents.from_text(text), weights)
    return Simulator.from_graph(to_graph(network, "TEST"), engine, threads=1)


def run(simulated: Simulator, q: NDArray[np.int8], offset: int = 0) -> Dict[str, Any]:
    """Return accumulators and outputs for the integers ``q``, as nested lists.

    The Quant must have scale 1: then the input ``q - offset`` becomes ``q``.  A second run is asked
    for the output alone, which lets an engine compute all at once.
    """
    x = (q.astype(np.int32) - offset).astype(np.float32)
    found = simulated.run({"data": x}, ["q", ACCUMULATOR, OUTPUT])
    assert np.array_equal(found["q"], q)
    assert found[ACCUMULATOR].dtype == np.int32
    assert found[OUTPUT].dtype == np.float32
    alone = simulated.run({"data": x})[OUTPUT]
    assert np.array_equal(alone, found[OUTPUT])
    return {name: array.tolist() for name, array in found.items()}
