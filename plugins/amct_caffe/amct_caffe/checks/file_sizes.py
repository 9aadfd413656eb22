"""Files that would be too large for Caffe to read again."""

from __future__ import annotations

import os
from typing import AbstractSet, Iterator, Optional

import attrs

from amct_caffe.checks.check import Violation
from amct_caffe.model.network import CaffeNetwork, read_network
from amct_caffe.passes.insert_weight_qat import weight_layer_name
from amct_caffe.qat.plan import QatPlan, planned_layers
from amct_core.network_state import NetworkStates

MESSAGE_LIMIT = 2**31 - 1
"""Bytes of the largest message that protobuf reads or writes; Caffe's files are one message each.

Source: protobuf's documentation; ``kProtoReadBytesLimit`` in BVLC Caffe's ``util/io.cpp``.
"""

SMALL_FILE = MESSAGE_LIMIT // 8
"""Bytes of weights up to which no solver's state is near the limit."""

_COPIES = 2
"""How many more times a snapshot holds the weights of a quantized layer.

Caffe writes the blobs of every layer, those too that layers share: what a quantized layer computes
with is written for it and for its WeightQAT, which holds the master weights as well.
"""

_BESIDE_THE_WEIGHTS = 2**20
"""Bytes kept for names, parameters and what the QAT layers keep beside weights."""


@attrs.frozen
class Insertion:
    """A network and what will be inserted into it."""

    network: CaffeNetwork
    plan: QatPlan


def too_large_files(insertion: Insertion) -> Iterator[Violation]:
    """Yield that the weights of the modified model, and so each snapshot, would be too large.

    The saved models are smaller: their weights are there once.
    """
    size = modified_size(insertion)
    if size <= MESSAGE_LIMIT:
        return
    network = insertion.network
    largest = max(
        (layer.node for layer in planned_layers(insertion.plan).values() if layer.node.weights),
        key=lambda node: node.weights[0].size,
    )
    yield Violation(
        None,
        f"the modified model would take {size / 2**30:.2f} GiB: in training a quantized layer's "
        "weights are in the file three times. Caffe cannot read or write files of "
        f"{(MESSAGE_LIMIT + 1) / 2**30:.3g} GiB.",
        f"Leave large layers unquantized (retrain_enable: false), '{largest.name}' first "
        f"({4 * largest.weights[0].size / 2**20:.0f} MiB of weights).",
        file=network.weights_file,
    )


def modified_size(insertion: Insertion) -> int:
    """Return about how many bytes a snapshot of the modified model takes."""
    float_size = sum(
        4 * blob.size for blobs in insertion.network.weights.values() for blob in blobs
    )
    planned = planned_layers(insertion.plan).values()
    added = sum(4 * layer.node.weights[0].size for layer in planned if layer.node.weights)
    return float_size + _COPIES * added + _BESIDE_THE_WEIGHTS


def learnable_bytes(
    model_file: str,
    weights_file: str,
    quantized: AbstractSet[str],
    states: Optional[NetworkStates] = None,
) -> int:
    """Return how much a solver will move: all weights, and those of quantized layers twice.

    Small files, whose solver's state is small in any case, are not read: 0.

    Args:
        model_file, weights_file: the network before insertion, or the modified one.
        quantized: the layers with fake quantization.
        states: in which it is trained and tested; None: that of the file.
    """
    if os.path.getsize(weights_file) < SMALL_FILE:
        return 0
    weights = read_network(model_file, weights_file, states).weights
    total = sum(4 * blob.size for blobs in weights.values() for blob in blobs)
    for name in quantized:
        own = 4 * weights[name][0].size if weights.get(name) else 0
        # In a modified model, they are there three times, two of which are shared.
        total += -own if weight_layer_name(name) in weights else own
    return total
