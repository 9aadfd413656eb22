"""The contract of :class:`~amct_core.extensions.ActivationAlgorithm`.

At each call: how many values come back, their shapes, ``scale_d`` above 0 and finite, ``offset_d``
in -128..127, and finite gradients.  At the first forward of a layer, and wherever it is asked for:
each value of ``y`` is on the grid of ``scale_d`` and ``offset_d``, and ``factors`` gives what
``forward`` gives.

The gradient of ``x`` is looked at in each pass, because NaN in a later one would look like training
that diverges.  That takes less than 1 % of an iteration (ResNet-20, SqueezeNet).
"""

from __future__ import annotations

import math
from typing import Any, Mapping, Optional, Tuple

import attrs
import numpy as np
from numpy.typing import NDArray

from amct_core.contracts.learned import check_declared, check_finite
from amct_core.contracts.usage import Usage, shown
from amct_core.contracts.values import PAIR, check_array, check_factors
from amct_core.extensions import ActivationAlgorithm
from amct_core.numerics import affine
from amct_core.numerics.arrays import flat_chunks

Array = NDArray[Any]

Values = Optional[Mapping[str, Array]]
"""Learned parameters and state by name."""

BOUNDS = ("clip_max", "clip_min")
"""What every ``backward`` gives a gradient of, beside ``x``, in this order."""

MOST_VALUES = 1 << 22
"""How many values of a tensor are compared with the grid; of a larger one, evenly spread ones."""

_PROBE = (1, 4, 16, 16)
"""Shape of the values that ``forward`` is tried on where there are no activations."""


@attrs.define(eq=False)
class CheckedActivation:
    """An activation algorithm at work in one layer.

    Attributes:
        algorithm: which.
        layer: name of the layer, or of all layers that read what is quantized.
    """

    algorithm: ActivationAlgorithm
    layer: Optional[str]
    usage: Usage = attrs.field(init=False)
    _forward_is_checked: bool = attrs.field(default=False, init=False)
    _factors_are_checked: bool = attrs.field(default=False, init=False)

    def __attrs_post_init__(self) -> None:
        """Say who is to blame."""
        self.usage = Usage(self.algorithm, self.layer)

    def forward(
        self, x: Array, y: Array, *bounds: Any, values: Values = None, thorough: bool = False
    ) -> Tuple[np.float32, int]:
        """Write fake-quantized ``x`` into ``y``; return ``(scale_d, offset_d)``.

        Args:
            x: float32 of any shape.
            y: float32 of the same shape.
            bounds: ``clip_max, clip_min, fixed_min``, as the algorithm takes them.
            values: of learned parameters and state.
            thorough: whether the numbers in ``y`` are checked, as they are the first time.

        Raises:
            PluginError: the algorithm fails, or breaks its contract.
            QuantizationError: ``x`` holds NaN, or the bounds are invalid.
        """
        thorough = thorough or not self._forward_is_checked
        given = _spread(x).copy() if thorough else x  # y may be x itself
        into, named = self.algorithm.forward_into, self.algorithm.named(values)
        function = "forward" if into is None else "forward_into"
        with self.usage.running(function):
            result: Any = (
                self.algorithm.forward(x, *bounds, **named)
                if into is None
                else into(x, y, *bounds, **named)
            )
        if into is None:
            found, *rest = self.usage.several(function, result, ("y", *PAIR))
            check_array(self.usage, function, "y", found, x.shape, np.float32, "x")
            y[...] = found
            result = tuple(rest)
        factors = check_factors(self.usage, function, result)
        if thorough:
            self._check_grid(function, given, _spread(y), *factors)
            self._check_same(function, factors, bounds, values)
            self._forward_is_checked = True
        return factors

    def backward(
        self,
        x: Array,
        top_diff: Array,
        bottom_diff: Optional[Array],
        *bounds: Any,
        values: Values = None,
    ) -> Tuple[Any, Any, Mapping[str, Array]]:
        """Write the gradient of ``x`` into ``bottom_diff``; return the other gradients.

        Args:
            x: what :meth:`forward` was given.
            top_diff: the gradient of ``y``.
            bottom_diff: None where nobody needs it.
            bounds, values: as for :meth:`forward`.

        Returns:
            Those of the two bounds, and those of the learned parameters by name.

        Raises:
            PluginError: the algorithm fails, or breaks its contract.
            QuantizationError: the bounds are invalid.
        """
        into, named = self.algorithm.backward_into, self.algorithm.named(values)
        function = "backward" if into is None else "backward_into"
        with self.usage.running(function):
            result: Any = (
                self.algorithm.backward(x, top_diff, *bounds, **named)
                if into is None
                else into(x, top_diff, bottom_diff, *bounds, **named)
            )
        names = tuple(f"d_{name}" for name in BOUNDS)
        names += ("d_learned",) if self.algorithm.learned else ()
        if into is None:
            found, *rest = self.usage.several(function, result, ("bottom_diff", *names))
            check_array(self.usage, function, "bottom_diff", found, x.shape, None, "x")
            if bottom_diff is not None:
                bottom_diff[...] = found
            result = tuple(rest)
        d_clip_max, d_clip_min, *rest = self.usage.several(function, result, names)
        learned = rest[0] if rest else {}
        check_declared(self.usage, function, learned, self.algorithm.learned, all_of_them=True)
        if bottom_diff is not None:
            self._require_finite(function, "bottom_diff", bottom_diff, x, top_diff)
        for name, gradient in zip(names, (d_clip_max, d_clip_min)):
            self._check_gradient(function, name, gradient, x, top_diff)
        for name, gradient in learned.items():
            self._require_finite(function, f"the gradient of '{name}'", gradient, x, top_diff)
        return d_clip_max, d_clip_min, learned

    def new_values(
        self, x: Array, *bounds: Any, values: Mapping[str, Array], batch: Optional[int] = None
    ) -> Mapping[str, Array]:
        """Return what learned parameters and state become before a TRAIN forward, by name.

        Args:
            x: the whole batch of all processes.
            bounds, values: as for :meth:`forward`.
            batch: which forward of initialisation it is; None: that is over.

        Raises:
            PluginError: the algorithm fails, or breaks its contract.
        """
        algorithm = self.algorithm
        if batch is not None and algorithm.initialise is not None:
            function, expected = "initialise", algorithm.blobs
            with self.usage.running(function):
                found = algorithm.initialise(x, *bounds, batch=batch, values=values)
        elif algorithm.observe is not None:
            function, expected = "observe", algorithm.state
            with self.usage.running(function):
                found = algorithm.observe(x, *bounds, values=values)
        else:
            return {}
        check_declared(self.usage, function, found, expected)
        check_finite(self.usage, function, found)
        return found

    def factors(self, *bounds: Any, values: Values = None) -> Tuple[np.float32, int]:
        """Return ``(scale_d, offset_d)``; the first time also try ``forward`` at these bounds.

        Args:
            bounds, values: as for :meth:`forward`.

        Raises:
            PluginError: the algorithm fails, or breaks its contract.
            QuantizationError: the bounds are invalid.
        """
        factors = self._own_factors(bounds, values)
        if not self._factors_are_checked:
            x = _probe(float(bounds[0]), float(bounds[1]))
            # Not in place, which is for training and may have to be compiled first.
            plain = CheckedActivation(attrs.evolve(self.algorithm, forward_into=None), self.layer)
            plain.forward(x, np.empty_like(x), *bounds, values=values)
            self._factors_are_checked = True
        return factors

    def _own_factors(self, bounds: Tuple[Any, ...], values: Values) -> Tuple[np.float32, int]:
        with self.usage.running("factors"):
            result = self.algorithm.factors(*bounds, **self.algorithm.named(values))
        return check_factors(self.usage, "factors", result)

    def _check_same(
        self,
        function: str,
        factors: Tuple[np.float32, int],
        bounds: Tuple[Any, ...],
        values: Values,
    ) -> None:
        own = self._own_factors(bounds, values)
        if own != factors:
            raise self.usage.error(
                f"factors gave scale_d {own[0]:.9g} and offset_d {own[1]} for clip_max "
                f"{float(bounds[0]):.9g} and clip_min {float(bounds[1]):.9g}; expected what "
                f"{function} gave for them, {factors[0]:.9g} and {factors[1]}."
            )

    def _check_grid(
        self, function: str, x: Array, y: Array, scale: np.float32, offset: int
    ) -> None:
        quant_scale = affine.quant_scale(scale)
        for values, found in flat_chunks(x, y):
            with self.usage.running(function):  # x may hold NaN
                q = affine.quantize(values, quant_scale, offset)
            expected = affine.dequantize(q, offset, scale)
            wrong = np.flatnonzero(expected != found)
            if wrong.size:
                first = wrong[0]
                raise self.usage.error(
                    f"{function} gave y = {found[first]:.9g} for x = {values[first]:.9g}; expected "
                    f"{expected[first]:.9g}, which is (q - offset_d) * scale_d with scale_d "
                    f"{scale:.9g}, offset_d {offset} and q of amct_core.numerics.affine.quantize, "
                    "as the saved model computes it."
                )

    def _check_gradient(
        self, function: str, name: str, gradient: Any, x: Array, top_diff: Array
    ) -> None:
        try:
            finite = math.isfinite(gradient)
        except (TypeError, ValueError, OverflowError):
            raise self.usage.error(
                f"{function} gave {shown(gradient)} as {name}; expected a number."
            ) from None
        if not finite:
            self._require_finite(function, name, np.asarray(gradient), x, top_diff)

    def _require_finite(
        self, function: str, name: str, gradient: Array, x: Array, top_diff: Array
    ) -> None:
        """Raise if a gradient is not finite, unless that comes from what it is computed from."""
        if _is_finite(gradient) or not (_is_finite(x) and _is_finite(top_diff)):
            return
        worst = gradient[~np.isfinite(gradient)].flat[0]
        raise self.usage.error(
            f"{function} gave {name} with {worst}, although x and top_diff are finite; expected "
            "finite numbers."
        )


def _spread(array: Array) -> Array:
    """Return all values of ``array``, flat, or of a large one every so many."""
    flat = array.reshape(-1)
    step = -(-flat.size // MOST_VALUES)
    return flat if step <= 1 else flat[:: step | 1]  # odd, to meet every column of a row


def _probe(clip_max: float, clip_min: float) -> NDArray[np.float32]:
    """Return values inside and outside the bounds."""
    span = clip_max - clip_min
    count = math.prod(_PROBE)
    values = np.linspace(clip_min - 0.25 * span, clip_max + 0.25 * span, count)
    return values.astype(np.float32).reshape(_PROBE)


def _is_finite(array: Array) -> bool:
    """Return whether no value is NaN or infinite.

    NaN and infinity reach the sum of squares, which is one quick pass without a temporary array.
    Where that is not finite, large values may be the reason, too.
    """
    flat = array.reshape(-1)
    with np.errstate(over="ignore", invalid="ignore"):
        squares = float(np.dot(flat, flat))
    return math.isfinite(squares) or bool(np.isfinite(array).all())
