"""The rules on measured numbers by which a report finds causes; the table is in :mod:`.causes`."""

from __future__ import annotations

import math
from typing import Any, Mapping, Optional, Sequence

import attrs

from cpu_sim_backend.analysis.model import Change, Finding, LayerReport, LearnedBounds
from cpu_sim_backend.analysis.processor import ROLLED_BACK

GAIN = 3.0
"""Decibels that other bounds must win: half of the squared error."""
POOR_INPUT = 30.0
"""Decibels; an int8 input better than this is not looked at: its error has 0.1 % of its power."""
POOR_LAYER = 30.0
"""Decibels; weights of a layer whose output is better than this are not looked at."""
COARSE_LAYER = 15.0
"""Decibels; an output worse than this is a finding whatever the cause."""
MISSED = 2.0
"""Values that many times beyond a bound and more are no matter of too few samples."""
TOO_WIDE = 2.0
"""Bounds that many times further apart than the values."""
FEW_WEIGHT_STEPS = 10.0
"""Of 127; where 99 % of the weights are smaller, few of them fill the range."""
FEW_VALUES = 16
"""Of the 256 int8 values: four bits."""
COARSE_INPUT = 25.0
"""Decibels of rounding alone, below which few int8 values count."""
SATURATED = 1e-4
"""The share of accumulators that the shift by N may clamp."""

SKIP = Change(skip=True)


@attrs.frozen
class Case:
    """A layer to be judged.

    Attributes:
        layer: what was measured.
        channel_wise_allowed: whether its type may have a scale for each output channel.
        learned: its bounds over the training, if they are known.
    """

    layer: LayerReport
    channel_wise_allowed: bool = False
    learned: Optional[LearnedBounds] = None

    @property
    def noise(self) -> float:
        """The error of the layer alone as a share of its output's power; 0 without error."""
        snr = self.layer.alone.snr
        return 0.0 if math.isnan(snr) else 10 ** (-snr / 10)

    def finding(self, measured: str, **other: Any) -> Finding:
        """Return a finding on this layer; cause, cost and cure are put in by :func:`find_all`."""
        found = Finding(self.layer.name, "", measured, "", "", weight=self.noise)
        return attrs.evolve(found, **other)


def _poor_input(case: Case) -> bool:
    """Return whether other bounds would halve the error of a poor input."""
    a = case.layer.activation
    noise = 10 ** (-a.clipping_snr / 10) + 10 ** (-a.rounding_snr / 10)
    return a.gain >= GAIN and noise > 10 ** (-POOR_INPUT / 10)


def _is_clipped(case: Case) -> bool:
    a = case.layer.activation
    return a.clipping_snr < a.rounding_snr


def _beyond(case: Case) -> float:
    """Return how many times further than the bounds the values reach."""
    a = case.layer.activation
    step = a.scale
    above = a.highest / max(a.clip_max, step)
    below = a.lowest / min(a.clip_min, -step)
    return max(above, below, 0.0)


def _bounds_in_words(case: Case) -> str:
    a = case.layer.activation
    return (
        f"the bounds are {a.clip_min:.4g} and {a.clip_max:.4g}, the values reach from "
        f"{a.lowest:.4g} to {a.highest:.4g}"
    )


def _new_bounds(case: Case) -> Change:
    """Return the bounds with the least error, as first bounds of training."""
    a = case.layer.activation
    high = a.best_max if a.best_max > 0 else -a.best_min
    low = a.best_min if a.best_min < 0 else -high / 255
    return Change(
        values=(
            ("retrain_data_config.clip_max", _rounded(high)),
            ("retrain_data_config.clip_min", _rounded(low)),
        )
    )


def _rounded(value: float) -> float:
    return float(f"{value:.4g}")


def _calibrator(name: str) -> Change:
    return Change(values=(("activation_quant_params.act_algo", name),))


def _covering_calibrator(case: Case) -> Change:
    """Return min_max where the best bounds take in all values, else the one that weighs both."""
    a = case.layer.activation
    whole = a.best_max >= 0.9 * a.highest and a.best_min <= 0.9 * min(a.lowest, 0.0)
    return _calibrator("min_max" if whole else "mse")


def clipping(case: Case) -> Optional[Finding]:
    """Say where the clip bounds are much narrower than the values."""
    if not (_poor_input(case) and _is_clipped(case)) or _beyond(case) < MISSED:
        return None
    a = case.layer.activation
    return case.finding(
        f"{_bounds_in_words(case)}; {percent(a.clipped)} of them are clipped, which alone leaves "
        f"{a.clipping_snr:.1f} dB",
        qat=_new_bounds(case),
        ptq=_covering_calibrator(case),
    )


def too_few_batches(case: Case) -> Optional[Finding]:
    """Say where the clip bounds are a little narrower than the values."""
    if not (_poor_input(case) and _is_clipped(case)) or _beyond(case) >= MISSED:
        return None
    a = case.layer.activation
    return case.finding(
        f"{_bounds_in_words(case)}; {percent(a.clipped)} of them are clipped, which alone leaves "
        f"{a.clipping_snr:.1f} dB",
        qat=_new_bounds(case),
    )


def _span_ratio(case: Case) -> float:
    a = case.layer.activation
    seen = max(a.highest, 0.0) - min(a.lowest, 0.0)
    return (a.clip_max - a.clip_min) / seen if seen > 0 else math.inf


def diverged(case: Case) -> Optional[Finding]:
    """Say where the clip bounds are much wider than the values."""
    if not _poor_input(case) or _is_clipped(case) or _span_ratio(case) < TOO_WIDE:
        return None
    history = ""
    if case.learned is not None:
        first, last = case.learned.clip_max[0], case.learned.clip_max[-1]
        history = f"; training moved clip_max from {first:.4g} to {last:.4g}"
    return case.finding(
        f"{_bounds_in_words(case)}; {case.layer.activation.used} of 256 int8 values are "
        f"used{history}",
        qat=_new_bounds(case),
        ptq=_calibrator("mse"),
    )


def activation_outlier(case: Case) -> Optional[Finding]:
    """Say where few values fill the range."""
    if not _poor_input(case) or _is_clipped(case) or _span_ratio(case) >= TOO_WIDE:
        return None
    a = case.layer.activation
    return case.finding(
        f"{_bounds_in_words(case)}, but 99.9 % of those that are not 0 within {a.typical:.3g} of "
        "255 steps",
        qat=_new_bounds(case),
        ptq=_calibrator("mse"),
    )


def too_few_steps(case: Case) -> Optional[Finding]:
    """Say where few int8 values are used."""
    a = case.layer.activation
    if _poor_input(case) or a.used >= FEW_VALUES or a.rounding_snr >= COARSE_INPUT:
        return None
    return case.finding(
        f"{a.used} of 256 int8 values are used, and rounding alone leaves {a.rounding_snr:.1f} dB",
        qat=SKIP,
        ptq=SKIP,
    )


def _has_few_steps(case: Case) -> bool:
    weights = case.layer.weights
    return (
        weights is not None
        and weights.typical < FEW_WEIGHT_STEPS
        and not case.layer.alone.snr >= POOR_LAYER
    )


def _weight_cure(case: Case) -> Mapping[str, Change]:
    """Return the cure of weights with few steps: a scale per channel, where the type allows it."""
    weights = case.layer.weights
    assert weights is not None
    if weights.channel_wise or not case.channel_wise_allowed:
        return {"qat": SKIP, "ptq": SKIP}
    return {
        "qat": Change(values=(("retrain_weight_config.channel_wise", True),)),
        "ptq": Change(values=(("weight_quant_params.channel_wise", True),)),
    }


def outlier_channel(case: Case) -> Optional[Finding]:
    """Say where a channel is far larger than the others under one scale."""
    weights = case.layer.weights
    if weights is None or not weights.wide or not _has_few_steps(case):
        return None
    return case.finding(
        f"{_listed('channel', weights.outliers)} reach far beyond the others under one scale; "
        f"99 % of the weights lie within {weights.typical:.3g} of 127 steps",
        **_weight_cure(case),
    )


def weight_outlier(case: Case) -> Optional[Finding]:
    """Say where few weights are far larger than the others."""
    weights = case.layer.weights
    if weights is None or weights.wide or not _has_few_steps(case):
        return None
    where = f" ({_listed('channel', weights.outliers)})" if weights.outliers else ""
    return case.finding(
        f"few weights are far larger than the others{where}; 99 % of the weights lie within "
        f"{weights.typical:.3g} of 127 steps",
        **_weight_cure(case),
    )


def shift_saturation(case: Case) -> Optional[Finding]:
    """Say where the shift by N clamps accumulators."""
    integers = case.layer.integers
    if integers.int16_saturated <= SATURATED:
        return None
    return case.finding(
        f"the shift by N ({', '.join(map(str, integers.shift_n))}) clamps "
        f"{percent(integers.int16_saturated)} of the accumulators to int16"
    )


def rolled_back(case: Case) -> Optional[Finding]:
    """Say where a processor computes the layer in float16."""
    said = [each for each in case.layer.on_processor if each.startswith(ROLLED_BACK)]
    return case.finding(said[0], weight=0.0) if said else None


def parts(case: Case) -> Optional[Finding]:
    """Say where the fake-quant model adds the layer in parts."""
    parts = case.layer.integers.parts
    if parts == 1:
        return None
    return case.finding(f"its input channels are split into {parts} parts", harmless=True)


def dead_channels(case: Case) -> Optional[Finding]:
    """Say where channels do nothing."""
    weights = case.layer.weights
    if weights is None or not weights.dead:
        return None
    count = len(weights.scales) if weights.channel_wise else len(weights.lowest)
    return case.finding(
        f"{_listed('channel', weights.dead)} of {count}: all weights are 0", harmless=True
    )


def coarse(case: Case) -> Optional[Finding]:
    """Say where the output is far from float."""
    if not case.layer.alone.snr < COARSE_LAYER:
        return None
    return case.finding(
        "its output is far from float, and none of the other rules holds", qat=SKIP, ptq=SKIP
    )


def percent(share: float) -> str:
    """Return a share in per cent, with three digits."""
    return f"{100 * share:.3g} %"


def _listed(what: str, numbers: Sequence[int]) -> str:
    shown = ", ".join(map(str, numbers[:8]))
    more = f" and {len(numbers) - 8} more" if len(numbers) > 8 else ""
    return f"{what}{'s' if len(numbers) > 1 else ''} {shown}{more}"
