"""What check_structure and check_bottoms refuse."""

from __future__ import annotations

import logging

import pytest

from amct_caffe.frontend import views_of
from amct_caffe.passes.structure import check_bottoms, check_structure
from amct_caffe.to_graph import to_graph
from amct_core.errors import ModelError
from plugins.amct_caffe.tests.passes.networks import CONV, INPUT, conv, network

SPLIT = 'layer { name: "relu" type: "ReLU" bottom: "a" top: "b" }\n'


def structure(text: str) -> None:
    check_structure(to_graph(network(text, {"a": CONV}), "TEST"))


def bottoms(text: str) -> None:
    views = views_of(network(text, {"a": CONV}))
    check_bottoms([views.train, views.test])


def test_what_caffe_takes_is_taken() -> None:
    text = INPUT + conv("a", "data") + SPLIT
    structure(text)
    bottoms(text)


def test_1_a_top_that_is_written_twice_is_refused() -> None:
    with pytest.raises(ModelError, match="'b' has been written by another layer before") as caught:
        structure(INPUT + conv("a", "data") + SPLIT + SPLIT.replace("relu", "again"))
    assert (caught.value.layer, caught.value.field) == ("again", "top")


def test_2_work_in_place_on_a_blob_with_another_reader_is_refused() -> None:
    in_place = 'layer { name: "p" type: "Power" bottom: "a" top: "a" }\n'
    with pytest.raises(ModelError, match="in place on 'a', which 'relu' reads as well"):
        structure(INPUT + conv("a", "data") + SPLIT + in_place)


def test_a_bottom_that_is_made_later_is_refused() -> None:
    with pytest.raises(ModelError, match="reads 'a', which no layer before it makes") as caught:
        bottoms(INPUT + SPLIT + conv("a", "data"))
    assert (caught.value.layer, caught.value.field) == ("relu", "bottom")


def test_a_bottom_that_one_phase_lacks_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        bottoms(INPUT + conv("a", "data", extra="include { phase: TRAIN }") + SPLIT)
    assert "'relu' reads 'a', which is made in one of the phases" in caplog.text
