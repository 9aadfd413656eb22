"""The hooks.  This module is imported whenever ``amct`` starts, so what they need they import."""

from __future__ import annotations

from typing import Iterable

from amct_core.extensions import (
    ActivationAlgorithm,
    DeployBackend,
    LayerType,
    ShiftSearch,
)
from amct_core.hookspecs import hookimpl


@hookimpl
def amct_layer_types() -> Iterable[LayerType]:
    """Scale layers in integers; how they are read and computed in float32 is known already."""
    from amct_example_plugin import scale_layer

    return [scale_layer.LAYER_TYPE]


@hookimpl
def amct_activation_algorithms() -> Iterable[ActivationAlgorithm]:
    """``power_of_two``."""
    from amct_example_plugin import power_of_two

    return [power_of_two.ALGORITHM]


@hookimpl
def amct_shift_searches() -> Iterable[ShiftSearch]:
    """``percentile``."""
    from amct_example_plugin import percentile

    return [percentile.SEARCH]


@hookimpl
def amct_deploy_backends() -> Iterable[DeployBackend]:
    """``factors_json`` for people, and ``json_bundle``, which is read back."""
    from amct_example_plugin import factors_json, json_bundle

    return [factors_json.BACKEND, json_bundle.BACKEND]
