"""The table of causes: why a quantized layer costs accuracy, and what to change.

Each cause has a rule on measured numbers (:mod:`.model`).  The thresholds are constants here, and
``docs/causes.md`` has the same table; a test compares them.
"""

from __future__ import annotations

import json
import math
from typing import Callable, Iterator, Mapping, Optional, Sequence, Tuple

import attrs

from amct_core.errors import QuantizationError
from amct_core.numerics.bias import BiasOutOfRange
from cpu_sim_backend.analysis.model import Change, Finding, LayerReport, LearnedBounds
from cpu_sim_backend.analysis.processor import ROLLED_BACK

GAIN = 3.0
"""Decibels that other bounds must win: half of the squared error."""
POOR_INPUT = 35.0
"""Decibels; an int8 input better than this is not looked at.  Normal data have 40."""
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
Find = Callable[["Case"], Optional[Finding]]


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

    def finding(self, measured: str, **other: object) -> Finding:
        """Return a finding on this layer; cause, cost and cure are put in by :func:`find_all`."""
        own = {"cause": "", "cost": "", "cure": "", "weight": self.noise, **other}
        return Finding(layer=self.layer.name, measured=measured, **own)  # type: ignore[arg-type]


@attrs.frozen
class Cause:
    """One row of the table.

    Attributes:
        name: what findings and the advice file call it.
        rule: when it is said, with numbers.
        cost: what it costs.
        cure: what to do, in words.
        find: applies the rule; None where a layer has the cause before anything can be measured.
    """

    name: str
    rule: str
    cost: str
    cure: str
    find: Optional[Find] = None


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


def _clipping(case: Case) -> Optional[Finding]:
    if not (_poor_input(case) and _is_clipped(case)) or _beyond(case) < MISSED:
        return None
    a = case.layer.activation
    return case.finding(
        f"{_bounds_in_words(case)}; {_percent(a.clipped)} of them are clipped, which alone leaves "
        f"{a.clipping_snr:.1f} dB",
        qat=_new_bounds(case),
        ptq=_covering_calibrator(case),
    )


def _too_few_batches(case: Case) -> Optional[Finding]:
    if not (_poor_input(case) and _is_clipped(case)) or _beyond(case) >= MISSED:
        return None
    a = case.layer.activation
    return case.finding(
        f"{_bounds_in_words(case)}; {_percent(a.clipped)} of them are clipped, which alone leaves "
        f"{a.clipping_snr:.1f} dB",
        qat=_new_bounds(case),
    )


def _span_ratio(case: Case) -> float:
    a = case.layer.activation
    seen = max(a.highest, 0.0) - min(a.lowest, 0.0)
    return (a.clip_max - a.clip_min) / seen if seen > 0 else math.inf


def _diverged(case: Case) -> Optional[Finding]:
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


def _activation_outlier(case: Case) -> Optional[Finding]:
    if not _poor_input(case) or _is_clipped(case) or _span_ratio(case) >= TOO_WIDE:
        return None
    a = case.layer.activation
    return case.finding(
        f"{_bounds_in_words(case)}, but 99.9 % of those that are not 0 within {a.typical:.3g} of "
        "255 steps",
        qat=_new_bounds(case),
        ptq=_calibrator("mse"),
    )


def _too_few_steps(case: Case) -> Optional[Finding]:
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


def _outlier_channel(case: Case) -> Optional[Finding]:
    weights = case.layer.weights
    if weights is None or not weights.wide or not _has_few_steps(case):
        return None
    return case.finding(
        f"{_listed('channel', weights.outliers)} reach far beyond the others under one scale; "
        f"99 % of the weights lie within {weights.typical:.3g} of 127 steps",
        **_weight_cure(case),
    )


def _weight_outlier(case: Case) -> Optional[Finding]:
    weights = case.layer.weights
    if weights is None or weights.wide or not _has_few_steps(case):
        return None
    where = f" ({_listed('channel', weights.outliers)})" if weights.outliers else ""
    return case.finding(
        f"few weights are far larger than the others{where}; 99 % of the weights lie within "
        f"{weights.typical:.3g} of 127 steps",
        **_weight_cure(case),
    )


def _shift_saturation(case: Case) -> Optional[Finding]:
    integers = case.layer.integers
    if integers.int16_saturated <= SATURATED:
        return None
    return case.finding(
        f"the shift by N ({', '.join(map(str, integers.shift_n))}) clamps "
        f"{_percent(integers.int16_saturated)} of the accumulators to int16"
    )


def _rolled_back(case: Case) -> Optional[Finding]:
    said = [each for each in case.layer.on_processor if each.startswith(ROLLED_BACK)]
    return case.finding(said[0], weight=0.0) if said else None


def _parts(case: Case) -> Optional[Finding]:
    parts = case.layer.integers.parts
    if parts == 1:
        return None
    return case.finding(f"its input channels are split into {parts} parts", harmless=True)


def _dead_channels(case: Case) -> Optional[Finding]:
    weights = case.layer.weights
    if weights is None or not weights.dead:
        return None
    count = len(weights.scales) if weights.channel_wise else len(weights.lowest)
    return case.finding(
        f"{_listed('channel', weights.dead)} of {count}: all weights are 0", harmless=True
    )


def _coarse(case: Case) -> Optional[Finding]:
    if not case.layer.alone.snr < COARSE_LAYER:
        return None
    return case.finding(
        "its output is far from float, and none of the other rules holds", qat=SKIP, ptq=SKIP
    )


BIAS = "bias out of int32"
REFUSED = "cannot be quantized"
COARSE = "int8 too coarse"

CAUSES: Tuple[Cause, ...] = (
    Cause(
        BIAS,
        "|bias| / deq_scale is above 2^31 - 1 in a channel, so that saving refuses the layer",
        "no model can be saved",
        "Leave the layer in float, or give its input wider bounds: deq_scale grows with them.",
    ),
    Cause(
        REFUSED,
        "saving refuses the layer for another reason, which is told",
        "no model can be saved",
        "Leave the layer in float.",
    ),
    Cause(
        "clipping",
        f"the input has an SNR below {POOR_INPUT:g} dB, clipping is the larger part of its error, "
        f"the best bounds win {GAIN:g} dB or more, and values reach {MISSED:g} times as far as a "
        "bound or further",
        "what is clipped is lost, and that in the largest values",
        "Begin training with the bounds that suit these data; after training alone, take a "
        "calibrator that covers the values.",
        _clipping,
    ),
    Cause(
        "too few calibration batches",
        f"the same, but values reach less than {MISSED:g} times as far as the bounds: the bounds "
        "were found on samples that did not reach as far",
        "the largest values are clipped",
        "Calibrate with more samples, as different as those of use (batch_num).",
        _too_few_batches,
    ),
    Cause(
        "diverged bound",
        f"the input has an SNR below {POOR_INPUT:g} dB, rounding is the larger part of its error, "
        f"the best bounds win {GAIN:g} dB or more, and the bounds lie {TOO_WIDE:g} times as far "
        "apart as the values or further",
        "most of the int8 values are never used, so that steps are coarse",
        "Begin training with the bounds that suit these data, and with a smaller clip_lr_mult; "
        "after training alone, calibrate again on data like these.",
        _diverged,
    ),
    Cause(
        "activation outlier",
        f"the same, but the bounds lie less than {TOO_WIDE:g} times as far apart as the values: "
        "few values far from the others fill the range",
        "steps are as coarse as the few large values demand",
        "Give narrower bounds, which clip the outliers.",
        _activation_outlier,
    ),
    Cause(
        "outlier channel",
        f"99 % of the weights lie within {FEW_WEIGHT_STEPS:g} of 127 steps, the layer alone has an "
        f"SNR below {POOR_LAYER:g} dB, and under one scale whole output channels reach more than 8 "
        "times as far as the median channel",
        "the weights of all other channels have few steps",
        "Give each output channel a scale of its own (channel_wise), or leave the layer in float.",
        _outlier_channel,
    ),
    Cause(
        "weight outlier",
        f"99 % of the weights (with a scale per channel, of the median channel) lie within "
        f"{FEW_WEIGHT_STEPS:g} of 127 steps, the layer alone has an SNR below {POOR_LAYER:g} dB, "
        "and no channel is large as a whole",
        "nearly all weights have few steps",
        "Give each output channel a scale of its own (channel_wise), where the type allows it and "
        "it has none; else leave the layer in float.",
        _weight_outlier,
    ),
    Cause(
        "too few steps",
        f"fewer than {FEW_VALUES} of the 256 int8 values of the input are used, rounding alone "
        f"leaves less than {COARSE_INPUT:g} dB, and no bounds win {GAIN:g} dB",
        "the input is known to four bits or less",
        "Leave the layer in float.",
        _too_few_steps,
    ),
    Cause(
        "N saturation",
        f"the shift by N clamps more than {SATURATED:.2%} of the accumulators to int16",
        "large sums are cut off",
        'Search N on data like these, or quantize without it (shift_n_algo: "none").',
        _shift_saturation,
    ),
    Cause(
        COARSE,
        f"the layer alone has an SNR below {COARSE_LAYER:g} dB, and no other rule above holds",
        "the layer's output is far from float",
        "Leave the layer in float.",
        _coarse,
    ),
    Cause(
        "roll-back",
        "the chosen processor computes the layer in float16",
        "no accuracy; the layer runs at the speed of float16",
        "See the reason; 'amct lint' says what the processor asks for.",
        _rolled_back,
    ),
    Cause(
        "accumulator parts",
        "a partial sum could reach 2^24, so that the fake-quant model adds the layer in parts",
        "nothing: the parts are exact, and processors add in int32",
        "Nothing needs to be done.",
        _parts,
    ),
    Cause(
        "dead channel",
        "the weights of an output channel are all 0, in int8 and in float",
        "nothing: the channel gives its bias, as it does in float",
        "Nothing needs to be done.",
        _dead_channels,
    ),
)
"""In the order of the table; of a layer's findings with the same cost the first counts most."""

_NO_ACCURACY = ("roll-back", "accumulator parts", "dead channel")


def find_all(
    cases: Sequence[Case], refused: Mapping[str, QuantizationError]
) -> Tuple[Finding, ...]:
    """Return the findings, those that cost most first, what is harmless last.

    Args:
        cases: the quantized layers, in network order.
        refused: why layers are in float that were to be quantized.
    """
    found = [_refused(name, error) for name, error in refused.items()]
    for case in cases:
        own = [_told(cause, case) for cause in CAUSES]
        of_layer = [each for each in own if each is not None]
        if any(each.cause not in (COARSE, *_NO_ACCURACY) for each in of_layer):
            of_layer = [each for each in of_layer if each.cause != COARSE]
        found.extend(of_layer)
    return tuple(sorted(found, key=lambda each: (each.harmless, -each.weight)))


def costs_accuracy(finding: Finding) -> bool:
    """Return whether what was found costs accuracy, or keeps the model from being saved."""
    return finding.cause not in _NO_ACCURACY


def _told(cause: Cause, case: Case) -> Optional[Finding]:
    found = cause.find(case) if cause.find is not None else None
    if found is None:
        return None
    cost = cause.cost
    if cause.name not in _NO_ACCURACY:
        snr, share = case.layer.alone.snr, _percent(case.noise)
        cost = f"{cost}; alone the layer has {snr:.1f} dB: its error has {share} of its power"
    cure = " ".join([cause.cure, *_settings(found)])
    return attrs.evolve(found, cause=cause.name, cost=cost, cure=cure)


def _settings(finding: Finding) -> Iterator[str]:
    """Yield the lines of the configurations that say the cure."""
    off = {"qat": "retrain_enable", "ptq": "quant_enable"}
    for name, change in (("qat", finding.qat), ("ptq", finding.ptq)):
        if change is not None:
            values = change.values or ((off[name], False),)
            said = ", ".join(f"{key}: {json.dumps(value)}" for key, value in values)
            yield f"In the {name} config: {said}."


def _refused(layer: str, error: QuantizationError) -> Finding:
    cause = next(
        each
        for each in CAUSES
        if each.name == (BIAS if isinstance(error, BiasOutOfRange) else REFUSED)
    )
    found = Finding(
        layer=layer,
        cause=cause.name,
        measured=error.problem,
        cost=cause.cost,
        cure=cause.cure,
        weight=math.inf,
        qat=SKIP,
        ptq=SKIP,
    )
    return attrs.evolve(found, cure=" ".join([cause.cure, *_settings(found)]))


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"


def _listed(what: str, numbers: Sequence[int]) -> str:
    shown = ", ".join(map(str, numbers[:8]))
    more = f" and {len(numbers) - 8} more" if len(numbers) > 8 else ""
    return f"{what}{'s' if len(numbers) > 1 else ''} {shown}{more}"


def as_markdown() -> str:
    """Return the table as ``docs/causes.md`` has it."""
    rows = ["| cause | rule | what it costs | cure |", "|---|---|---|---|"]
    for each in CAUSES:
        cells = (each.name, each.rule, each.cost, each.cure)
        rows.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    return "\n".join(rows) + "\n"
