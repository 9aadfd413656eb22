"""The table of causes: why a quantized layer costs accuracy, and what to change.

Each cause has a rule on measured numbers (:mod:`.rules`).  ``docs/causes.md`` has the same table; a
test compares them.
"""

from __future__ import annotations

import json
import math
from typing import Callable, Iterator, Mapping, Optional, Sequence, Tuple

import attrs

from amct_core.errors import QuantizationError
from amct_core.numerics.bias import BiasOutOfRange
from cpu_sim_backend.analysis import rules
from cpu_sim_backend.analysis.model import Finding
from cpu_sim_backend.analysis.rules import (
    COARSE_INPUT,
    COARSE_LAYER,
    FEW_VALUES,
    FEW_WEIGHT_STEPS,
    GAIN,
    MISSED,
    POOR_INPUT,
    POOR_LAYER,
    SATURATED,
    SKIP,
    TOO_WIDE,
    Case,
    percent,
)

Find = Callable[[Case], Optional[Finding]]


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
        rules.clipping,
    ),
    Cause(
        "too few calibration batches",
        f"the same, but values reach less than {MISSED:g} times as far as the bounds: the bounds "
        "were found on samples that did not reach as far",
        "the largest values are clipped",
        "Calibrate with more samples, as different as those of use (batch_num).",
        rules.too_few_batches,
    ),
    Cause(
        "diverged bound",
        f"the input has an SNR below {POOR_INPUT:g} dB, rounding is the larger part of its error, "
        f"the best bounds win {GAIN:g} dB or more, and the bounds lie {TOO_WIDE:g} times as far "
        "apart as the values or further",
        "most of the int8 values are never used, so that steps are coarse",
        "Begin training with the bounds that suit these data, and with a smaller clip_lr_mult; "
        "after training alone, calibrate again on data like these.",
        rules.diverged,
    ),
    Cause(
        "activation outlier",
        f"the same, but the bounds lie less than {TOO_WIDE:g} times as far apart as the values: "
        "few values far from the others fill the range",
        "steps are as coarse as the few large values demand",
        "Give narrower bounds, which clip the outliers.",
        rules.activation_outlier,
    ),
    Cause(
        "outlier channel",
        f"99 % of the weights lie within {FEW_WEIGHT_STEPS:g} of 127 steps, the layer alone has an "
        f"SNR below {POOR_LAYER:g} dB, and under one scale whole output channels reach more than 8 "
        "times as far as the median channel",
        "the weights of all other channels have few steps",
        "Give each output channel a scale of its own (channel_wise), or leave the layer in float.",
        rules.outlier_channel,
    ),
    Cause(
        "weight outlier",
        f"99 % of the weights (with a scale per channel, of the median channel) lie within "
        f"{FEW_WEIGHT_STEPS:g} of 127 steps, the layer alone has an SNR below {POOR_LAYER:g} dB, "
        "and no channel is large as a whole",
        "nearly all weights have few steps",
        "Give each output channel a scale of its own (channel_wise), where the type allows it and "
        "it has none; else leave the layer in float.",
        rules.weight_outlier,
    ),
    Cause(
        "too few steps",
        f"fewer than {FEW_VALUES} of the 256 int8 values of the input are used, rounding alone "
        f"leaves less than {COARSE_INPUT:g} dB, and no bounds win {GAIN:g} dB",
        "the input is known to four bits or less",
        "Leave the layer in float.",
        rules.too_few_steps,
    ),
    Cause(
        "N saturation",
        f"the shift by N clamps more than {SATURATED:.2%} of the accumulators to int16",
        "large sums are cut off",
        'Search N on data like these, or quantize without it (shift_n_algo: "none").',
        rules.shift_saturation,
    ),
    Cause(
        COARSE,
        f"the layer alone has an SNR below {COARSE_LAYER:g} dB, and no other rule above holds",
        "the layer's output is far from float",
        "Leave the layer in float.",
        rules.coarse,
    ),
    Cause(
        "roll-back",
        "the chosen processor computes the layer in float16",
        "no accuracy; the layer runs at the speed of float16",
        "See the reason; 'amct lint' says what the processor asks for.",
        rules.rolled_back,
    ),
    Cause(
        "accumulator parts",
        "a partial sum could reach 2^24, so that the fake-quant model adds the layer in parts",
        "nothing: the parts are exact, and processors add in int32",
        "Nothing needs to be done.",
        rules.parts,
    ),
    Cause(
        "dead channel",
        "the weights of an output channel are all 0, in int8 and in float",
        "nothing: the channel gives its bias, as it does in float",
        "Nothing needs to be done.",
        rules.dead_channels,
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
        snr, share = case.layer.alone.snr, percent(case.noise)
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


def as_markdown() -> str:
    """Return the table as ``docs/causes.md`` has it."""
    rows = ["| cause | rule | what it costs | cure |", "|---|---|---|---|"]
    for each in CAUSES:
        cells = (each.name, each.rule, each.cost, each.cure)
        rows.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    return "\n".join(rows) + "\n"
