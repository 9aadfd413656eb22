"""Which layer costs most when it alone is quantized, and which gains most when it alone is not."""

from __future__ import annotations

import math
import statistics
from typing import List, Sequence, Tuple

import attrs

from cpu_sim_backend.analysis.model import LayerReport, SensitivityReport
from cpu_sim_backend.report_page import words
from cpu_sim_backend.report_page.drawing.scale import percent

LOGARITHMIC_FROM = 30
"""So many times the usual error the largest one may be, before all others are too short to see."""


@attrs.frozen
class Rank:
    """One layer in the ranking.

    Attributes:
        layer: its name.
        quantized_alone, float_alone: the errors in words.
        quantized_width, float_width: the widths of their bars, in percent of the largest of each.
    """

    layer: str
    quantized_alone: str
    float_alone: str
    quantized_width: str
    float_width: str


@attrs.frozen
class Ranking:
    """The layers with a sensitivity, the one that costs most first.

    Attributes:
        ranks: of the layers.
        quantized_decades, float_decades: powers of ten from end to end of a bar of either kind; 0
            where the bars are linear.
    """

    ranks: Tuple[Rank, ...]
    quantized_decades: int
    float_decades: int


@attrs.frozen
class _Scale:
    """The length of bars: linear, or over so many ``decades`` below ``largest``."""

    largest: float
    decades: int

    def width(self, error: float) -> str:
        if not math.isfinite(error):
            return percent(1)
        if error <= 0 or self.largest <= 0:
            return percent(0)
        if not self.decades:
            return percent(error / self.largest)
        return percent(max(0.0, 1 + math.log10(error / self.largest) / self.decades))


def draw(layers: Sequence[LayerReport]) -> Ranking:
    """Return the ranking of the layers whose sensitivity is known."""
    known = [(layer.name, layer.sensitivity) for layer in layers if layer.sensitivity is not None]
    known.sort(key=lambda pair: _cost(pair[1]), reverse=True)
    alone = _scale([each.quantized_alone for _, each in known])
    others = _scale([each.float_alone for _, each in known])
    return Ranking(
        tuple(
            Rank(
                name,
                words.number(each.quantized_alone, 3),
                words.number(each.float_alone, 3),
                alone.width(each.quantized_alone),
                others.width(each.float_alone),
            )
            for name, each in known
        ),
        alone.decades,
        others.decades,
    )


def _cost(sensitivity: SensitivityReport) -> float:
    error = sensitivity.quantized_alone
    return math.inf if math.isnan(error) else error


def _scale(errors: List[float]) -> _Scale:
    drawn = [error for error in errors if math.isfinite(error) and error > 0]
    if not drawn:
        return _Scale(0.0, 0)
    largest = max(drawn)
    if largest <= LOGARITHMIC_FROM * statistics.median(drawn):
        return _Scale(largest, 0)
    return _Scale(largest, math.floor(math.log10(largest / min(drawn))) + 1)
