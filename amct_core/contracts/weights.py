"""The contract of :class:`~amct_core.extensions.WeightAlgorithm`."""

from __future__ import annotations

from typing import Any, Optional, Tuple

import numpy as np
from numpy.typing import NDArray

from amct_core.contracts.usage import Usage, shown
from amct_core.contracts.values import check_array
from amct_core.extensions import WeightAlgorithm
from amct_core.numerics.arrays import channel_list

Float32Array = NDArray[np.float32]


def checked_scales(
    algorithm: WeightAlgorithm, weights: Float32Array, axis: Optional[int], layer: Optional[str]
) -> Float32Array:
    """Return the scales that an algorithm finds.

    Args:
        algorithm: which.
        weights: float32.
        axis: the one that counts output channels; None: one scale for all.
        layer: whose weights they are.

    Returns:
        float32 ``[C]``, or ``[1]``; finite and above 0.

    Raises:
        PluginError: the algorithm fails, or gives something else.
        QuantizationError: a weight is NaN or infinite.
    """
    usage = Usage(algorithm, layer)
    with usage.running("scales"):
        found = algorithm.scales(weights, axis)
    return check_scales(usage, "scales", found, 1 if axis is None else weights.shape[axis])


def check_scales(usage: Usage, function: str, found: Any, count: int) -> Float32Array:
    """Return ``found``, if it is ``count`` scales: float32, finite and above 0.

    Raises:
        PluginError: it is not.
    """
    if not isinstance(found, np.ndarray) or found.shape != (count,) or found.dtype != np.float32:
        per = "one for all weights" if count == 1 else "one per output channel"
        raise usage.error(
            f"{function} gave {shown(found)} as scales; expected float32 ({count},), {per}."
        )
    with np.errstate(invalid="ignore"):
        faulty = ~((found > 0) & (found < np.inf))
    if faulty.any():
        raise usage.error(
            f"{function} gave the scale {found[faulty][0]} for {channel_list(faulty)}; expected "
            "finite numbers above 0."
        )
    return found


def checked_integers(
    algorithm: WeightAlgorithm,
    weights: Float32Array,
    scales: Float32Array,
    axis: Optional[int],
    layer: Optional[str],
) -> NDArray[np.int8]:
    """Return the integers that an algorithm makes of weights; arguments as in its contract.

    Raises:
        PluginError: the algorithm fails, or gives something else than int8 of the weights' shape.
        QuantizationError: a weight is NaN or infinite.
    """
    usage = Usage(algorithm, layer)
    with usage.running("quantize"):
        found = algorithm.quantize(weights, scales, axis)
    if not isinstance(found, np.ndarray) or found.dtype != np.int8 or found.shape != weights.shape:
        raise usage.error(
            f"quantize gave {shown(found)}{_range(found)}; expected int8 {weights.shape}, the "
            "shape of the weights."
        )
    return found


def checked_gradients(
    algorithm: WeightAlgorithm,
    weights: Float32Array,
    top_diff: Float32Array,
    scales: Float32Array,
    axis: Optional[int],
    layer: Optional[str],
) -> Tuple[Float32Array, Float32Array]:
    """Return the gradients of weights and learned scales; arguments as in the contract.

    Raises:
        PluginError: the algorithm fails, or gives something else than two arrays of the shapes of
            weights and scales; or numbers that are not finite although those of ``top_diff`` are.
    """
    usage = Usage(algorithm, layer)
    assert algorithm.backward is not None
    with usage.running("backward"):
        result = algorithm.backward(weights, top_diff, scales, axis)
    d_weights, d_scale = usage.several("backward", result, ("d_weights", "d_scale"))
    check_array(usage, "backward", "d_weights", d_weights, weights.shape, None, "the weights")
    check_array(usage, "backward", "d_scale", d_scale, scales.shape, None, "the scales")
    for name, gradient in (("d_weights", d_weights), ("d_scale", d_scale)):
        if not np.isfinite(gradient).all() and np.isfinite(top_diff).all():
            worst = gradient[~np.isfinite(gradient)].flat[0]
            raise usage.error(
                f"backward gave {name} with {worst}, although top_diff is finite; expected finite "
                "numbers."
            )
    return d_weights, d_scale


def check_in_place(
    algorithm: WeightAlgorithm,
    found: Float32Array,
    scales: Float32Array,
    expected: Float32Array,
    expected_scales: Float32Array,
    layer: Optional[str],
) -> None:
    """Check that ``fake_quantize_into`` gives what ``scales`` and ``quantize`` give.

    Args:
        algorithm: which.
        found, scales: what it has written and returned.
        expected, expected_scales: what follows from the other two functions.
        layer: whose weights they are.

    Raises:
        PluginError: something differs.
    """
    usage = Usage(algorithm, layer)
    if not np.array_equal(scales, expected_scales):
        channel = int(np.flatnonzero(scales != expected_scales)[0])
        raise usage.error(
            f"fake_quantize_into gave the scale {scales[channel]:.9g} for channel {channel}; "
            f"expected what scales gives, {expected_scales[channel]:.9g}."
        )
    wrong = np.argwhere(found != expected)
    if wrong.size:
        place = tuple(int(index) for index in wrong[0])
        raise usage.error(
            f"fake_quantize_into wrote {found[place]:.9g} at {place}; expected "
            f"{expected[place]:.9g}, the result of quantize times its scale."
        )


def _range(found: Any) -> str:
    if not isinstance(found, np.ndarray) or not found.size or found.dtype.kind not in "fiu":
        return ""
    return f" with values from {found.min():.6g} to {found.max():.6g}"
