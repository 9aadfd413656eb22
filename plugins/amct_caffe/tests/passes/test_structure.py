"""What check_structure and check_bottoms refuse."""

from __future__ import annotations

import logging

import pytest

from amct_caffe.frontend import views_of
from amct_caffe.model.to_graph import to_graph
from amct_caffe.passes.structure import check_bottoms, check_structure
from amct_core.errors import ModelError
from plugins.amct_caffe.tests.passes.networks import (
    CONV,
    INPUT,
    TEST,
    TRAIN,
    UNKNOWN,
    conv,
    network,
    relu,
)

SPLIT = 'layer { name: "relu" type: "ReLU" bottom: "a" top: "b" }\n'


def structure(text: str, phase: str = "TEST") -> None:
    check_structure(to_graph(network(text, {"a": CONV}), phase))


def bottoms(text: str) -> None:
    views = views_of(network(text, {"a": CONV}))
    check_bottoms([views.train, views.test])


class TestWhatCaffeTakes:
    @pytest.mark.parametrize(
        "text",
        [
            pytest.param(conv("a", "data") + SPLIT, id="two readers are no matter"),
            pytest.param(conv("a", "data") + relu("r", "a") + relu("s", "a"), id="in place twice"),
            pytest.param(
                conv("a", "data", extra=TRAIN) + conv("a", "data", extra=TEST), id="one per phase"
            ),
            pytest.param(UNKNOWN, id="unknown types and fields"),
            pytest.param(
                conv("a", "data", "a b-c/d") + relu("r", "a b-c/d"), id="names of several words"
            ),
        ],
    )
    def test_is_taken(self, text: str, caplog: pytest.LogCaptureFixture) -> None:
        for phase in ("TRAIN", "TEST"):
            structure(INPUT + text, phase)
        bottoms(INPUT + text)
        assert caplog.messages == []


class TestStructure:
    def test_1_a_top_that_is_written_twice_is_refused(self) -> None:
        with pytest.raises(ModelError, match="'b' has been written by another layer") as caught:
            structure(INPUT + conv("a", "data") + SPLIT + SPLIT.replace("relu", "again"))
        assert (caught.value.layer, caught.value.field) == ("again", "top")

    def test_1_a_top_like_a_bottom_of_another_position_is_refused(self) -> None:
        second = 'layer { name: "sum" type: "Eltwise" bottom: "data" bottom: "a" top: "a" }\n'
        with pytest.raises(ModelError, match="'a' has been written by another layer") as caught:
            structure(INPUT + conv("a", "data") + second)
        assert (caught.value.layer, caught.value.field) == ("sum", "top")

    def test_1_a_phase_that_lacks_the_other_writer_is_taken(self) -> None:
        text = INPUT + conv("a", "data") + SPLIT + SPLIT.replace("top:", f"{TRAIN} top:")
        structure(text, "TEST")
        with pytest.raises(ModelError, match="'b' has been written by another layer"):
            structure(text, "TRAIN")

    def test_2_work_in_place_on_a_blob_with_another_reader_is_refused(self) -> None:
        in_place = 'layer { name: "p" type: "Power" bottom: "a" top: "a" }\n'
        expected = "in place on 'a', which 'relu' reads as well"
        with pytest.raises(ModelError, match=expected) as caught:
            structure(INPUT + conv("a", "data") + SPLIT + in_place)
        assert (caught.value.layer, caught.value.field) == ("p", "top")


class TestBottoms:
    def test_1_a_bottom_that_is_made_later_is_refused(self) -> None:
        with pytest.raises(ModelError, match="'a', which no layer before it makes") as caught:
            bottoms(INPUT + SPLIT + conv("a", "data"))
        assert (caught.value.layer, caught.value.field) == ("relu", "bottom")

    def test_1_a_bottom_that_only_the_other_phase_makes_is_refused(self) -> None:
        reader = SPLIT.replace("bottom:", f"{TEST} bottom:")
        with pytest.raises(ModelError, match="'a', which no layer before it makes") as caught:
            bottoms(INPUT + conv("a", "data", extra=TRAIN) + reader)
        assert (caught.value.layer, caught.value.field) == ("relu", "bottom")

    def test_2_a_bottom_that_one_phase_lacks_is_a_warning(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        with caplog.at_level(logging.WARNING):
            bottoms(INPUT + conv("a", "data", extra=TRAIN) + SPLIT)
        (line,) = caplog.messages
        assert "'relu' reads 'a', which is made in one of the phases" in line
