"""The page for users of AMCT: its commands run, and each line of its tables has a test."""

from __future__ import annotations

import inspect
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from digits import REPOSITORY

import amct_caffe
from amct_caffe import tensor_decompose
from plugins.amct_caffe.tests.ptq import networks
from plugins.amct_caffe.tests.qat.nets import convolution, inner_product, layer

PAGE = REPOSITORY / "docs/moving-from-amct.md"
TEXT = PAGE.read_text()

AMCT = {
    "create_quant_retrain_config": "config_file model_file weights_file config_defination",
    "create_quant_retrain_model": "model_file weights_file config_file modified_model_file "
    "modified_weights_file scale_offset_record_file",
    "save_quant_retrain_model": "retrained_model_file retrained_weights_file save_type save_path "
    "scale_offset_record_file config_file",
    "create_quant_config": "config_file model_file weights_file skip_layers batch_num "
    "activation_offset config_defination",
    "init": "config_file model_file weights_file scale_offset_record_file",
    "quantize_model": "graph modified_model_file modified_weights_file",
    "save_model": "graph save_type save_path",
    "convert_model": "model_file weights_file scale_offset_record_file save_path",
    "accuracy_based_auto_calibration": "model_file weights_file model_evaluator config_file "
    "record_file save_dir strategy sensitivity",
    "auto_decomposition": "model_file weights_file new_model_file new_weights_file",
}


def names_of_all_tests() -> set[str]:
    """Return the names of all test functions."""
    files = [*REPOSITORY.glob("tests/**/test_*.py"), *REPOSITORY.glob("plugins/*/tests/**/*.py")]
    return {
        name for file in files for name in re.findall(r"^def (test_\w+)", file.read_text(), re.M)
    }


def test_every_test_that_the_page_names_is_there() -> None:
    named = set(re.findall(r"`(test_\w+)`", TEXT))
    assert len(named) > 30
    assert named <= names_of_all_tests()


def test_every_line_of_a_table_names_a_test() -> None:
    rows = [line for line in TEXT.splitlines() if line.startswith("|")]
    for row in rows:
        assert "`test_" in row or row.endswith("| test |") or set(row) <= set("|-"), row


@pytest.mark.parametrize("name", AMCT)
def test_parameters_and_their_order_are_amcts(name: str) -> None:
    home = tensor_decompose if name == "auto_decomposition" else amct_caffe
    parameters = list(inspect.signature(getattr(home, name)).parameters.values())
    own = [each for each in parameters if each.kind is each.KEYWORD_ONLY]
    assert [each.name for each in parameters[: len(parameters) - len(own)]] == AMCT[name].split()
    for each in own:
        assert f"`{each.name}`" in TEXT
        assert each.default is None


@pytest.mark.caffe
def test_its_commands_run(tmp_path: Path) -> None:
    dims = "dim: 2 dim: 3 dim: 12 dim: 12"
    text = 'name: "net"\n' + layer("data", "Input", (), (), f"input_param {{ shape {{ {dims} }} }}")
    text += convolution("conv1", "data", 8, 3) + convolution("conv2", "conv1", 32, 3)
    text += inner_product("fc", "conv2", 5) + layer("prob", "Softmax", ["fc"])
    networks.write(tmp_path, text)
    (tmp_path / "net.prototxt").rename(tmp_path / "deploy.prototxt")
    data = np.random.default_rng(0).normal(size=(8, 3, 12, 12)).astype(np.float32)
    np.savez(tmp_path / "images.npz", data=data)
    (commands,) = re.findall(r"```sh\n(.*?)```", TEXT, re.S)
    binaries = str(Path(sys.executable).parent)
    environment = {**os.environ, "PATH": binaries + os.pathsep + os.environ["PATH"]}
    for command in commands.splitlines():
        done = subprocess.run(
            command, shell=True, cwd=tmp_path, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    saved = (tmp_path / "results/net_deploy_weights.caffemodel").read_bytes()
    assert (tmp_path / "results/converted_deploy_weights.caffemodel").read_bytes() == saved
