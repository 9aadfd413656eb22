"""Processors that differ from the exact integers in one way, and a network to run on them."""

from __future__ import annotations

from typing import Any, Dict, List, Sequence

import numpy as np
from numpy.typing import NDArray

from amct_caffe.model.formats.prototxt import document as documents
from amct_caffe.model.network import CaffeNetwork
from amct_caffe.model.to_graph import to_graph
from amct_core.extensions import Fact, ProcessorFamily, RolledBack
from amct_core.graph import Graph
from cpu_sim_backend import Simulator
from cpu_sim_backend.device import DeviceGraph, as_computed_by

Blobs = Dict[str, List[NDArray[Any]]]
Array = NDArray[Any]

NETWORK = """
layer { name: "data" type: "Input" top: "data" input_param { shape {
  dim: 2 dim: 3 dim: 6 dim: 6 } } }
layer { name: "quant" type: "Quant" bottom: "data" top: "q"
  quant_param { scale: 8 offset: "\\003" } }
layer { name: "conv" type: "Convolution" bottom: "q" top: "conv_acc"
  convolution_param { num_output: 4 kernel_size: 3 pad: 1 } }
layer { name: "conv_d" type: "DeQuant" bottom: "conv_acc" top: "conv" }
layer { name: "clip" type: "ReLU" bottom: "data" top: "data" }
layer { name: "pool" type: "Pooling" bottom: "q" top: "pool_acc"
  pooling_param { pool: AVE kernel_size: 2 stride: 2 } }
layer { name: "pool_d" type: "DeQuant" bottom: "pool_acc" top: "pool" }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "quant2" type: "Quant" bottom: "conv" top: "q2"
  quant_param { scale: 2 offset: "\\200" } }
layer { name: "up" type: "Deconvolution" bottom: "q2" top: "up_acc"
  convolution_param { num_output: 2 kernel_size: 2 stride: 2 bias_term: false } }
layer { name: "up_d" type: "DeQuant" bottom: "up_acc" top: "up" }
layer { name: "quant3" type: "Quant" bottom: "pool" top: "q3"
  quant_param { scale: 16 offset: "\\000" } }
layer { name: "fc" type: "InnerProduct" bottom: "q3" top: "fc_acc"
  inner_product_param { num_output: 5 } }
layer { name: "fc_d" type: "DeQuant" bottom: "fc_acc" top: "fc" }
"""
"""``conv`` and ``pool`` share a Quant, whose input is overwritten between the two."""

SCALES = {"quant": 8.0, "quant2": 2.0, "quant3": 16.0}
NO = Fact(False, "verified", "made up")
YES = Fact(True, "inferred", "made up")
UNKNOWN = Fact(None, "unknown", "made up")


def words(scales: Sequence[float], shift_n: int = 0) -> Array:
    """Return DeQuant words, the N of all channels the same."""
    bits = np.array(scales, np.float32).view(np.uint32).astype(np.uint64)
    return bits + np.uint64(shift_n << 32)


def blobs(seed: int = 0) -> Blobs:
    """Return weights and words: N = 3, and scales that are powers of two except for ``fc``."""
    random = np.random.default_rng(seed)

    def integers(*shape: int) -> Array:
        return random.integers(-127, 128, shape).astype(np.int8)

    return {
        "conv": [integers(4, 3, 3, 3), random.integers(-999, 999, 4).astype(np.int32)],
        "conv_d": [words([2.0**-9, 2.0**-8, 2.0**-10, 2.0**-7], 3)],
        "pool_d": [words([2.0**-5])],
        "up": [integers(4, 2, 2, 2)],
        "up_d": [words([2.0**-8, 2.0**-7], 3)],
        "fc": [integers(5, 27), random.integers(-999, 999, 5).astype(np.int32)],
        "fc_d": [words([0.0123], 3)],
    }


def graph(weights: Blobs, network: str = NETWORK) -> Graph:
    """Return the network with these blobs."""
    return to_graph(CaffeNetwork(documents.from_text(network), weights), "TEST")


def images(seed: int = 1) -> Dict[str, Array]:
    """Return a batch of three images whose values are multiples of 1/64, within -4..4."""
    random = np.random.default_rng(seed)
    return {"data": (random.integers(-256, 257, (3, 3, 6, 6)) / 64).astype(np.float32)}


def family(rolled_back: Sequence[str] = (), **facts: Fact[Any]) -> ProcessorFamily:
    """Return processors that are exact except for ``facts``, and for the layers they roll back."""
    exact = {
        "quantizes_in_fp16": NO,
        "cuts_deq_scale": NO,
        "honours_shift_n": YES,
        "rolls_back": YES if rolled_back else NO,
    }
    return ProcessorFamily(
        name="Toy",
        description="a toy",
        pattern="Toy",
        examples=("Toy",),
        rolled_back=lambda graph: [RolledBack(name, "it is said so") for name in rolled_back],
        not_simulated=("its clock",),
        **{**exact, **facts},
    )


def on(toy: ProcessorFamily, weights: Blobs, network: str = NETWORK) -> DeviceGraph:
    """Return the network as ``toy`` computes it."""
    return as_computed_by(graph(weights, network), toy, "Toy")


def outputs(found: Graph, blobs_wanted: Sequence[str], engine: str = "reference") -> Dict[str, Any]:
    """Run a graph on :func:`images`."""
    return Simulator.from_graph(found, engine, threads=1).run(images(), blobs_wanted)
