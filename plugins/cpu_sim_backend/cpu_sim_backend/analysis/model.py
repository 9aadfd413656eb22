"""What a report on a quantized network holds; computed in this room, rendered in another.

All numbers are of the samples that were run, and plain Python: the same report is written as JSON.
"""

from __future__ import annotations

import math
from typing import Any, Dict, Optional, Tuple

import attrs

from amct_core.extensions.report import Cell


@attrs.frozen
class Similarity:
    """How close an int8 result comes to that in float.

    Attributes:
        snr: signal-to-noise ratio in decibels, ``10 log10(sum(x**2) / sum((x - y)**2))``; infinite
            where nothing differs, NaN where the signal is 0 and something differs.
        cosine: of the angle between both, -1..1; 1 where nothing differs.
    """

    snr: float
    cosine: float


@attrs.frozen
class Histogram:
    """Counts of values in bins of equal width.

    Attributes:
        low, high: where the first bin begins and the last one ends.
        counts: of each bin.
    """

    low: float
    high: float
    counts: Tuple[int, ...]


@attrs.frozen
class ActivationReport:
    """The float input of a quantized layer, and what int8 makes of it.

    Attributes:
        blob: its name.
        scale, offset: of its Quant; one step is ``scale``.
        clip_min, clip_max: the smallest and the largest value that int8 can represent.
        lowest, highest: the extremes that were seen.
        clipped: the share of values outside ``clip_min..clip_max``, 0..1.
        used: how many of the 256 int8 values occurred.
        histogram: of the float values.
        clipping_snr: signal-to-noise ratio in decibels of the values with clipping as the only
            error; infinite where nothing is clipped.
        rounding_snr: the same with rounding within the bounds as the only error.
        typical: the magnitude below which 99.9 % of the values that are not 0 lie, in steps.
        best_min, best_max: clip bounds with the least mean squared error on these values.
        gain: how much less error these have than the bounds of the model, in decibels.
    """

    blob: str
    scale: float
    offset: int
    clip_min: float
    clip_max: float
    lowest: float
    highest: float
    clipped: float
    used: int
    histogram: Histogram
    clipping_snr: float = math.inf
    rounding_snr: float = math.inf
    typical: float = math.nan
    best_min: float = math.nan
    best_max: float = math.nan
    gain: float = 0.0


@attrs.frozen
class WeightReport:
    """The weights of a quantized layer.

    Attributes:
        channel_wise: whether each output channel has a scale of its own.
        scales: one for each output channel, or a single one.
        lowest, highest: of the dequantized weights, by output channel.
        used: how many int8 values the weights of each output channel take.
        dead: output channels whose weights are all 0, in int8 and in float.
        outliers: output channels whose range is far beyond that of the others under one scale.
        typical: the magnitude below which 99 % of the float weights that are not 0 lie, in steps;
            with a scale for each channel, the median over the channels.
        wide: those of ``outliers`` that are large as a whole, not by a few weights.
        snr: of the dequantized weights to those of the float network, in decibels; NaN where the
            float network has no such weights.
        retrained: whether the float network has other weights than those that were quantized.
    """

    channel_wise: bool
    scales: Tuple[float, ...]
    lowest: Tuple[float, ...]
    highest: Tuple[float, ...]
    used: Tuple[int, ...]
    dead: Tuple[int, ...]
    outliers: Tuple[int, ...]
    typical: float = math.nan
    wide: Tuple[int, ...] = ()
    snr: float = math.nan
    retrained: bool = False


@attrs.frozen
class IntegerReport:
    """The accumulators of a quantized layer.

    Attributes:
        largest_partial_sum: no partial sum can be larger in magnitude; below 2**24, float32
            arithmetic on integers is exact.
        largest_accumulator: the largest magnitude that occurred, bias included; int32 holds up to
            2**31 - 1.
        largest_bias: the largest magnitude of the int32 bias; 0 without one.
        shift_n: the values of N that occur; (0,) without N.
        int16_saturated: the share of accumulators that the shift by N clamped to int16, 0..1.
        parts: how many parts the layer's input channels are split into.
    """

    largest_partial_sum: int
    largest_accumulator: int
    largest_bias: int
    shift_n: Tuple[int, ...]
    int16_saturated: float
    parts: int


@attrs.frozen
class SensitivityReport:
    """What one layer alone costs, as the mean squared error of the network's outputs.

    Attributes:
        quantized_alone: the error with this layer in int8 and all others in float.
        float_alone: the error with all layers in int8 except this one.
    """

    quantized_alone: float
    float_alone: float


@attrs.frozen
class LayerReport:
    """One quantized layer.

    Attributes:
        name, type: of the layer.
        alone: its output, where it reads exact input: what it costs itself.
        accumulated: its output, where all layers before it are quantized, too.
        activation, weights, integers: what it is made of; no weights for a pooling layer.
        on_processor: what the chosen processor does otherwise: rolled back to float16, merged with
            its neighbour; empty where nothing is, or none was chosen.
        sensitivity: None where it was not asked for.
    """

    name: str
    type: str
    alone: Similarity
    accumulated: Similarity
    activation: ActivationReport
    weights: Optional[WeightReport]
    integers: IntegerReport
    on_processor: Tuple[str, ...] = ()
    sensitivity: Optional[SensitivityReport] = None


@attrs.frozen
class Change:
    """What cures a finding, as ``qat config --apply`` and ``ptq config --apply`` take it.

    Attributes:
        skip: leave the layer in float.
        values: settings of the layer, by dotted key, such as ``retrain_data_config.clip_max``; a
            value of None removes the setting.
    """

    skip: bool = False
    values: Tuple[Tuple[str, Any], ...] = ()


@attrs.frozen
class Finding:
    """Something about a layer that costs accuracy, or looks as if it did.

    Attributes:
        layer: its name.
        cause: a key of the table of causes.
        measured: what was found, with numbers, in a sentence.
        cost: what that costs, in a sentence.
        cure: what to do, in a sentence.
        harmless: whether nothing needs to be done.
        weight: orders the findings, the largest first; what it means is the analysis' affair.
        qat, ptq: the cure in the terms of either configuration; None where none of it cures.
    """

    layer: str
    cause: str
    measured: str
    cost: str
    cure: str
    harmless: bool = False
    weight: float = 0.0
    qat: Optional[Change] = None
    ptq: Optional[Change] = None


@attrs.frozen
class OutputReport:
    """One output of the network, all layers in int8 against all in float.

    Attributes:
        blob: its name.
        similarity: of the values.
        decisions: the share of samples whose largest score is the same; None where the output is
            not one row of scores per sample.
    """

    blob: str
    similarity: Similarity
    decisions: Optional[float]


@attrs.frozen
class GraphNode:
    """One layer of the drawn network.

    Attributes:
        name, type: of the layer.
        inputs: the layers that it reads, by name.
        quantized: whether it runs in int8.
    """

    name: str
    type: str
    inputs: Tuple[str, ...]
    quantized: bool


@attrs.frozen
class LearnedBounds:
    """The clip bounds of one layer over a training.

    Attributes:
        layer: which quantized layer.
        iterations: when they were noted.
        clip_min, clip_max: what they were then.
    """

    layer: str
    iterations: Tuple[int, ...]
    clip_min: Tuple[float, ...]
    clip_max: Tuple[float, ...]


@attrs.frozen
class Section:
    """A section that a plugin has added.

    Attributes:
        name: for programs.
        title: its heading.
        paragraphs: plain text.
        headings: of its table; empty: there is none.
        rows: of its table: texts and Python's own numbers, which stay numbers in JSON.
    """

    name: str
    title: str
    paragraphs: Tuple[str, ...] = ()
    headings: Tuple[str, ...] = ()
    rows: Tuple[Tuple[Cell, ...], ...] = ()

    def texts(self) -> Tuple[Tuple[str, ...], ...]:
        """Return the rows as people read them: floats with 6 digits."""
        return tuple(tuple(_text(cell) for cell in row) for row in self.rows)


def _text(cell: Cell) -> str:
    return f"{cell:.6g}" if isinstance(cell, float) else str(cell)


@attrs.frozen
class NetworkReport:
    """The whole report.

    Attributes:
        prefix: of the saved model.
        data: where the samples are from, in words.
        samples: how many were run.
        verdict: the first line of the page: how close int8 comes to float, and what is in the way.
        outputs: of the network.
        layers: the quantized layers, in network order.
        findings: the most important first, what is harmless last.
        graph: all layers of the network, in its order.
        float_layers: layers in float, of types that can be quantized, with the reason if known.
        float_files: the float network and its weights, by path.
        soc_version: the processor that was chosen, or None.
        sensitivity_samples: on how many samples sensitivities were measured; None if they were not.
        all_quantized: the mean squared error of the outputs with all layers in int8 on these
            samples; None if sensitivities were not measured.
        bounds: learned bounds over the iterations, where metrics were given.
        seconds: what the analysis took.
        notes: how it was measured, a sentence each.
        sections: what plugins have added.
    """

    prefix: str
    data: str
    samples: int
    verdict: str
    outputs: Tuple[OutputReport, ...]
    layers: Tuple[LayerReport, ...]
    findings: Tuple[Finding, ...]
    graph: Tuple[GraphNode, ...]
    float_layers: Tuple[Tuple[str, str], ...] = ()
    float_files: Tuple[str, ...] = ()
    soc_version: Optional[str] = None
    sensitivity_samples: Optional[int] = None
    all_quantized: Optional[float] = None
    bounds: Tuple[LearnedBounds, ...] = ()
    seconds: float = 0.0
    notes: Tuple[str, ...] = ()
    sections: Tuple[Section, ...] = ()

    def layer(self, name: str) -> LayerReport:
        """Return the quantized layer called ``name``."""
        return next(layer for layer in self.layers if layer.name == name)

    def as_json(self) -> Dict[str, Any]:
        """Return the report as ``--json`` prints it; NaN and infinities are the caller's affair."""
        return attrs.asdict(self)
