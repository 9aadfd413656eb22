"""AMCT's QAT sample: its calls run in its order, and what it edits is ready for ATC."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import attrs
import numpy as np
import pytest
from digits import run_python

from amct_caffe.model.formats.prototxt import document as documents
from amct_core.file_names import deploy_files
from ascend_backend.lint import WARNING, lint
from cpu_sim_backend import Simulator
from cpu_sim_backend.verify import verify

pytestmark = [pytest.mark.caffe, pytest.mark.slow, pytest.mark.needs("lmdb")]

SCRIPT = Path(__file__).with_name("amct_qat_script.py")
SIZE, CLASSES = 16, 10

NETWORK = """
name: "residual"
layer { name: "data" type: "Data" top: "data" top: "label" include { phase: TRAIN }
  transform_param { mirror: true crop_size: 12 mean_value: 120 }
  data_param { source: "unset" batch_size: 1 backend: LMDB } }
layer { name: "data" type: "Data" top: "data" top: "label" include { phase: TEST }
  transform_param { crop_size: 12 mean_value: 120 }
  data_param { source: "unset" batch_size: 1 backend: LMDB } }
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
  pooling_param { pool: AVE kernel_size: 12 stride: 1 } }
layer { name: "fc" type: "InnerProduct" bottom: "pool5" top: "fc"
  inner_product_param { num_output: 10 weight_filler { type: "xavier" } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc" bottom: "label" top: "loss" }
layer { name: "acc/top-1" type: "Accuracy" bottom: "fc" bottom: "label" top: "acc/top-1"
  include { phase: TEST } }
layer { name: "acc/top-5" type: "Accuracy" bottom: "fc" bottom: "label" top: "acc/top-5"
  include { phase: TEST } accuracy_param { top_k: 5 } }
"""

INPUTS = """
layer { name: "data" type: "Input" top: "data" top: "label"
  input_param { shape { dim: 1 dim: 3 dim: 12 dim: 12 } shape { dim: 1 } } }
"""

CONVOLUTION = """
layer { name: "$" type: "Convolution" bottom: "IN" top: "OUT" convolution_param {
  num_output: 24 kernel_size: 3 pad: 1 bias_term: false weight_filler { type: "msra" } } }
layer { name: "bn_$" type: "BatchNorm" bottom: "OUT" top: "OUT" }
layer { name: "scale_$" type: "Scale" bottom: "OUT" top: "OUT" scale_param { bias_term: true } }
"""

MAKE = """
import sys
import numpy as np
import caffe, lmdb
from caffe.proto import caffe_pb2

generator = np.random.default_rng(0)
for name in ("train", "test"):
    with lmdb.open(name, map_size=1 << 24) as environment:
        with environment.begin(write=True) as transaction:
            for index in range(8):
                image = generator.integers(0, 256, (3, SIZE, SIZE), np.uint8)
                datum = caffe_pb2.Datum(
                    channels=3, height=SIZE, width=SIZE, data=image.tobytes(), label=index
                )
                transaction.put(b"%08d" % index, datum.SerializeToString())
net = caffe.Net("bare.prototxt", caffe.TEST)
for name, blobs in net.params.items():
    if name.startswith("bn_"):
        blobs[0].data[...] = generator.normal(0, 0.1, blobs[0].shape)
        blobs[1].data[...] = generator.uniform(0.5, 2, blobs[1].shape)
        blobs[2].data[...] = 1
net.params["bn_conv1"][1].data[...] = 6000  # pixels are not of variance 1
net.save("net.caffemodel")
"""


@attrs.frozen
class Ran:
    """The script after its end."""

    folder: Path
    out: str
    log: str

    @property
    def prefix(self) -> str:
        return str(self.folder / "results/sub/net")

    @property
    def edited(self) -> str:
        """The prototxt that the script has edited for ATC."""
        return f"{self.prefix}_atc_model.prototxt"


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """Run the script beside a folder that looks like a Caffe built from source."""
    folder = tmp_path_factory.mktemp("sample")
    text = re.sub(r"@(\S+) (\S+) (\S+)", _convolution, NETWORK)
    (folder / "net.prototxt").write_text(text)
    bare = re.sub(r'layer \{ name: "data".*?backend: LMDB \} \}\n', "", text, flags=re.DOTALL)
    (folder / "bare.prototxt").write_text(INPUTS + bare)
    run_python(folder, "-c", MAKE.replace("SIZE", str(SIZE)))
    stub = folder / "caffe/python/caffe/pycaffe.py"
    stub.parent.mkdir(parents=True)
    stub.touch()
    arguments = [
        "caffe",
        "net.prototxt",
        "net.caffemodel",
        "train",
        "test",
        "work",
        "results/sub/net",
    ]
    done = run_python(folder, str(SCRIPT), *arguments)
    return Ran(folder, done.stdout, done.stderr)


def _convolution(match: re.Match[str]) -> str:
    name, source, target = match.groups()
    return CONVOLUTION.replace("$", name).replace("IN", source).replace("OUT", target)


def test_it_tests_the_network_before_and_after(ran: Ran) -> None:
    assert re.findall(r"(\S+) = [01]\.?\d*", ran.out) == ["acc/top-1", "acc/top-5"] * 2


def test_it_says_what_amct_says(ran: Ran) -> None:
    said = re.findall(r"\[AMCT\]:\[(Config|Utils)\]: (.*)", ran.log)
    assert said[0] == ("Config", "Generate config file:work/config.json success!")
    assert [text.split(" is saved in ")[0] for module, text in said[1:]] == [
        *("The weights_file", "The model_file"),
        *("The weights_file", "The model_file"),
    ]


def test_every_layer_of_the_classifier_is_still_in_the_edited_model(ran: Ran) -> None:
    layers = documents.read(ran.edited).layers
    assert [layer.name for layer in (layers[0], *layers[-2:])] == ["data", "fc", "fc_dequant_layer"]


def test_lint_finds_nothing_that_atc_would_refuse_in_it(ran: Ran) -> None:
    findings = lint(ran.edited, deploy_files(ran.prefix).weights)
    # conv1 reads three channels, which no editing changes.
    assert {(each.rule.id, each.rule.severity) for each in findings} <= {("A092", WARNING)}


def test_lint_of_the_model_before_the_edits_names_the_layers_that_they_take_out(ran: Ran) -> None:
    findings = lint(*deploy_files(ran.prefix))
    named = [each.problem.layer for each in findings if each.rule.id == "A119"]
    assert named == ["data", "loss", "acc/top-1", "acc/top-5"]


@pytest.mark.parametrize("edited", [False, True], ids=["as saved", "edited"])
def test_it_is_exact(ran: Ran, edited: bool) -> None:
    generator = np.random.default_rng(1)
    data = generator.integers(-120, 136, (6, 3, 12, 12)).astype(np.float32)
    report = verify(ran.prefix, {"data": data}, 2, model_file=ran.edited if edited else None)
    assert report.passed and report.exact_integers
    assert [layer.name for layer in report.layers] == [
        *("conv1", "res2a_branch1", "res2a_branch2a", "res2a_branch2b", "fc")
    ]


def test_both_are_simulated_alike(ran: Ran) -> None:
    data = np.random.default_rng(2).normal(size=(3, 3, 12, 12)).astype(np.float32) * 60
    saved, weights = deploy_files(ran.prefix)
    scores = [
        Simulator(model, weights).run({"data": data}, ["fc"])["fc"] for model in (saved, ran.edited)
    ]
    assert np.array_equal(*scores)


def test_the_solver_that_it_writes_passes_our_check(ran: Ran) -> None:
    code = (
        "import amct_caffe\n"
        "amct_caffe.check_solver('work/solver.prototxt', 'work/config.json', "
        "'work/modified_model.prototxt')"
    )
    run_python(ran.folder, "-c", code)


def test_the_command_verifies_with_the_networks_own_data(ran: Ran) -> None:
    command = [sys.executable, "-m", "amct_core", "verify", ran.prefix, "--model", ran.edited]
    done = subprocess.run(
        [*command, "--data-layer", "--iterations", "2", "--json"],
        cwd=ran.folder,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout)
    assert found["exact_integers"] and found["samples"] == 4
