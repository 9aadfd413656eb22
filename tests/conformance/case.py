"""What a conformance case is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Optional

import attrs

from tests.conformance.netspec import Build


@attrs.frozen
class Case:
    """One network, and what must be found in it.

    Attributes:
        name: says what is special about it.
        build: makes the network in NetSpec notation.
        quantized: the layers that must be quantized, in network order: no more, no fewer.
        config: keys of the configuration as a whole.
        activation: keys of each layer's ``retrain_data_config``.
        channel_wise: of each layer's ``retrain_weight_config``; None: as the default has it.
        enable: the layers to enable; empty: all.
        inexact: quantized layers with a float layer upstream whose order of additions a BLAS or a
            math library decides: on the same inputs they are equal to the last bit, but those may
            differ.
        fields: of the network's file, in front of its layers.
        solver: fields of the solver, such as the states of its nets.
        trains: whether real Caffe knows all of its layer types.
    """

    name: str
    build: Build
    quantized: tuple[str, ...]
    config: Mapping[str, Any] = attrs.field(factory=dict)
    activation: Mapping[str, Any] = attrs.field(factory=dict)
    channel_wise: Optional[bool] = None
    enable: tuple[str, ...] = ()
    inexact: tuple[str, ...] = ()
    fields: str = ""
    solver: str = ""
    trains: bool = True

    def __str__(self) -> str:
        return self.name
