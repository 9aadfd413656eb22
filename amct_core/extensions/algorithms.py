"""Extension types for arithmetic: activations, weights, calibration and the search for shift N."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Optional, Sequence, Tuple

import attrs

from amct_core.extensions.validation import callable_or_none, is_callable, plugin_name

if TYPE_CHECKING:  # numpy takes a third of the command line's start-up time
    import numpy as np
    from numpy.typing import NDArray
    from typing_extensions import Protocol

    Array = NDArray[Any]

    class ShiftSearcher(Protocol):
        """What :attr:`ShiftSearch.start` returns: one search for one layer."""

        def observe(self, y: Array) -> None:
            """Take in one batch of float32 layer outputs, (batch, C, ...)."""

        def result(self) -> NDArray[np.uint8]:
            """Return N per output channel, each in 1..16 (or one entry for the whole layer)."""


@attrs.frozen
class ActivationAlgorithm:
    """A way to fake-quantize activations between two learned clip bounds.

    Attributes:
        name: what ``retrain_data_config.algo`` says.
        forward: ``(x, clip_max, clip_min, fixed_min) -> (y, scale_d, offset_d)``; ``x`` and ``y``
            are float32 of any shape, ``scale_d`` float32 > 0, ``offset_d`` in -128..127.  ``y``
            must be ``(q - offset_d) * scale_d`` with ``q`` as
            :func:`amct_core.numerics.affine.quantize` computes it, or the saved model
            differs from the trained one.
        backward: ``(x, top_diff, clip_max, clip_min, fixed_min)
            -> (bottom_diff, d_clip_max, d_clip_min)``.
        factors: ``(clip_max, clip_min, fixed_min) -> (scale_d, offset_d)``, the same as ``forward``
            returns; used when the trained model is saved.
    """

    name: str = attrs.field(validator=plugin_name)
    forward: Callable[..., Tuple[Any, Any, int]] = attrs.field(validator=is_callable)
    backward: Callable[..., Tuple[Any, float, float]] = attrs.field(validator=is_callable)
    factors: Callable[..., Tuple[Any, int]] = attrs.field(validator=is_callable)


@attrs.frozen
class WeightAlgorithm:
    """A way to quantize weights to int8 without an offset.

    Attributes:
        name: what ``retrain_weight_config.algo`` says.
        scales: ``(weights, channel_axis) -> float32 [C]``, or ``[1]`` if ``channel_axis`` is None.
        quantize: ``(weights, scale, channel_axis) -> int8`` of the weights' shape.
    """

    name: str = attrs.field(validator=plugin_name)
    scales: Callable[..., Any] = attrs.field(validator=is_callable)
    quantize: Callable[..., Any] = attrs.field(validator=is_callable)


@attrs.frozen
class Calibrator:
    """A way to find the first clip bounds from data.

    Attributes:
        name: what ``retrain_data_config.init_algo`` says.
        calibrate: ``(batches) -> (scale_d, offset_d)`` from a sequence of float32 arrays, all the
            batches seen so far.
    """

    name: str = attrs.field(validator=plugin_name)
    calibrate: Callable[[Sequence[Any]], Tuple[Any, int]] = attrs.field(validator=is_callable)


@attrs.frozen
class ShiftSearch:
    """A way to find the shift factor N of a layer's output channels.

    Attributes:
        name: what ``shift_n_algo`` says.
        start: ``(deq_scale, broadcast) -> ShiftSearcher``; ``deq_scale`` is float32 ``[C]`` or
            ``[1]``, ``broadcast`` is true where all channels must share one N (a convolution with a
            1 x 1 output).  None: nothing is searched and N stays 0.
    """

    name: str = attrs.field(validator=plugin_name)
    start: Optional[Callable[[Any, bool], ShiftSearcher]] = attrs.field(
        default=None, validator=callable_or_none
    )
