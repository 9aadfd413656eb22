"""AMCT's samples of post-training quantization: their calls run in their order, to their end."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from digits import run_python

from amct_core import record as records
from amct_core.file_names import deploy_files, fake_quant_files, name_map_file
from cpu_sim_backend.verify import verify

pytestmark = pytest.mark.caffe

SCRIPT = Path(__file__).with_name("amct_ptq_script.py")

NETWORK = """
name: "residual"
input: "data"
input_dim: 8 input_dim: 3 input_dim: 12 input_dim: 12
@conv1 data conv1
layer { name: "conv1_relu" type: "ReLU" bottom: "conv1" top: "conv1" }
@res2a_branch1 conv1 res2a_branch1
@res2a_branch2a conv1 res2a_branch2a
layer { name: "res2a_branch2a_relu" type: "ReLU" bottom: "res2a_branch2a" top: "res2a_branch2a" }
@res2a_branch2b res2a_branch2a res2a_branch2b
layer { name: "res2a" type: "Eltwise"
  bottom: "res2a_branch1" bottom: "res2a_branch2b" top: "res2a" }
layer { name: "res2a_relu" type: "ReLU" bottom: "res2a" top: "res2a" }
layer { name: "pool5" type: "Pooling" bottom: "res2a" top: "pool5"
  pooling_param { pool: AVE kernel_size: 3 stride: 3 } }
layer { name: "fc" type: "InnerProduct" bottom: "pool5" top: "fc"
  inner_product_param { num_output: 10 weight_filler { type: "xavier" } } }
layer { name: "prob" type: "Softmax" bottom: "fc" top: "prob" }
"""

CONVOLUTION = """
layer { name: "$" type: "Convolution" bottom: "IN" top: "OUT" convolution_param {
  num_output: 16 kernel_size: 3 pad: 1 bias_term: false weight_filler { type: "msra" } } }
layer { name: "bn_$" type: "BatchNorm" bottom: "OUT" top: "OUT"
  batch_norm_param { use_global_stats: true } }
layer { name: "scale_$" type: "Scale" bottom: "OUT" top: "OUT" scale_param { bias_term: true } }
"""

DETECTOR = """
name: "detector"
input: "data" input_shape { dim: 1 dim: 3 dim: 12 dim: 12 }
input: "im_info" input_shape { dim: 1 dim: 3 }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv" convolution_param {
  num_output: 8 kernel_size: 3 pad: 1 weight_filler { type: "msra" } } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "rpn" type: "Convolution" bottom: "conv" top: "rpn" convolution_param {
  num_output: 4 kernel_size: 1 weight_filler { type: "msra" } } }
layer { name: "proposal" type: "Python" bottom: "rpn" bottom: "im_info" top: "rois"
  python_param { module: "regions" layer: "Proposal" param_str: "'feat_stride': 1" } }
layer { name: "roi_pool5" type: "Python" bottom: "conv" bottom: "rois" top: "pool5"
  python_param { module: "regions" layer: "RoiPooling" } }
layer { name: "fc6" type: "InnerProduct" bottom: "pool5" top: "fc6"
  inner_product_param { num_output: 12 weight_filler { type: "xavier" } } }
layer { name: "cls_score" type: "InnerProduct" bottom: "fc6" top: "cls_score"
  inner_product_param { num_output: 5 weight_filler { type: "xavier" } } }
layer { name: "cls_prob" type: "Softmax" bottom: "cls_score" top: "cls_prob" }
"""

REGIONS = '''
import caffe
import numpy as np


class Proposal(caffe.Layer):
    """Four quarters of the image."""

    def setup(self, bottom, top):
        pass

    def reshape(self, bottom, top):
        top[0].reshape(4, 5)

    def forward(self, bottom, top):
        height, width = bottom[1].data[0, :2]
        for index in range(4):
            y, x = divmod(index, 2)
            top[0].data[index] = (
                0, x * width / 2, y * height / 2, (x + 1) * width / 2, (y + 1) * height / 2
            )

    def backward(self, top, propagate_down, bottom):
        pass


class RoiPooling(caffe.Layer):
    """The largest value of each channel in each region."""

    def setup(self, bottom, top):
        pass

    def reshape(self, bottom, top):
        top[0].reshape(bottom[1].shape[0], bottom[0].shape[1], 1, 1)

    def forward(self, bottom, top):
        for index, (_, left, above, right, below) in enumerate(bottom[1].data.astype(int)):
            region = bottom[0].data[0, :, above:below, left:right]
            top[0].data[index, :, 0, 0] = region.max(axis=(1, 2))

    def backward(self, top, propagate_down, bottom):
        pass
'''

MAKE = """
import caffe
import numpy as np

generator = np.random.default_rng(0)
np.savez("images.npz", data=(generator.normal(size=(24, 3, 12, 12)) * 60).astype(np.float32))
caffe.set_random_seed(3)
for name in ("net", "detector"):
    net = caffe.Net(name + ".prototxt", caffe.TEST)
    for layer, blobs in net.params.items():
        if layer.startswith("bn_"):
            blobs[0].data[...] = generator.normal(0, 0.1, blobs[0].data.shape)
            blobs[1].data[...] = generator.uniform(0.5, 2, blobs[1].data.shape)
            blobs[2].data[...] = 1
    if name == "net":
        net.params["bn_conv1"][1].data[...] = 6000  # pixels are not of variance 1
    else:
        net.params["conv"][0].data[...] /= 60
    net.save(name + ".caffemodel")
"""

CFG = """
# global quantize parameter
activation_offset : true
batch_num : 1
common_config : {
    ifmr_quantize : {
        search_range_start : 0.7
        search_range_end : 1.3
        search_step : 0.01
        max_percentile : 0.999999
        min_percentile : 0.999999
    }
}

override_layer_types : {
    layer_type : "Pooling"
    calibration_config : {
        arq_quantize : { channel_wise : false }
        ifmr_quantize : { search_range_start : 0.8 search_range_end : 1.2 }
    }
}
override_layer_types {
    layer_type: "InnerProduct"
    calibration_config { arq_quantize { channel_wise: false } }
}
"""


def _convolution(match: re.Match[str]) -> str:
    name, source, target = match.groups()
    return CONVOLUTION.replace("$", name).replace("IN", source).replace("OUT", target)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the networks, and one that looks like a Caffe built from source."""
    folder = tmp_path_factory.mktemp("samples")
    text = re.sub(r"@(\S+) (\S+) (\S+)", _convolution, NETWORK)
    (folder / "net.prototxt").write_text(text)
    (folder / "detector.prototxt").write_text(DETECTOR)
    (folder / "regions.py").write_text(REGIONS)
    (folder / "quant.cfg").write_text(CFG)
    stub = folder / "caffe/python/caffe/pycaffe.py"
    stub.parent.mkdir(parents=True)
    stub.touch()
    run_python(folder, "-c", MAKE)
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    """Return a copy of the folder that a test may write in."""
    return Path(shutil.copytree(made, tmp_path / "work"))


def run(folder: Path, sample: str, *cfg: str) -> str:
    """Run one sample; return what it prints."""
    done = run_python(folder, str(SCRIPT), sample, "caffe", *cfg)
    assert done.stdout.endswith(f"{sample} with quantize success!\n")
    return str(done.stdout) + str(done.stderr)


def check_saved(folder: Path, save_path: str, layers: list[str]) -> None:
    """Check that five files are there, and are exact on other data."""
    prefix = str(folder / save_path)
    for file in (*fake_quant_files(prefix), *deploy_files(prefix), name_map_file(prefix)):
        assert Path(file).is_file(), file
    data = np.random.default_rng(8).normal(size=(5, 3, 12, 12)).astype(np.float32) * 60
    report = verify(prefix, {"data": data})
    assert report.passed and report.exact_integers
    assert [layer.name for layer in report.layers] == layers


LAYERS = ["conv1", "res2a_branch1", "res2a_branch2a", "res2a_branch2b", "pool5", "fc"]


def test_the_resnet50_sample_and_the_conversion_with_its_record(folder: Path) -> None:
    out = run(folder, "resnet50")
    assert "scores of 3: (3, 10)" in out
    assert "The weights_file is saved in" in out
    check_saved(folder, "results/calibration_results/ResNet50", LAYERS)
    record = (folder / "tmp/scale_offset_record.txt").read_bytes()
    run(folder, "convert")
    assert (folder / "tmp/scale_offset_record.txt").read_bytes() == record
    check_saved(folder, "results/convert_results/ResNet50", LAYERS)
    first, second = (
        deploy_files(str(folder / f"results/{kind}_results/ResNet50")).weights
        for kind in ("calibration", "convert")
    )
    assert Path(first).read_bytes() == Path(second).read_bytes()


def test_a_simplified_configuration_counts_instead_of_the_arguments(folder: Path) -> None:
    run(folder, "resnet50", "quant.cfg")
    config = json.loads((folder / "tmp/config.json").read_text())
    assert config["batch_num"] == 1  # the call says 2
    assert config["pool5"]["activation_quant_params"]["search_range"] == [0.8, 1.2]
    assert config["conv1"]["activation_quant_params"]["search_range"] == [0.7, 1.3]
    assert config["conv1"]["weight_quant_params"]["channel_wise"] is True
    check_saved(folder, "results/calibration_results/ResNet50", LAYERS)


def test_the_mnist_sample_makes_no_folders(folder: Path) -> None:
    out = run(folder, "mnist")
    assert float(re.findall(r"largest change (\S+)", out)[0]) < 0.1
    check_saved(folder, "mnist/results/mnist", LAYERS)


def test_the_faster_rcnn_sample_reshapes_the_input_for_every_image(folder: Path) -> None:
    out = run(folder, "faster_rcnn")
    assert float(re.findall(r"largest change (\S+)", out)[0]) < 0.1
    record = records.read(str(folder / "detector/scale_offset_record/record.txt"))
    assert list(record) == ["conv", "rpn", "fc6", "cls_score"]
    assert (record.get("conv").height, record.get("conv").width) == (12, 10)
    for file in deploy_files(str(folder / "results/faster_rcnn")):
        assert Path(file).is_file()
