"""The shapes that a layer's parameters say its blobs have."""

from __future__ import annotations

import tracemalloc

import pytest

from amct_caffe.model.formats.prototxt import document as documents
from amct_caffe.model.layer_type import expected_blobs

LAYER = 'layer { name: "a" type: "%s" bottom: "x" top: "y" %s { num_axes: %d } }'
TYPES = (("Scale", "scale_param"), ("Bias", "bias_param"))


def expected(layer_type: str, parameters: str, num_axes: int):
    document = documents.from_text(LAYER % (layer_type, parameters, num_axes), "net.prototxt")
    (layer,) = document.layers_in("TEST")
    (blob,) = expected_blobs(layer)
    return blob


@pytest.mark.parametrize(("layer_type", "parameters"), TYPES)
def test_a_blob_has_as_many_axes_as_num_axes_says(layer_type, parameters):
    assert expected(layer_type, parameters, 2).fit((3, 4)) == (3, 4)
    assert expected(layer_type, parameters, 2).fit((3, 4, 5)) is None
    assert expected(layer_type, parameters, -1).fit((3, 4, 5)) == (3, 4, 5)


@pytest.mark.parametrize(("layer_type", "parameters"), TYPES)
def test_no_blob_has_two_billion_axes_and_none_is_allocated(layer_type, parameters):
    tracemalloc.start()
    blob = expected(layer_type, parameters, 2**31 - 1)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert blob.fit((3,) * 32) is None
    assert peak < 2**20
