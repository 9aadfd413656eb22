"""FreeBatchSize, rule by rule."""

from __future__ import annotations

import pytest

from amct_caffe.passes.free_batch_size import FreeBatchSize
from amct_core.errors import ModelError
from amct_core.extensions.layer_type import Shape
from plugins.amct_caffe.tests.passes.networks import TEST, TRAIN, network, normal, text_of

UNKNOWN = 'layer { name: "odd" type: "Invented" bottom: "data" top: "odd" }\n'


def data(*shape: int, more: str = "") -> str:
    dims = " ".join(f"dim: {dim}" for dim in shape)
    return (
        f'layer {{ name: "source" type: "Input" top: "data" {more} '
        f"input_param {{ shape {{ {dims} }} }} }}\n"
    )


UNKNOWN_DATA = (
    'layer { name: "source" type: "Python" top: "data" python_param { module: "m" layer: "D" } }\n'
)


def reshape(*dims: int, bottom: str = "data", more: str = "") -> str:
    numbers = " ".join(f"dim: {dim}" for dim in dims)
    return (
        f'layer {{ name: "reshape" type: "Reshape" bottom: "{bottom}" top: "reshaped" '
        f"reshape_param {{ shape {{ {numbers} }} {more} }} }}\n"
    )


def freed(text: str, **shapes: Shape | None) -> str:
    return text_of(FreeBatchSize(shapes).run(network(text, {})))


def test_1_the_batch_size_becomes_0() -> None:
    assert freed(data(64, 4, 8) + reshape(64, 32)) == normal(data(64, 4, 8) + reshape(0, 32))
    assert freed(data(64, 4, 8) + reshape(64, -1)) == normal(data(64, 4, 8) + reshape(0, -1))


def test_1_all_other_numbers_stay() -> None:
    before = data(4, 4, 4) + reshape(4, 4, 2, -1)
    assert freed(before) == normal(data(4, 4, 4) + reshape(0, 4, 2, -1))


@pytest.mark.parametrize("dims", [(0, 32), (-1, 8), (0, -1), (-1, 4, 8), (-1,)])
def test_1_0_and_minus_1_stay(dims: tuple[int, ...]) -> None:
    text = data(64, 4, 8) + reshape(*dims)
    assert freed(text) == normal(text)


def test_1_a_reshape_behind_the_first_axis_stays() -> None:
    text = data(4, 4, 8) + reshape(4, -1, more="axis: 1")
    assert freed(text) == normal(text)


def test_1_a_shape_that_the_data_layer_does_not_tell_counts() -> None:
    before, after = UNKNOWN_DATA + reshape(64, -1), UNKNOWN_DATA + reshape(0, -1)
    assert freed(before, data=(64, 4, 8)) == normal(after)


def test_1_where_the_phases_have_other_batch_sizes_it_must_be_that_of_each() -> None:
    text = data(64, 8, more=TRAIN) + data(128, 8, more=TEST) + reshape(64, -1)
    with pytest.raises(ModelError, match="several of the 128 samples of phase TEST"):
        freed(text)


@pytest.mark.parametrize(
    "dims", [(32, -1), (32, 64), (1, -1), (16, 2, 64), (2048,), (-1, 64), (-1, 2, 64)]
)
def test_2_rows_of_several_samples_are_refused(dims: tuple[int, ...]) -> None:
    with pytest.raises(ModelError, match=r"'reshape'.*\(64, 32\).*several of the 64 samples"):
        freed(data(64, 32) + reshape(*dims))


@pytest.mark.parametrize(
    "dims", [(1, 64, 32), (4, 16, 32), (128, -1), (2, 32, 4, 8), (-1, 32), (-1, 16), (-1, 16, 2)]
)
def test_2_whole_samples_in_other_places_stay(dims: tuple[int, ...]) -> None:
    text = data(64, 32) + reshape(*dims)
    assert freed(text) == normal(text)


def test_2_one_sample_cannot_be_mixed() -> None:
    text = data(1, 64) + reshape(8, 8)
    assert freed(text) == normal(text)


def test_2_what_is_no_batch_stays() -> None:
    """A constant, such as a prior box, has no samples."""
    constant = (
        'layer { name: "c" type: "DummyData" top: "c" '
        "dummy_data_param { shape { dim: 1 dim: 2 dim: 8 } } }\n"
    )
    text = data(64, 32) + constant + reshape(2, -1, bottom="c")
    assert freed(text, data=(64, 32)) == normal(text)


def test_3_a_number_that_may_be_the_batch_size_is_refused() -> None:
    with pytest.raises(ModelError, match=r"first dim is 64.*'data'.*--input-shape data:N"):
        freed(UNKNOWN_DATA + reshape(64, -1), data=None)


def test_3_0_and_minus_1_are_not() -> None:
    for dims in ((0, 32), (-1, 8)):
        text = UNKNOWN_DATA + reshape(*dims)
        assert freed(text, data=None) == normal(text)


def test_4_beside_minus_1_any_batch_size_fits() -> None:
    text = UNKNOWN_DATA + reshape(64, -1)
    with pytest.raises(ModelError, match=r"first dim is 64, and its input is \(1, 8, 8\)"):
        FreeBatchSize({"data": (1, 8, 8)}, frozenset({"data"})).run(network(text, {}))
    state = FreeBatchSize({"data": (64, 4, 8)}, frozenset({"data"})).run(network(text, {}))
    assert text_of(state) == normal(UNKNOWN_DATA + reshape(0, -1))


def test_5_behind_a_layer_of_unknown_type_it_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    text = data(64, 8) + UNKNOWN + reshape(64, -1, bottom="odd")
    assert freed(text, data=(64, 8)) == normal(text)
    assert "layer 'reshape': its first dim is 64" in caplog.text
