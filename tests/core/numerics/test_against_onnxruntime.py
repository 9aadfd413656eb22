"""percentile and kl choose what onnxruntime's calibrators choose, within one bin."""

from __future__ import annotations

import numpy as np
import pytest

from amct_core.numerics import kl, percentile
from amct_core.numerics.histogram import Histogram

calibrate = pytest.importorskip("onnxruntime.quantization.calibrate")

DISTRIBUTIONS = {
    "normal": lambda random, count: random.normal(0.3, 1, count),
    "laplace": lambda random, count: random.laplace(0, 1, count),
    "student": lambda random, count: random.standard_t(3, count),
    "skewed": lambda random, count: random.gamma(2.0, 1.0, count) - 1,
    "positive": lambda random, count: random.gamma(2.0, 1.0, count),
}
every = pytest.mark.parametrize("draw", DISTRIBUTIONS.values(), ids=DISTRIBUTIONS)


def collector(method, **options):
    defaults = {"symmetric": False, "num_bins": 2048, "num_quantized_bins": 128}
    defaults.update(options)
    return calibrate.HistogramCollector(
        method, scenario="same", **{"percentile": 99.99, **defaults}
    )


@every
@pytest.mark.parametrize("share", [0.9, 0.999, 0.9999])
@pytest.mark.parametrize("with_offset", [True, False])
def test_percentile(draw, share, with_offset):
    x = draw(np.random.default_rng(0), 49_999).astype(np.float32)
    theirs = collector("percentile", percentile=100 * share, symmetric=not with_offset)
    ours = Histogram()
    for batch in np.split(x, [20_000]):
        theirs.collect({"x": batch})
        ours = ours.observed(batch)
    low, high = (float(bound) for bound in theirs.compute_collection_result()["x"][:2])
    edges = theirs.get_histogram_dict()["x"][1]
    found = percentile.bounds(ours, share, with_offset)
    tolerance = float(edges[1] - edges[0]) + ours.width
    clipped = np.clip(found, x.min(), x.max()) if with_offset else np.array(found)
    assert clipped == pytest.approx(
        [high, max(low, x.min()) if with_offset else -high], abs=tolerance
    )


@every
@pytest.mark.parametrize("levels", [32, 128])
@pytest.mark.parametrize("seed", range(4))
def test_kl(draw, levels, seed):
    x = draw(np.random.default_rng(seed), 50_000).astype(np.float32)
    histogram = Histogram(512).observed(x)
    counts = kl._around_zero(histogram)
    half = len(counts) // 2
    edges = (np.arange(-half, half + 1) * histogram.width).astype(np.float32)
    theirs = (counts, edges, x.min(), x.max(), edges[-1])
    low, high = collector("entropy").get_entropy_threshold(theirs, levels)
    start, end = kl.best_window(counts, levels)
    found = [max(start * histogram.width, x.min()), min(end * histogram.width, x.max())]
    assert found == pytest.approx([float(low), float(high)], abs=histogram.width)
