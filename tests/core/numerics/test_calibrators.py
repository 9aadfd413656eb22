"""What every calibrator that takes a stream of batches keeps to."""

from __future__ import annotations

import sys

import attrs
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from amct_core.errors import QuantizationError
from amct_core.numerics import affine
from amct_core.numerics.clipping import factors, many_factors
from amct_core.numerics.hfmg import Hfmg
from amct_core.numerics.kl import Kl
from amct_core.numerics.min_max import MinMax
from amct_core.numerics.mse import Mse
from amct_core.numerics.percentile import Percentile
from amct_core.plugins import registries
from tests.core.numerics.sharing import on_ranks

STREAMING = {"hfmg": Hfmg, "min_max": MinMax, "percentile": Percentile, "mse": Mse, "kl": Kl}
every = pytest.mark.parametrize("algorithm", STREAMING.values(), ids=STREAMING)
ordinary = st.floats(-1000, 1000, width=32)
values = arrays.arrays(np.float32, st.integers(1, 40), elements=ordinary)
offsets = st.booleans()
some = settings(max_examples=10)


def calibrated(algorithm, batches, **parameters):
    run = algorithm(**parameters)
    for batch in batches:
        run.observe(np.asarray(batch, np.float32))
    return run.result()


@pytest.mark.parametrize("name", STREAMING)
def test_it_is_registered_with_its_start(name):
    calibrator = registries().calibrators.get(name)
    assert issubclass(calibrator.start, STREAMING[name])  # perhaps one that counts faster
    assert calibrator.calibrate is None


@every
@some
@given(x=values, with_offset=offsets)
def test_factors_are_usable_and_the_grid_lies_within_the_data(algorithm, x, with_offset):
    scale, offset = calibrated(algorithm, [x], with_offset=with_offset)
    assert scale.dtype == np.float32
    assert isinstance(offset, int)
    assert affine.FLT_EPSILON <= scale <= 1 / affine.FLT_EPSILON
    assert -128 <= offset <= 127 if with_offset else offset == 0
    widest, _ = factors(max(x.max(), 0), min(x.min(), 0), with_offset)
    # A symmetric grid that is cut at the side with 127 steps may be wider by a 127th.
    assert scale <= widest * (1 if with_offset else 128 / 127) or scale == 1


@every
@some
@given(x=values, with_offset=offsets, power=st.integers(-3, 3))
def test_twice_the_values_have_twice_the_scale(algorithm, x, with_offset, power):
    assume(np.abs(x[x != 0]).min(initial=1) > 1e-3)
    x[0] = 1000  # neither scale is one that is too small
    scale, offset = calibrated(algorithm, [x], with_offset=with_offset)
    factor = np.float32(2.0**power)
    assert calibrated(algorithm, [x * factor], with_offset=with_offset) == (scale * factor, offset)


@every
@some
@given(x=values, with_offset=offsets)
def test_a_stream_of_batches_is_forgotten_but_for_a_summary(algorithm, x, with_offset):
    run = algorithm(with_offset=with_offset)
    sizes = set()
    for scale in (1, 1000, 1, 7):
        run.observe(x * np.float32(scale))
        sizes.add(size_of(run) <= 200_000)
    assert sizes == {True}


def size_of(thing: object) -> int:
    if isinstance(thing, np.ndarray):
        return thing.nbytes
    if isinstance(thing, list):
        return sum(map(size_of, thing))
    if attrs.has(type(thing)):
        return sum(size_of(getattr(thing, field.name)) for field in attrs.fields(type(thing)))
    return sys.getsizeof(thing)


@every
@pytest.mark.parametrize(("with_offset", "offset"), [(True, -128), (False, 0)])
def test_zeros_give_scale_1(algorithm, with_offset, offset):
    batches = [np.zeros((2, 3)), np.zeros(5)]
    assert calibrated(algorithm, batches, with_offset=with_offset) == (1, offset)


@every
@pytest.mark.parametrize("value", [3.0, -3.0, 1e-5, 0.1])
def test_a_constant_is_the_end_of_the_grid(algorithm, value):
    scale, offset = calibrated(algorithm, [np.full(100, value)])
    assert offset == (-128 if value > 0 or scale == 1 else 127)
    assert scale == 1 if abs(value) < 3e-5 else scale == pytest.approx(abs(value) / 255, rel=1e-3)


@pytest.mark.parametrize("algorithm", [MinMax, Percentile, Hfmg])
@pytest.mark.parametrize(("sign", "limit"), [(1, 127), (-1, 128)])
def test_without_an_offset_the_larger_side_decides(algorithm, sign, limit):
    scale, offset = calibrated(algorithm, [[sign * 2.0, -sign * 1.0]], with_offset=False)
    assert scale == pytest.approx(2 / limit, rel=1e-3)
    assert offset == 0


@every
def test_the_range_grows_with_later_batches(algorithm):
    random = np.random.default_rng(0)
    batches = [random.uniform(-1, 1, 5000), random.uniform(-3, 5, 5000), random.uniform(-1, 1, 9)]
    scale, offset = calibrated(algorithm, batches)
    assert scale == pytest.approx(8 / 255, rel=0.01)
    assert offset == pytest.approx(-128 + 3 * 255 / 8, abs=2)


@every
def test_zero_stays_in_the_grid_of_data_far_from_it(algorithm):
    scale, offset = calibrated(algorithm, [np.random.default_rng(0).uniform(5, 6, 1000)])
    assert scale == pytest.approx(6 / 255, rel=0.01)
    assert offset == -128


@every
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_nan_and_infinity_are_errors(algorithm, value):
    with pytest.raises(QuantizationError, match="NaN or infinity"):
        calibrated(algorithm, [[1.0], [value, 2.0]])


@every
@pytest.mark.parametrize("batches", [[], [np.zeros((0, 3))]])
def test_no_values_are_an_error(algorithm, batches):
    with pytest.raises(QuantizationError, match="no values"):
        calibrated(algorithm, batches)


@every
def test_a_scale_that_is_not_supported_is_an_error(algorithm):
    with pytest.raises(QuantizationError, match="scale"):
        calibrated(algorithm, [[3e38, -3e38, 1e38]])


@every
def test_a_result_changes_nothing(algorithm):
    x = np.random.default_rng(3).normal(0, 1, 1000)
    run = algorithm()
    run.observe(x.astype(np.float32))
    assert run.result() == run.result() == calibrated(algorithm, [x])


@pytest.mark.parametrize("algorithm", [MinMax, Percentile, Mse, Kl])
@some
@given(x=values, count=st.integers(1, 3))
def test_processes_find_what_one_finds_in_all_batches(algorithm, x, count):
    shares = np.array_split(x, count)

    def one_rank(rank, reduction):
        run = algorithm()
        run.observe(shares[rank])
        combined = run.combined(reduction).result()
        assert run.combined(reduction).result() == combined  # run itself is what it was
        return combined

    assert on_ranks(count, one_rank) == [calibrated(algorithm, [x])] * count


@given(
    highs=arrays.arrays(np.float32, 5, elements=st.floats(0, 2.0**100, width=32)),
    lows=arrays.arrays(np.float32, 5, elements=st.floats(-(2.0**100), 0, width=32)),
    with_offset=offsets,
)
def test_factors_of_many_are_those_of_each(highs, lows, with_offset):
    scales, offsets = many_factors(highs, lows, with_offset)
    for high, low, scale, offset in zip(highs, lows, scales, offsets):
        try:
            expected = factors(high, low, with_offset)
        except QuantizationError:
            assert np.isnan(scale)
        else:
            assert (scale, offset) == expected


@pytest.mark.parametrize("share", [0, -0.1, 1.0001, float("nan")])
def test_a_percentile_that_is_no_share_is_refused(share):
    with pytest.raises(QuantizationError, match=r"the percentile is .*; expected above 0, at most"):
        Percentile(percentile=share)


@pytest.mark.parametrize(("share", "largest"), [(0.99, 1.0), (1.0, 100.0)])
def test_a_percentile_leaves_out_what_is_beyond_its_share(share, largest):
    x = np.concatenate([np.linspace(0, 1, 1000), [100]])
    scale, offset = calibrated(Percentile, [x], percentile=share)
    assert offset == -128
    assert scale == pytest.approx(largest / 255, rel=0.02)
