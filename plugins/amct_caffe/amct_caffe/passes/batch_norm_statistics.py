"""Keeps the statistics of BatchNorm out of training, whatever Caffe trains it."""

from __future__ import annotations

import attrs

from amct_caffe.model.formats.prototxt.document import Layer, ParamSpec
from amct_caffe.model.layer_type import attributes_of, expected_blobs
from amct_caffe.model.network import CaffeNetwork
from amct_core.graph import Pass
from amct_core.graph.attributes import BatchNorm

STATISTICS = 3
"""The blobs of a BatchNorm: mean, variance, and the factor that divides both."""


class FixBatchNormStatistics(Pass[CaffeNetwork]):
    """Say of the statistics of each BatchNorm that the solver must leave them alone.

    1. Each BatchNorm gets three specs with ``lr_mult: 0`` and ``decay_mult: 0``; names stay.
       Newer Caffes see to that by themselves, older ones let weight decay move the statistics; and
       some abort if a spec says anything else.
    2. A layer that is not Caffe's own BatchNorm, or has more specs, stays as it is.
    """

    def run(self, state: CaffeNetwork) -> CaffeNetwork:
        """Return the network with the specs."""
        network = state.copy()
        for layer in network.document.layers:
            specs = layer.param_specs
            if has_statistics(layer) and len(specs) <= STATISTICS:
                specs += [ParamSpec()] * (STATISTICS - len(specs))
                layer.param_specs = [
                    attrs.evolve(spec, lr_mult=0.0, decay_mult=0.0) for spec in specs
                ]
        return network


def has_statistics(layer: Layer) -> bool:
    """Return whether ``layer`` is a BatchNorm with the blobs of Caffe's own."""
    blobs = expected_blobs(layer)
    return (
        isinstance(attributes_of(layer), BatchNorm)
        and blobs is not None
        and len(blobs) == STATISTICS
    )


def is_frozen(layer: Layer) -> bool:
    """Return whether ``layer`` is a BatchNorm that uses its stored statistics in every phase."""
    attributes = attributes_of(layer)
    return isinstance(attributes, BatchNorm) and attributes.use_global_stats is True
