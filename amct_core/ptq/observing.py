"""Lets a calibrator see the batches of one blob.

A calibrator takes those parameters of the configuration whose names are among its own function's:
``with_offset``, and the keys of ``activation_quant_params``.  One with a class of parameters takes
that class's.
"""

from __future__ import annotations

import functools
import inspect
from typing import Any, Callable, Dict, List, Mapping, Optional, Protocol, Sequence, Tuple

import attrs
import numpy as np
from numpy.typing import NDArray

from amct_core.config.ptq import PtqActivation
from amct_core.contracts.calibrators import CheckedRun
from amct_core.contracts.usage import Usage
from amct_core.errors import ConfigError, QuantizationError
from amct_core.extensions import Calibrator

Array = NDArray[np.float32]

OWN_PARAMETERS = "activation_quant_params"
"""The section of the configuration in which a calibrator's own parameters stand."""


class Observer(Protocol):
    """One calibration of one blob."""

    def observe(self, batch: Array) -> None:
        """Take in one batch, float32 of any shape; it is not kept."""

    def result(self) -> Tuple[Any, int]:
        """Return ``(scale, offset)`` for all batches so far: float32 > 0, and -128..127."""


@attrs.define
class KeptBatches:
    """The observer of a calibrator that needs all batches at once.

    Attributes:
        calibrate: ``(batches) -> (scale, offset)``.
    """

    calibrate: Callable[[List[Array]], Tuple[Any, int]]
    _batches: List[Array] = attrs.field(factory=list, init=False)

    def observe(self, batch: Array) -> None:
        """Keep a copy: the framework uses its memory again."""
        self._batches.append(np.array(batch, np.float32))

    def result(self) -> Tuple[Any, int]:
        """Return what the calibrator finds in all batches."""
        return self.calibrate(self._batches)


def parameters_of(activation: PtqActivation, with_offset: bool) -> Dict[str, Any]:
    """Return all parameters of a calibration by name."""
    return {**activation.parameters, "with_offset": with_offset}


def observer_for(
    calibrator: Calibrator, parameters: Mapping[str, Any], layer: Optional[str] = None
) -> Observer:
    """Return a new observer.

    Args:
        calibrator: a streaming one, or one that takes all batches.
        parameters: as :func:`parameters_of` returns them.
        layer: name of the layer, or of all layers that read the blob, for messages.

    Raises:
        PluginError: the calibrator fails, here or later, or breaks its contract.
        ConfigError: the calibrator knows activations with an offset only, and there is to be none;
            or it chooses among others, for which one observer is not enough; or a parameter is not
            one of its own.
    """
    calibrator, parameters = _bound(calibrator, parameters)
    if calibrator.chooses:
        raise ConfigError(
            f"the calibrator '{calibrator.name}' compares what layers compute; a calibration in "
            "the framework sees their inputs alone.",
            field="act_algo",
            remedy="Calibrate in the simulator (amct ptq calibrate --engine simulator), or name "
            "one calibrator.",
        )
    usage, with_offset = Usage(calibrator, layer), bool(parameters.get("with_offset", True))
    if calibrator.start is not None:
        accepted = _accepted(calibrator.name, calibrator.start, parameters)
        with usage.running("start"):
            run = calibrator.start(**accepted)
        return CheckedRun(run, usage, with_offset=with_offset)
    assert calibrator.calibrate is not None
    accepted = _accepted(calibrator.name, calibrator.calibrate, parameters)
    kept = KeptBatches(functools.partial(calibrator.calibrate, **accepted))
    return CheckedRun(kept, usage, "calibrate", with_offset)


def _bound(
    calibrator: Calibrator, parameters: Mapping[str, Any]
) -> Tuple[Calibrator, Mapping[str, Any]]:
    """Return a calibrator that has its own parameters, and the others."""
    if calibrator.parameters is None:
        return calibrator, parameters
    common = {key: value for key, value in parameters.items() if key == "with_offset"}
    own = {key: value for key, value in parameters.items() if key not in common}
    return calibrator.bound(own, key=OWN_PARAMETERS), common


def require_finite(x: Array, number: int, layers: Sequence[str], blob: str) -> None:
    """Check that a batch can be observed.

    Args:
        x: the batch.
        number: which one it is, from 1 on.
        layers, blob: who reads it, and what it is called.

    Raises:
        QuantizationError: it holds NaN or infinity.
    """
    if np.isfinite(x.sum(dtype=np.float64)):
        return  # the sum of finite float32 numbers is finite in float64
    nans, count = int(np.isnan(x).sum()), int((~np.isfinite(x)).sum())
    raise QuantizationError(
        f"batch {number} of its input has {count} values of {x.size} that are NaN "
        f"({nans}) or infinite ({count - nans}); expected finite numbers.",
        layer=", ".join(layers),
        field=blob,
        remedy="Check the weights file, the preprocessing of the data, and the layers before.",
    )


def _accepted(
    name: str, function: Callable[..., Any], parameters: Mapping[str, Any]
) -> Dict[str, Any]:
    known = inspect.signature(function).parameters
    if any(each.kind is each.VAR_KEYWORD for each in known.values()):
        return dict(parameters)
    if "with_offset" not in known and not parameters["with_offset"]:
        raise ConfigError(
            f"it is false, but the calibrator '{name}' knows activations with an offset only.",
            field="activation_offset",
            remedy="Set it to true, or choose another act_algo.",
        )
    return {key: value for key, value in parameters.items() if key in known}
