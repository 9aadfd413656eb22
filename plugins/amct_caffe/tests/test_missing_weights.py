"""Layers without weights: left out with the reason, unless the weights are another network's."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest

from amct_caffe.model.formats.caffemodel import writer
from amct_core import workflow
from amct_core.errors import ModelError

NETWORK = """
input: "data" input_shape { dim: 1 dim: 3 dim: 4 dim: 4 }
layer { name: "first" type: "Convolution" bottom: "data" top: "first"
  convolution_param { num_output: 3 kernel_size: 1 bias_term: false } }
layer { name: "second" type: "Convolution" bottom: "first" top: "second"
  convolution_param { num_output: 3 kernel_size: 1 bias_term: false } }
"""


def config(folder: Path, *layers: str) -> workflow.ConfigReport:
    """Ask for a config with weights for ``layers`` only."""
    model, weights = folder / "n.prototxt", folder / "n.caffemodel"
    model.write_text(NETWORK)
    blobs = [np.ones((3, 3, 1, 1), np.float32)]
    with weights.open("wb") as stream:
        writer.write(stream, "n", [(name, "Convolution", blobs) for name in layers])
    return workflow.create_config(str(model), str(weights), str(folder / "c.json"))


def test_a_layer_that_the_weights_file_lacks_is_left_out_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        report = config(tmp_path, "first")
    assert report.quantizable == ("first",)
    assert report.unsupported["second"] == "the weights file has no weights for it."
    assert "has no weights for 'second'" in caplog.text
    assert "Caffe will start from the fillers" in caplog.text


def test_where_the_file_has_another_layer_instead_it_is_the_wrong_file(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"does not have: 'third'") as caught:
        config(tmp_path, "first", "third")
    assert caught.value.layer == "second"
    assert not (tmp_path / "c.json").exists()


def test_layers_that_only_the_file_has_do_not_matter(tmp_path: Path) -> None:
    assert config(tmp_path, "first", "second", "third").quantizable == ("first", "second")
