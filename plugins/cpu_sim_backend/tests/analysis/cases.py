"""A layer with nothing wrong, for tests that put one thing wrong with it."""

from __future__ import annotations

import math
from typing import Any

import attrs

from cpu_sim_backend.analysis.model import (
    ActivationReport,
    Histogram,
    IntegerReport,
    LayerReport,
    Similarity,
    WeightReport,
)
from cpu_sim_backend.analysis.rules import Case

ACTIVATION = ActivationReport(
    blob="x",
    scale=4 / 255,
    offset=-128,
    clip_min=0.0,
    clip_max=4.0,
    lowest=0.0,
    highest=4.0,
    clipped=0.0,
    used=256,
    histogram=Histogram(0.0, 4.0, (3, 2, 1)),
    clipping_snr=math.inf,
    rounding_snr=42.0,
    typical=200.0,
    best_min=0.0,
    best_max=4.0,
)
WEIGHTS = WeightReport(
    channel_wise=True,
    scales=(0.01, 0.01),
    lowest=(-1.0, -1.0),
    highest=(1.0, 1.0),
    used=(200, 200),
    dead=(),
    outliers=(),
    typical=80.0,
)
INTEGERS = IntegerReport(1000, 1000, 10, (0,), 0.0, 1)
PARTS = {"activation": ActivationReport, "weights": WeightReport, "integers": IntegerReport}
EXACT = Similarity(42.0, 1.0)
GOOD = LayerReport("conv", "Convolution", EXACT, EXACT, ACTIVATION, WEIGHTS, INTEGERS)


def case(**changes: Any) -> Case:
    """Return :data:`GOOD` with other fields; those of its parts go by their own names.

    ``typical``, which weights have as well, is that of the activation.
    """
    layer = GOOD
    own = {key: changes.pop(key) for key in ("learned",) if key in changes}
    for name, value in changes.items():
        place = next((part for part in PARTS if name in attrs.fields_dict(PARTS[part])), None)
        if place is None:
            layer = attrs.evolve(layer, **{name: value})
        else:
            changed = attrs.evolve(getattr(layer, place), **{name: value})
            layer = attrs.evolve(layer, **{place: changed})
    return Case(layer, **own)
