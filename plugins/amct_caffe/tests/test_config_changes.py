"""``amct qat config`` and ``amct ptq config`` with changes, on a Caffe network."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from amct_caffe.model.formats.caffemodel import writer
from amct_core.cli.main import cli
from amct_core.config import json_format, ptq_json

SHAPES = {
    "inception_3a/3x3_reduce": (4, 4, 1, 1),
    "inception_3a/3x3": (4, 4, 3, 3),
    "fc.1*": (3, 256),
    "fc.12": (3, 3),
}
NETWORK = """
input: "data" input_shape { dim: 1 dim: 4 dim: 8 dim: 8 }
layer { name: "inception_3a/3x3_reduce" type: "Convolution" bottom: "data" top: "a"
  convolution_param { num_output: 4 kernel_size: 1 bias_term: false } }
layer { name: "inception_3a/3x3" type: "Convolution" bottom: "a" top: "b"
  convolution_param { num_output: 4 kernel_size: 3 pad: 1 bias_term: false } }
layer { name: "relu" type: "ReLU" bottom: "b" top: "b" }
layer { name: "max" type: "Pooling" bottom: "b" top: "max"
  pooling_param { pool: MAX kernel_size: 1 } }
layer { name: "fc.1*" type: "InnerProduct" bottom: "max" top: "fc"
  inner_product_param { num_output: 3 bias_term: false } }
layer { name: "fc.12" type: "InnerProduct" bottom: "fc" top: "out"
  inner_product_param { num_output: 3 bias_term: false } }
"""
ADVICE = {
    "version": 1,
    "advice": [
        {
            "layer": "fc.12",
            "cause": "weight outlier",
            "reason": "One weight is large.",
            "qat": {"skip": True},
            "ptq": {"skip": True},
        },
        {
            "layer": "fc.1*",
            "cause": "N saturation",
            "reason": "Sums are clamped to int16.",
            "ptq": {"set": {"activation_quant_params.act_algo": "min_max"}},
        },
    ],
}


@pytest.fixture
def config(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str]]:
    """Return a function that writes ``new.json``; returns the status and what is printed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("amct_core.logging.configure", lambda: None)
    Path("n.prototxt").write_text(NETWORK)
    Path("advice.json").write_text(json.dumps(ADVICE))
    random = np.random.default_rng(0)
    layers = [
        (
            name,
            "InnerProduct" if len(shape) == 2 else "Convolution",
            [random.normal(size=shape).astype(np.float32)],
        )
        for name, shape in SHAPES.items()
    ]
    with Path("n.caffemodel").open("wb") as stream:
        writer.write(stream, "n", layers)

    def run(group: str, *options: str, output: str = "new.json") -> tuple[int, str]:
        arguments = [group, "config", "n.prototxt", "n.caffemodel", "-o", output, *options]
        capsys.readouterr()
        with pytest.raises(SystemExit) as caught:
            cli(arguments, prog_name="amct")
        printed = capsys.readouterr()
        return int(str(caught.value.code)), printed.out or printed.err

    return run


def enabled(group: str, path: str = "new.json") -> list[str]:
    read: Any = json_format.read if group == "qat" else ptq_json.read
    return list(read(path).enabled)


@pytest.mark.parametrize("group", ["qat", "ptq"])
@pytest.mark.parametrize(
    ("options", "left"),
    [
        (("--skip", "inception_3a/*"), ["fc.1*", "fc.12"]),
        (("--skip", "fc.1*"), ["inception_3a/3x3_reduce", "inception_3a/3x3", "fc.12"]),
        (("--skip", "fc.1?"), ["inception_3a/3x3_reduce", "inception_3a/3x3"]),
        (("--only", "type:InnerProduct", "--skip", "fc.12"), ["fc.1*"]),
        (("--only", "*reduce", "--only", "fc.12"), ["inception_3a/3x3_reduce", "fc.12"]),
        (("--apply", "advice.json"), ["inception_3a/3x3_reduce", "inception_3a/3x3", "fc.1*"]),
    ],
)
def test_layers_are_left_in_float(
    config: Callable[..., Any], group: str, options: tuple[str, ...], left: list[str]
) -> None:
    status, printed = config(group, *options)
    assert (status, enabled(group)) == (0, left)
    assert f"Quantized: {len(left)} of 4 layers." in printed.splitlines()


def test_the_advice_and_what_of_it_is_not_applied_are_told_per_layer(
    config: Callable[..., Any],
) -> None:
    assert config("qat", "--apply", "advice.json", "--skip", "*3x3")[1].splitlines() == [
        "4 layers can be quantized:",
        "  inception_3a/3x3_reduce, inception_3a/3x3, fc.1*, fc.12",
        "1 layer left out: its pooling method is MAX; expected AVE.",
        "  max",
        "Changed:",
        "2 layers:",
        "  inception_3a/3x3, fc.12",
        "    retrain_enable: true -> false",
        "Not applied:",
        "    fc.1*: N saturation: Sums are clamped to int16. (this configuration cannot say what "
        "would help)",
        "Quantized: 2 of 4 layers.",
        "new.json",
    ]


def test_json_tells_the_same(config: Callable[..., Any]) -> None:
    document = json.loads(config("qat", "--apply", "advice.json", "--json")[1])
    switched = {"key": "retrain_enable", "first": True, "second": False, "relative": None}
    assert document["changed"] == {"whole": [], "layers": {"fc.12": [switched]}}
    assert document["quantized"] == ["inception_3a/3x3_reduce", "inception_3a/3x3", "fc.1*"]
    assert document["not_applied"] == [
        {
            "layer": "fc.1*",
            "cause": "N saturation",
            "reason": "Sums are clamped to int16.",
            "why": "this configuration cannot say what would help",
        }
    ]


@pytest.mark.parametrize("group", ["qat", "ptq"])
def test_a_config_is_changed_into_another_and_stays_as_it_is(
    config: Callable[..., Any], group: str
) -> None:
    assert config(group, "--skip", "fc.12", "--set", "batch_num=7", output="old.json")[0] == 0
    before = Path("old.json").read_text()
    assert config(group, "--base", "old.json", "--skip", "*reduce")[0] == 0
    assert enabled(group) == ["inception_3a/3x3", "fc.1*"]
    assert json.loads(Path("new.json").read_text())["batch_num"] == 7
    assert Path("old.json").read_text() == before


@pytest.mark.parametrize("group", ["qat", "ptq"])
@pytest.mark.parametrize("option", [("--base", "old.json"), ("--apply", "advice.json")])
def test_what_is_read_is_not_overwritten(
    config: Callable[..., Any], group: str, option: tuple[str, str]
) -> None:
    config(group, output="old.json")
    before = Path(option[1]).read_text()
    status, printed = config(group, *option, output=option[1])
    assert (status, "would be overwritten" in printed) == (1, True)
    assert Path(option[1]).read_text() == before


@pytest.mark.parametrize("group", ["qat", "ptq"])
def test_a_layer_that_the_base_does_not_list_is_off_until_it_is_asked_for(
    config: Callable[..., Any], group: str
) -> None:
    switch = {"qat": "retrain_enable", "ptq": "quant_enable"}[group]
    Path("old.json").write_text(json.dumps({"fc.12": {switch: True}}))
    config(group, "--base", "old.json", "--set", "batch_num=2")
    assert enabled(group) == ["fc.12"]
    config(group, "--base", "old.json", "--set", f"fc.1*.{switch}=true")
    assert enabled(group) == ["fc.1*", "fc.12"]


def test_a_base_of_another_network_is_refused(config: Callable[..., Any]) -> None:
    Path("old.json").write_text('{"conv9": {"retrain_enable": true}}')
    status, printed = config("qat", "--base", "old.json", "--skip", "fc.12")
    assert (status, "old.json, layer 'conv9'" in printed) == (1, True)


@pytest.mark.parametrize("group", ["qat", "ptq"])
def test_nothing_is_written_where_a_change_is_refused(
    config: Callable[..., Any], group: str
) -> None:
    status, printed = config(group, "--skip", "fc.13")
    assert (status, "Did you mean 'fc.12', 'fc.1*'" in printed) == (1, True)
    assert not Path("new.json").exists()


def test_a_simplified_config_may_be_changed(config: Callable[..., Any]) -> None:
    Path("quant.cfg").write_text("batch_num: 3")
    assert config("ptq", "--simple", "quant.cfg", "--only", "fc.12")[0] == 0
    assert (enabled("ptq"), ptq_json.read("new.json").batch_num) == (["fc.12"], 3)


def test_a_simplified_config_and_a_base_exclude_each_other(config: Callable[..., Any]) -> None:
    status, printed = config("qat", "--simple", "quant.cfg", "--base", "old.json")
    assert (status, "exclude each other" in printed) == (2, True)
