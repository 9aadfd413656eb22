"""Weights files in HDF5, as Caffe writes them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Dict

import numpy as np
import pytest

from amct_caffe.model.network import CaffeNetwork, read_network
from amct_core import workflow
from amct_core.errors import EnvironmentUnsuitableError, FileFormatError

TOWER = """
layer { name: "ip1%(s)s" type: "InnerProduct" bottom: "data%(s)s" top: "ip1%(s)s"
  param { name: "w" } param { name: "b" }
  inner_product_param { num_output: 4 weight_filler { type: "xavier" } } }
layer { name: "relu%(s)s" type: "ReLU" bottom: "ip1%(s)s" top: "ip1%(s)s" }
layer { name: "feat%(s)s" type: "InnerProduct" bottom: "ip1%(s)s" top: "feat%(s)s"
  param { name: "feat_w" }
  inner_product_param { num_output: 2 weight_filler { type: "xavier" }
    bias_filler { type: "gaussian" std: 1 } } }
"""
SIAMESE = (
    """
layer { name: "data" type: "DummyData" top: "data" top: "data_p" top: "sim"
  dummy_data_param { data_filler { type: "gaussian" std: 1 } data_filler { type: "gaussian" std: 1 }
    data_filler { type: "constant" value: 1 }
    shape { dim: 2 dim: 3 } shape { dim: 2 dim: 3 } shape { dim: 2 } } }
"""
    + TOWER % {"s": ""}
    + TOWER % {"s": "_p"}
    + """
layer { name: "loss" type: "ContrastiveLoss" bottom: "feat" bottom: "feat_p" bottom: "sim"
  top: "loss" }
"""
)
"""Two towers: the second one's weights are the first one's, and one bias is its own."""


@pytest.fixture
def h5py() -> Any:
    """Return the library; tests that need it are skipped where it is missing."""
    return pytest.importorskip("h5py")


def written_in_both_formats(caffe: Any, model: Path, folder: Path) -> Dict[str, CaffeNetwork]:
    """Return the network as read from what Caffe saves of it, by format."""
    net = caffe.Net(str(model), caffe.TRAIN)
    files = {"binary": folder / "w.caffemodel", "hdf5": folder / "w.caffemodel.h5"}
    net.save(str(files["binary"]))
    net.save_hdf5(str(files["hdf5"]))
    return {form: read_network(str(model), str(file)) for form, file in files.items()}


def assert_same_blobs(found: Dict[str, CaffeNetwork]) -> None:
    """Check that both files gave the same blobs."""
    binary, hdf5 = found["binary"].weights, found["hdf5"].weights
    assert list(binary) == list(hdf5)
    for layer, blobs in binary.items():
        assert len(blobs) == len(hdf5[layer])
        for mine, theirs in zip(blobs, hdf5[layer]):
            assert (theirs.dtype, theirs.shape) == (np.float32, mine.shape)
            np.testing.assert_array_equal(theirs, mine)


@pytest.mark.caffe
def test_a_blob_that_layers_share_is_that_of_its_owner(
    tmp_path: Path, caffe: Any, h5py: Any
) -> None:
    model = tmp_path / "siamese.prototxt"
    model.write_text(SIAMESE)
    found = written_in_both_formats(caffe, model, tmp_path)
    with h5py.File(tmp_path / "w.caffemodel.h5", "r") as file:
        assert not list(file["data"]["ip1_p"])
        assert list(file["data"]["feat_p"]) == ["1"]
    assert_same_blobs(found)


@pytest.mark.caffe
def test_the_modified_model_of_such_a_network_is_read_in_both_formats(
    tmp_path: Path, caffe: Any, h5py: Any
) -> None:
    model, weights = tmp_path / "siamese.prototxt", tmp_path / "siamese.caffemodel"
    model.write_text(SIAMESE)
    caffe.Net(str(model), caffe.TRAIN).save(str(weights))
    config, modified = tmp_path / "config.json", tmp_path / "modified.prototxt"
    workflow.create_config(str(model), str(weights), str(config))
    workflow.insert(
        str(model),
        str(weights),
        str(config),
        str(modified),
        str(tmp_path / "modified.caffemodel"),
        str(tmp_path / "record.txt"),
    )
    assert_same_blobs(written_in_both_formats(caffe, modified, tmp_path))


def write(h5py: Any, path: Path, **blobs: Any) -> str:
    """Write datasets by their paths, with ``_`` for a slash."""
    with h5py.File(path, "w") as file:
        for name, blob in blobs.items():
            file[name.replace("_", "/")] = blob
    return str(path)


MODEL = """
input: "data" input_shape { dim: 1 dim: 2 }
layer { name: "block/fc" type: "InnerProduct" bottom: "data" top: "fc"
  inner_product_param { num_output: 1 } }
"""


@pytest.fixture
def model(tmp_path: Path) -> str:
    """Return a network of one layer with a slash in its name."""
    path = tmp_path / "net.prototxt"
    path.write_text(MODEL)
    return str(path)


def test_a_layer_with_a_slash_in_its_name_is_a_path_of_groups(
    tmp_path: Path, h5py: Any, model: str
) -> None:
    weights, bias = np.array([[1.5, 2.5]]), np.array([3.5])
    file = write(h5py, tmp_path / "w.h5", data_block_fc_0=weights, data_block_fc_1=bias)
    read = read_network(model, file).weights["block/fc"]
    np.testing.assert_array_equal(read[0], weights.astype(np.float32))
    np.testing.assert_array_equal(read[1], bias.astype(np.float32))


def test_a_blob_that_is_nowhere_is_named(tmp_path: Path, h5py: Any, model: str) -> None:
    file = write(h5py, tmp_path / "w.h5", data_block_fc_1=np.array([3.5]))
    with pytest.raises(FileFormatError, match=r"it has \[1\]") as caught:
        read_network(model, file)
    assert (caught.value.layer, caught.value.field) == ("block/fc", "blobs[0]")


@pytest.mark.parametrize(
    ("path", "problem"), [("iter", "no group 'data'"), ("data_fc_momentum", "found 'momentum'")]
)
def test_another_kind_of_hdf5_file_is_refused(
    tmp_path: Path, h5py: Any, model: str, path: str, problem: str
) -> None:
    with pytest.raises(FileFormatError, match=problem):
        read_network(model, write(h5py, tmp_path / "w.h5", **{path: np.array([1.0])}))


def test_a_damaged_file_is_refused(tmp_path: Path, h5py: Any, model: str) -> None:
    file = tmp_path / "w.caffemodel.h5"
    file.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
    with pytest.raises(FileFormatError, match="cannot be read as HDF5"):
        read_network(model, str(file))


def test_without_h5py_the_message_says_how_to_get_it(
    tmp_path: Path, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "h5py", None)
    file = tmp_path / "w.caffemodel.h5"
    file.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
    with pytest.raises(EnvironmentUnsuitableError, match=r"pip install .*amct\[hdf5\]=="):
        read_network(model, str(file))
