"""Makes BatchNorm use its stored statistics in training."""

from __future__ import annotations

import logging
from typing import List

import attrs

from amct_caffe.model.layer_type import attributes_of
from amct_caffe.model.network import CaffeNetwork
from amct_core.graph import Pass
from amct_core.graph.attributes import BatchNorm
from amct_core.textproto import Message

_log = logging.getLogger("amct_caffe.passes")


@attrs.frozen
class FreezeBatchNorm(Pass[CaffeNetwork]):
    """Freeze BatchNorm.

    1. Every BatchNorm layer that the network keeps gets ``use_global_stats: true``.
    2. How many there are, and why, is logged; those that are frozen already do not count.

    Attributes:
        reason: why, for the log.
    """

    reason: str = "it was asked for"

    def run(self, state: CaffeNetwork) -> CaffeNetwork:
        """Return the network with frozen BatchNorm layers."""
        network = state.copy()
        frozen: List[str] = []
        for layer in network.document.layers:
            if not isinstance(attributes_of(layer), BatchNorm):
                continue
            parameters = layer.message.message("batch_norm_param")
            if parameters is None:
                parameters = Message()
                layer.message.set("batch_norm_param", parameters)
            if not parameters.boolean("use_global_stats", False):
                parameters.set("use_global_stats", True)
                frozen.append(layer.name)
        if frozen:
            _log.warning(
                "BatchNorm is frozen in %d layers (use_global_stats: true), because %s: their mean "
                "and variance stay as they are; Scale layers are trained",
                len(frozen),
                self.reason,
            )
        return network
