"""Plugins that break their contracts, one mistake each, and what has to be said of each.

All of them are the plugin ``mine``; their algorithms are called ``mistaken``.  Whatever is not
the mistake is right.
"""

from __future__ import annotations

import sys
import types
from importlib.metadata import EntryPoint
from typing import Any, Callable, Dict, Iterator, Optional

import attrs
import numpy as np
import pytest

from amct_core import plugins
from amct_core.extensions import (
    ActivationAlgorithm,
    Calibrator,
    LearnedParameter,
    ShiftSearch,
    WeightAlgorithm,
)
from amct_core.hookspecs import hookimpl
from amct_core.numerics import affine, arq, ulq

PLUGIN, NAME = "mine", "mistaken"
MODULE = "mistaken_plugin_of_a_test"


@attrs.frozen
class Mistake:
    """A mistake.

    Attributes:
        extension: the object that makes it.
        said: parts of the message: what was found, and what was expected.
    """

    extension: Any
    said: tuple[str, ...]


def entry_point(monkeypatch: pytest.MonkeyPatch, hook: str, *extensions: Any) -> EntryPoint:
    """Return the entry point of the plugin, whose ``hook`` returns ``extensions``."""
    module = types.ModuleType(MODULE)
    setattr(module, hook, hookimpl(lambda: list(extensions)))
    monkeypatch.setitem(sys.modules, MODULE, module)
    return EntryPoint(PLUGIN, MODULE, "amct")


def installed(
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Callable[[str, Any], plugins.Registries]]:
    """Yield what installs the plugin in this process; all others stay.

    To be made a fixture of.
    """
    others = plugins.installed_entry_points()

    def forget() -> None:
        plugins.host.cache_clear()
        plugins.registries.cache_clear()

    def install(hook: str, *extensions: Any) -> plugins.Registries:
        mine = entry_point(monkeypatch, hook, *extensions)
        monkeypatch.setattr(plugins, "installed_entry_points", lambda: [*others, mine])
        forget()
        return plugins.registries()

    yield install
    monkeypatch.undo()
    forget()


def message(error: BaseException, kind: str, layer: Optional[str], said: tuple[str, ...]) -> str:
    """Return the message of an error after a check that it names everything."""
    text = str(error)
    assert f"plugin '{PLUGIN}', {kind} '{NAME}'" in text
    if layer is not None:
        assert f"layer '{layer}'" in text
    for part in said:
        assert part in text
    return text


# Activation algorithms


def activation(**changes: Any) -> ActivationAlgorithm:
    """Return ULQ in plain functions with ``changes``."""
    functions = {
        "forward": ulq.forward,
        "backward": ulq.backward,
        "factors": affine.scale_offset,
        **changes,
    }
    return ActivationAlgorithm(name=NAME, **functions)


def _forward(change: Callable[..., Any], **changes: Any) -> ActivationAlgorithm:
    def forward(x: Any, *bounds: Any) -> Any:
        return change(*ulq.forward(x, *bounds))

    return activation(forward=forward, **changes)


def _backward(change: Callable[..., Any]) -> ActivationAlgorithm:
    def backward(x: Any, top_diff: Any, *bounds: Any) -> Any:
        return change(*ulq.backward(x, top_diff, *bounds))

    return activation(backward=backward)


def _factors(change: Callable[..., Any]) -> ActivationAlgorithm:
    return activation(factors=lambda *bounds: change(*affine.scale_offset(*bounds)))


def _off_the_grid_in_place(x: Any, y: Any, *bounds: Any) -> Any:
    y[...], scale, offset = ulq.forward(x, *bounds)
    y.reshape(-1)[-1] += scale / 2
    return scale, offset


def _fails(*arguments: Any, **names: Any) -> Any:
    raise ZeroDivisionError("of the plugin")


def _nan_at_one(gradient: Any) -> Any:
    result = np.array(gradient)
    result.reshape(-1)[3] = np.nan
    return result


PAIR_FORWARD = ("forward returned 2 values", "expected 3, (y, scale_d, offset_d)")
THE_GRID = ("(q - offset_d) * scale_d", "amct_core.numerics.affine.quantize")

FORWARD: Dict[str, Mistake] = {
    "forward of a wrong shape": Mistake(
        _forward(lambda y, s, o: (y[..., :1], s, o)),
        ("forward gave float32 (", "as y", "expected float32 (", "the shape of x"),
    ),
    "forward of one value": Mistake(
        _forward(lambda y, s, o: (np.zeros((1,), np.float32), s, o)),
        ("forward gave float32 (1,) as y", "the shape of x"),
    ),
    "forward in float64": Mistake(
        _forward(lambda y, s, o: (y.astype(np.float64), s, o)),
        ("forward gave float64 (", "expected float32 ("),
    ),
    "forward off the grid": Mistake(
        _forward(lambda y, s, o: (y + s / 2, s, o)), ("forward gave y = ", *THE_GRID)
    ),
    "forward off the grid in one place": Mistake(
        _forward(lambda y, s, o: (np.where(np.arange(y.shape[-1]) == 1, y + s, y), s, o)),
        ("forward gave y = ", *THE_GRID),
    ),
    "forward_into off the grid": Mistake(
        activation(forward_into=_off_the_grid_in_place), ("forward_into gave y = ", *THE_GRID)
    ),
    "forward of NaN": Mistake(
        _forward(lambda y, s, o: (np.full_like(y, np.nan), s, o)), ("forward gave y = nan",)
    ),
    "another scale in factors": Mistake(
        _factors(lambda s, o: (2 * s, o)), ("factors gave scale_d", "expected what forward gave")
    ),
    "another offset in factors": Mistake(
        _factors(lambda s, o: (s, o - 1 if o > -128 else o + 1)),
        ("factors gave scale_d", "and offset_d", "expected what forward gave"),
    ),
    "one factor": Mistake(
        _factors(lambda s, o: s), ("factors returned ", "expected a tuple of 2, (scale_d, offset_d")
    ),
    "offset 300": Mistake(
        _forward(lambda y, s, o: (y, s, 300)),
        ("forward gave offset_d 300", "expected an integer in -128..127"),
    ),
    "offset 2.5": Mistake(
        _forward(lambda y, s, o: (y, s, 2.5)), ("forward gave offset_d 2.5", "expected an integer")
    ),
    "no offset": Mistake(
        _forward(lambda y, s, o: (y, s, None)),
        ("forward gave offset_d None", "expected an integer"),
    ),
    "scale 0": Mistake(
        _forward(lambda y, s, o: (y, np.float32(0), o)),
        ("forward gave scale_d 0.0", "expected a finite float32 number above 0"),
    ),
    "scale NaN": Mistake(
        _forward(lambda y, s, o: (y, float("nan"), o)), ("forward gave scale_d nan", "above 0")
    ),
    "scales": Mistake(
        _forward(lambda y, s, o: (y, np.ones(2, np.float32), o)),
        ("forward gave scale_d float32 (2,)", "above 0"),
    ),
    "forward of two values": Mistake(_forward(lambda y, s, o: (y, s)), PAIR_FORWARD),
    "forward of nothing": Mistake(
        _forward(lambda y, s, o: None), ("forward returned None", "expected a tuple of 3")
    ),
    "an exception in forward": Mistake(
        activation(forward=_fails), ("forward failed with ZeroDivisionError: of the plugin.",)
    ),
    "an exception in forward_into": Mistake(
        activation(forward_into=_fails), ("forward_into failed with ZeroDivisionError",)
    ),
    "an exception in factors": Mistake(
        activation(factors=_fails), ("factors failed with ZeroDivisionError: of the plugin.",)
    ),
    "an exception in prepare": Mistake(
        activation(prepare=_fails), ("prepare failed with ZeroDivisionError: of the plugin.",)
    ),
}

BACKWARD: Dict[str, Mistake] = {
    "NaN in the gradient of x": Mistake(
        _backward(lambda x, high, low: (_nan_at_one(x), high, low)),
        ("backward gave bottom_diff with nan", "expected finite numbers"),
    ),
    "NaN as the gradient of a bound": Mistake(
        _backward(lambda x, high, low: (x, high, float("nan"))),
        ("backward gave d_clip_min with nan", "expected finite numbers"),
    ),
    "infinity as the gradient of a bound": Mistake(
        _backward(lambda x, high, low: (x, np.float64("inf"), low)),
        ("backward gave d_clip_max with inf", "expected finite numbers"),
    ),
    "no gradient of a bound": Mistake(
        _backward(lambda x, high, low: (x, high, None)),
        ("backward gave None as d_clip_min", "expected a number"),
    ),
    "gradients of a bound": Mistake(
        _backward(lambda x, high, low: (x, np.zeros(4), low)),
        ("backward gave float64 (4,) as d_clip_max", "expected a number"),
    ),
    "two gradients": Mistake(
        _backward(lambda x, high, low: (x, high)),
        ("backward returned 2 values", "expected 3, (bottom_diff, d_clip_max, d_clip_min)"),
    ),
    "four gradients": Mistake(
        _backward(lambda x, high, low: (x, high, low, 0.0)),
        ("backward returned 4 values", "expected 3, (bottom_diff, d_clip_max, d_clip_min)"),
    ),
    "one gradient in place": Mistake(
        activation(backward_into=lambda x, top, bottom, *bounds: (0.0,)),
        ("backward_into returned 1 values", "expected 2, (d_clip_max, d_clip_min)"),
    ),
    "a gradient of a wrong shape": Mistake(
        _backward(lambda x, high, low: (x[..., :1], high, low)),
        ("backward gave float32 (", "as bottom_diff", "the shape of x"),
    ),
    "a gradient in integers": Mistake(
        _backward(lambda x, high, low: (x.astype(np.int32), high, low)),
        ("backward gave int32 (", "expected floating-point ("),
    ),
    "an exception in backward": Mistake(
        activation(backward=_fails), ("backward failed with ZeroDivisionError: of the plugin.",)
    ),
}


def _learning(**changes: Any) -> ActivationAlgorithm:
    """Return ULQ with a parameter that is learned and nowhere used."""

    def forward(x: Any, *bounds: Any, values: Any) -> Any:
        return ulq.forward(x, *bounds)

    def backward(x: Any, top_diff: Any, *bounds: Any, values: Any) -> Any:
        return (*ulq.backward(x, top_diff, *bounds), {"slope": np.zeros(1, np.float32)})

    def factors(*bounds: Any, values: Any) -> Any:
        return affine.scale_offset(*bounds)

    functions = {"forward": forward, "backward": backward, "factors": factors, **changes}
    return ActivationAlgorithm(name=NAME, learned=(LearnedParameter("slope"),), **functions)


def _slope(found: Any) -> ActivationAlgorithm:
    def backward(x: Any, top_diff: Any, *bounds: Any, values: Any) -> Any:
        return (*ulq.backward(x, top_diff, *bounds), found)

    return _learning(backward=backward)


LEARNED: Dict[str, Mistake] = {
    "no gradient of what is learned": Mistake(
        _learning(backward=lambda x, top, *bounds, values: ulq.backward(x, top, *bounds)),
        ("backward returned 3 values", "expected 4, (bottom_diff, d_clip_max, d_clip_min, d_lea"),
    ),
    "a gradient that is no mapping": Mistake(
        _slope(np.zeros(1, np.float32)), ("backward returned float32 (1,)", "expected a mapping")
    ),
    "a gradient of another name": Mistake(
        _slope({"other": np.zeros(1)}), ("backward returned 'other'", "'slope' (1,)")
    ),
    "a gradient of another shape": Mistake(
        _slope({"slope": np.zeros(2)}), ("backward returned 'slope' of shape (2,)", "'slope' (1,)")
    ),
    "NaN as the gradient of what is learned": Mistake(
        _slope({"slope": np.float32([np.nan])}),
        ("backward gave the gradient of 'slope' with nan", "expected finite numbers"),
    ),
    "NaN as the first value": Mistake(
        _learning(initialise=lambda x, *bounds, batch, values: {"slope": np.float32([np.nan])}),
        ("initialise returned 'slope' with nan", "expected finite numbers"),
    ),
    "an exception in initialise": Mistake(
        _learning(initialise=_fails), ("initialise failed with ZeroDivisionError: of the plugin.",)
    ),
    "an exception in observe": Mistake(
        _learning(observe=_fails), ("observe failed with ZeroDivisionError: of the plugin.",)
    ),
}

# Weight algorithms


def weight(**changes: Any) -> WeightAlgorithm:
    """Return ARQ in plain functions with ``changes``."""
    return WeightAlgorithm(name=NAME, **{"scales": arq.scales, "quantize": arq.quantize, **changes})


def _scales(change: Callable[[Any], Any]) -> WeightAlgorithm:
    return weight(scales=lambda weights, axis=None: change(arq.scales(weights, axis)))


def _quantize(change: Callable[[Any], Any]) -> WeightAlgorithm:
    return weight(
        quantize=lambda weights, scale, axis=None: change(arq.quantize(weights, scale, axis))
    )


def _replaced(array: Any, value: Any) -> Any:
    result = np.array(array)
    result.reshape(-1)[1] = value
    return result


WEIGHTS: Dict[str, Mistake] = {
    "scales of a wrong shape": Mistake(
        _scales(lambda s: s[:-1]), ("scales gave float32 (", "expected float32 (", "per output")
    ),
    "scales in two axes": Mistake(
        _scales(lambda s: s.reshape(-1, 1)), ("scales gave float32 (", "per output channel")
    ),
    "scales in float64": Mistake(
        _scales(lambda s: s.astype(np.float64)), ("scales gave float64 (", "expected float32 (")
    ),
    "scales as a list": Mistake(
        _scales(lambda s: list(s)), ("scales gave [", "expected float32 (")
    ),
    "a scale of 0": Mistake(
        _scales(lambda s: _replaced(s, 0)),
        ("scales gave the scale 0.0 for channel 1", "expected finite numbers above 0"),
    ),
    "a negative scale": Mistake(
        _scales(lambda s: _replaced(s, -0.5)),
        ("scales gave the scale -0.5 for channel 1", "expected finite numbers above 0"),
    ),
    "a scale of NaN": Mistake(
        _scales(lambda s: _replaced(s, np.nan)),
        ("scales gave the scale nan for channel 1", "expected finite numbers above 0"),
    ),
    "an infinite scale": Mistake(
        _scales(lambda s: _replaced(s, np.inf)),
        ("scales gave the scale inf for channel 1", "expected finite numbers above 0"),
    ),
    "floats for int8": Mistake(
        _quantize(lambda q: q.astype(np.float32)),
        ("quantize gave float32 (", "expected int8 (", "the shape of the weights"),
    ),
    "300 for int8": Mistake(
        _quantize(lambda q: _replaced(q.astype(np.int64), 300)),
        ("quantize gave int64 (", "to 300", "expected int8 ("),
    ),
    "integers of a wrong shape": Mistake(
        _quantize(lambda q: q[:-1]), ("quantize gave int8 (", "the shape of the weights")
    ),
    "no integers": Mistake(_quantize(lambda q: None), ("quantize gave None", "expected int8 (")),
    "an exception in scales": Mistake(
        weight(scales=_fails), ("scales failed with ZeroDivisionError: of the plugin.",)
    ),
    "an exception in quantize": Mistake(
        weight(quantize=_fails), ("quantize failed with ZeroDivisionError: of the plugin.",)
    ),
}


def _in_place(change: Callable[[Any, Any], Any]) -> WeightAlgorithm:
    def fake_quantize_into(
        weights: Any, out: Any, signs: Any, output_axis: int, channel_wise: bool
    ) -> Any:
        axis = output_axis if channel_wise else None
        scales = arq.scales(weights, axis)
        shape = [1] * weights.ndim
        shape[output_axis] = -1
        out[...] = arq.quantize(weights, scales, axis) * scales.reshape(shape)
        return change(out, scales)

    return weight(fake_quantize_into=fake_quantize_into)


def _off(out: Any, scales: Any) -> Any:
    out.reshape(-1)[2] += scales[0]
    return scales


IN_PLACE: Dict[str, Mistake] = {
    "other weights in place": Mistake(
        _in_place(_off), ("fake_quantize_into wrote ", "the result of quantize times its scale")
    ),
    "other scales in place": Mistake(
        _in_place(lambda out, scales: 2 * scales),
        ("fake_quantize_into gave the scale ", "expected what scales gives"),
    ),
    "no scales in place": Mistake(
        _in_place(lambda out, scales: None),
        ("fake_quantize_into gave None as scales", "expected float32 ("),
    ),
    "an exception in place": Mistake(
        weight(fake_quantize_into=_fails), ("fake_quantize_into failed with ZeroDivisionError",)
    ),
}


def _scale_gradients(change: Callable[[Any, Any], Any]) -> WeightAlgorithm:
    def backward(weights: Any, top_diff: Any, scale: Any, channel_axis: Any = None) -> Any:
        return change(top_diff, np.zeros_like(scale))

    return weight(backward=backward)


LEARNED_SCALES: Dict[str, Mistake] = {
    "one gradient": Mistake(
        _scale_gradients(lambda d_weights, d_scale: d_scale),
        ("backward returned float32 (", "expected a tuple of 2, (d_weights, d_scale)"),
    ),
    "gradients of weights of a wrong shape": Mistake(
        _scale_gradients(lambda d_weights, d_scale: (d_weights[:1], d_scale)),
        ("backward gave float32 (1, ", "as d_weights", "the shape of the weights"),
    ),
    "one gradient of all scales": Mistake(
        _scale_gradients(lambda d_weights, d_scale: (d_weights, d_scale.sum())),
        ("backward gave 0.0 as d_scale", "the shape of the scales"),
    ),
    "NaN as the gradient of a scale": Mistake(
        _scale_gradients(lambda d_weights, d_scale: (d_weights, np.full_like(d_scale, np.nan))),
        ("backward gave d_scale with nan", "although top_diff is finite"),
    ),
    "an exception in backward": Mistake(
        weight(backward=_fails), ("backward failed with ZeroDivisionError: of the plugin.",)
    ),
}

# Calibrators


@attrs.define
class Run:
    """A calibration that gives what it is told to."""

    found: Any

    def observe(self, batch: Any) -> None:
        """Take in nothing."""

    def result(self) -> Any:
        """Return it."""
        return self.found


class FailingRun(Run):
    """A calibration that fails at each batch."""

    def observe(self, batch: Any) -> None:
        """Fail."""
        _fails()


def calibrator(found: Any) -> Calibrator:
    """Return one that gives ``found``."""
    return Calibrator(name=NAME, start=lambda with_offset=True: Run(found))


def _calibrated(found: Any, *said: str) -> Mistake:
    return Mistake(calibrator(found), said)


ONE = np.float32(1)

CALIBRATORS: Dict[str, Mistake] = {
    "not a pair": _calibrated(ONE, "result returned 1.0", "a tuple of 2, (scale_d, offset_d)"),
    "three values": _calibrated((ONE, 0, 0), "result returned 3 values", "expected 2"),
    "scale 0": _calibrated((np.float32(0), 0), "result gave scale_d 0.0", "above 0"),
    "a negative scale": _calibrated((-ONE, 0), "result gave scale_d -1.0", "above 0"),
    "scale NaN": _calibrated((np.float32("nan"), 0), "result gave scale_d nan", "above 0"),
    "an infinite scale": _calibrated((np.float32("inf"), 0), "result gave scale_d inf", "above 0"),
    "offset 300": _calibrated((ONE, 300), "result gave offset_d 300", "in -128..127"),
    "offset -129": _calibrated((ONE, -129), "result gave offset_d -129", "in -128..127"),
    "offset 2.5": _calibrated((ONE, 2.5), "result gave offset_d 2.5", "an integer"),
    "no offset": _calibrated((ONE, None), "result gave offset_d None", "an integer"),
    "a pair from calibrate that is none": Mistake(
        Calibrator(name=NAME, calibrate=lambda batches, with_offset=True: None),
        ("calibrate returned None", "a tuple of 2, (scale_d, offset_d)"),
    ),
    "an exception in calibrate": Mistake(
        Calibrator(name=NAME, calibrate=lambda batches, with_offset=True: _fails()),
        ("calibrate failed with ZeroDivisionError: of the plugin.",),
    ),
    "an exception in start": Mistake(
        Calibrator(name=NAME, start=_fails), ("start failed with ZeroDivisionError",)
    ),
    "an exception in observe": Mistake(
        Calibrator(name=NAME, start=lambda with_offset=True: FailingRun(None)),
        ("observe failed with ZeroDivisionError: of the plugin.",),
    ),
    "an object without observe": Mistake(
        Calibrator(name=NAME, start=lambda with_offset=True: object()),
        ("observe failed with AttributeError",),
    ),
}

# Searches for shift N


def search(found: Callable[[int], Any]) -> ShiftSearch:
    """Return one that gives ``found`` of the number of channels."""
    return ShiftSearch(name=NAME, start=lambda deq_scale, broadcast: Run(found(len(deq_scale))))


def _searched(found: Callable[[int], Any], *said: str) -> Mistake:
    return Mistake(search(found), said)


def _bytes(count: int, value: int, first: Optional[int] = None) -> Any:
    result = np.full(count, value, np.uint8)
    result[0] = value if first is None else first
    return result


SHIFTS: Dict[str, Mistake] = {
    "N of a wrong length": _searched(
        lambda count: _bytes(count + 1, 4), "result gave uint8 (", "one per entry of deq_scale"
    ),
    "one N for many channels": _searched(
        lambda count: np.uint8(4), "result gave 4 as N", "one per entry of deq_scale"
    ),
    "0 in some channels only": _searched(
        lambda count: _bytes(count, 4, 0),
        "result gave N = 0 for channel 0",
        "expected each in 1..16, or 0 for all channels",
    ),
    "20": _searched(
        lambda count: _bytes(count, 20), "result gave N = 20 for channels 0, 1", "in 1..16"
    ),
    "-1": _searched(lambda count: [-1] * count, "result gave N = -1 for channels 0, 1", "in 1..16"),
    "2.5": _searched(lambda count: np.full(count, 2.5), "result gave float64 (", "2.5", "integers"),
    "None": _searched(lambda count: None, "result gave None as N", "integers"),
    "Nones": _searched(lambda count: [None] * count, "result gave [None", "integers"),
    "an exception in start": Mistake(
        ShiftSearch(name=NAME, start=_fails), ("start failed with ZeroDivisionError",)
    ),
    "an exception in observe": Mistake(
        ShiftSearch(name=NAME, start=lambda deq_scale, broadcast: FailingRun(None)),
        ("observe failed with ZeroDivisionError: of the plugin.",),
    ),
    "an exception in result": Mistake(
        ShiftSearch(
            name=NAME,
            start=lambda deq_scale, broadcast: types.SimpleNamespace(
                observe=lambda y: None, result=_fails
            ),
        ),
        ("result failed with ZeroDivisionError: of the plugin.",),
    ),
}
