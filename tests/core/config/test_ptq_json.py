"""The JSON of post-training quantization: AMCT's text, what is accepted, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amct_core.config import ptq_json
from amct_core.config.ptq import PtqActivation, PtqConfig, PtqLayer, PtqWeight
from amct_core.errors import ConfigError

AS_AMCT_WRITES = """{
    "version":1,
    "batch_num":2,
    "activation_offset":true,
    "joint_quant":false,
    "do_fusion":true,
    "skip_fusion_layers":[],
    "conv1":{
        "quant_enable":true,
        "activation_quant_params":{
            "max_percentile":0.999999,
            "min_percentile":0.999999,
            "search_range":[
                0.7,
                1.3
            ],
            "search_step":0.01
        },
        "weight_quant_params":{
            "wts_algo":"arq_quantize",
            "channel_wise":true
        }
    }
}
"""

NAMES = st.text(min_size=1, max_size=8).filter(
    lambda name: name not in (*ptq_json.GLOBAL, *ptq_json._OF_OTHER_FRAMEWORKS)
)
IFMR = st.builds(
    PtqActivation,
    max_percentile=st.floats(0.5, 1.0, exclude_min=True),
    min_percentile=st.floats(0.5, 1.0, exclude_min=True),
    search_range=st.tuples(st.floats(0.125, 0.875), st.floats(1.0, 4.0)),
    search_step=st.floats(2.0**-11, 0.125),
)
HFMG = st.builds(
    PtqActivation, st.just("hfmg"), num_of_bins=st.sampled_from([1024, 2048, 4096, 8192])
)
OTHER = st.builds(
    PtqActivation,
    st.just("mse"),
    others=st.dictionaries(
        st.from_regex(r"my_[a-z]{1,5}", fullmatch=True),
        st.integers(-(2**63), 2**63 - 1) | st.floats(0, 1),
        max_size=2,
    ).map(lambda parameters: tuple(parameters.items())),
)
WEIGHTS = st.none() | st.builds(
    PtqWeight,
    st.sampled_from(["arq_quantize", "my_algo"]),
    channel_wise=st.none() | st.booleans(),
)


@given(
    config=st.builds(
        PtqConfig,
        batch_num=st.integers(1, 1000),
        activation_offset=st.booleans(),
        joint_quant=st.booleans(),
        do_fusion=st.booleans(),
        skip_fusion_layers=st.lists(NAMES, max_size=2).map(tuple),
        layers=st.dictionaries(
            NAMES, st.builds(PtqLayer, st.booleans(), IFMR | HFMG | OTHER, WEIGHTS), max_size=3
        ),
    )
)
def test_what_is_formatted_is_parsed_again_in_order(config: PtqConfig) -> None:
    again = ptq_json.parse(ptq_json.format_config(config))
    assert again == config
    assert list(again.layers) == list(config.layers)


def test_the_text_is_amcts_key_by_key_and_blank_by_blank() -> None:
    layer = PtqLayer(weight=PtqWeight(channel_wise=True))
    assert ptq_json.format_config(PtqConfig(batch_num=2, layers={"conv1": layer})) == AS_AMCT_WRITES


def test_a_layer_with_hfmg_has_its_parameters_alone() -> None:
    text = ptq_json.format_config(PtqConfig(layers={"c": PtqLayer(True, PtqActivation("hfmg"))}))
    assert json.loads(text)["c"]["activation_quant_params"] == {
        "act_algo": "hfmg",
        "num_of_bins": 4096,
    }


def test_a_type_without_weights_has_no_weight_parameters() -> None:
    text = ptq_json.format_config(PtqConfig(layers={"pool": PtqLayer(weight=None)}))
    assert "weight_quant_params" not in json.loads(text)["pool"]


def entry(text: str) -> PtqLayer:
    """Return what a file says of its layer ``conv``."""
    return ptq_json.parse('{"conv": ' + text + "}").layers["conv"]


def test_what_is_missing_is_the_default() -> None:
    assert ptq_json.parse("{}") == PtqConfig()
    assert entry('{"quant_enable": true}').activation == PtqActivation()


@pytest.mark.parametrize("text", ["{}", '{"quant_enable": false}'])
def test_a_layer_is_quantized_only_where_quant_enable_is_true(text: str) -> None:
    assert not entry(text).enabled


def test_integers_are_numbers() -> None:
    layer = entry('{"activation_quant_params": {"max_percentile": 1, "search_range": [1, 2]}}')
    assert (layer.activation.max_percentile, layer.activation.search_range) == (1.0, (1.0, 2.0))


def test_the_step_may_be_the_whole_range_as_decimals_are_written() -> None:
    """In binary, 1.3 - 0.7 is less than 0.6."""
    layer = entry('{"activation_quant_params": {"search_range": [0.7, 1.3], "search_step": 0.6}}')
    assert layer.activation.search_step == 0.6


@pytest.mark.parametrize(
    ("params", "algo"),
    [
        ({"num_of_bins": 2048}, "hfmg"),
        ({"search_step": 0.1}, "ifmr"),
        ({"act_algo": "hfmg"}, "hfmg"),
        ({"act_algo": "mse", "num_of_bins": 2048}, "mse"),
        ({}, "ifmr"),
    ],
)
def test_the_calibrator_is_the_one_named_or_the_one_whose_parameters_are_there(
    params: dict[str, Any], algo: str
) -> None:
    assert entry(json.dumps({"activation_quant_params": params})).activation.act_algo == algo


def test_another_calibrator_has_its_own_parameters_and_none_by_default() -> None:
    text = '{"activation_quant_params": {"act_algo": "mine", "share": 0.99, "num_of_bins": 7}}'
    assert entry(text).activation.parameters == {"share": 0.99, "num_of_bins": 7}
    assert PtqActivation("mine").parameters == {}


@pytest.mark.parametrize(
    ("named", "said"),
    [({}, "act_algo is not given, so it is 'ifmr'."), ({"act_algo": "hfmg"}, "is 'hfmg'.")],
)
def test_a_parameter_of_a_plugins_calibrator_needs_its_name(
    named: dict[str, Any], said: str
) -> None:
    with pytest.raises(ConfigError) as error:
        entry(json.dumps({"activation_quant_params": {"shrink": 0.9, **named}}))
    assert "Unknown parameter shrink in activation_quant_params;" in str(error.value)
    assert "If it is a parameter of a plugin's calibrator, name that one: " in error.value.remedy
    assert error.value.remedy.endswith(said)


ACTIVATION, WEIGHT = "activation_quant_params", "weight_quant_params"


def in_activation(**params: Any) -> dict[str, Any]:
    return {"conv": {ACTIVATION: params}}


def in_weight(**params: Any) -> dict[str, Any]:
    return {"conv": {WEIGHT: params}}


FAULTS: list[tuple[dict[str, Any], str, str]] = [
    ({"version": 2}, "version", "The version must be 1."),
    ({"batch_num": 0}, "batch_num", "The batch_num must be greater than zero."),
    ({"skip_fusion_layers": "conv"}, "skip_fusion_layers", "expected a list of strings"),
    ({"batchnum": 1}, "batchnum", "batchnum is an invalid layer name or parameter."),
    ({"fakequant_precision_mode": "a"}, "fakequant_precision_mode", "other frameworks"),
    ({"conv": {"enable": True}}, "enable", "Unknown parameter enable;"),
    (in_activation(max=1.0), f"{ACTIVATION}.max", f"Unknown parameter max in {ACTIVATION};"),
    (in_activation(num_bits=8), f"{ACTIVATION}.num_bits", "other frameworks"),
    (in_activation(asymmetric=True), f"{ACTIVATION}.asymmetric", "other frameworks"),
    (
        in_activation(max_percentile=0.5),
        f"{ACTIVATION}.max_percentile",
        "The max_percentile must be greater than 0.5 and less than or equal to 1.0",
    ),
    (
        in_activation(min_percentile=1.1),
        f"{ACTIVATION}.min_percentile",
        "The min_percentile must be greater than 0.5 and less than or equal to 1.0",
    ),
    (in_activation(search_range=[1.0]), f"{ACTIVATION}.search_range", "expected two"),
    (in_activation(search_range=[0, 1]), f"{ACTIVATION}.search_range", "greater than zero"),
    (in_activation(search_range=[1, 1]), f"{ACTIVATION}.search_range", "less than search_range[1]"),
    (in_activation(search_step=0), f"{ACTIVATION}.search_step", "greater than zero"),
    (
        in_activation(search_step=0.61),
        f"{ACTIVATION}.search_step",
        "The search_step must be less than or equal to (search_range[1] - search_range[0])",
    ),
    (in_activation(search_step=1e-9), f"{ACTIVATION}.search_step", "expected at most 10000"),
    (in_activation(search_range=[0.7, 1e30]), f"{ACTIVATION}.search_step", "at most 10000"),
    (in_activation(num_of_bins=1000), f"{ACTIVATION}.num_of_bins", "1024, 2048, 4096, 8192"),
    (
        in_activation(num_of_bins=1024, search_step=0.1),
        f"{ACTIVATION}.num_of_bins",
        "search_step and num_of_bins can not appear at same time",
    ),
    (
        in_activation(act_algo="ifmr", num_of_bins=1024),
        f"{ACTIVATION}.num_of_bins",
        "num_of_bins is not valid param of quantize ifmr",
    ),
    (
        in_activation(act_algo="hfmg", search_step=0.1),
        f"{ACTIVATION}.search_step",
        "search_step is not valid param of quantize hfmg",
    ),
    (in_weight(wts_algo="nuq_quantize"), f"{WEIGHT}.wts_algo", "not offered"),
    (in_weight(num_steps=32), f"{WEIGHT}.num_steps", "is not valid param of quantize arq_quantize"),
    (in_weight(scale=1), f"{WEIGHT}.scale", f"Unknown parameter scale in {WEIGHT};"),
]


def failure(path: Path, text: str) -> ConfigError:
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        ptq_json.read(str(path))
    assert caught.value.file == str(path)
    return caught.value


@pytest.mark.parametrize(("changes", "field", "message"), FAULTS)
@pytest.mark.parametrize("enabled", [True, False])
def test_faults_name_file_layer_and_key_in_amcts_words(
    tmp_path: Path, changes: dict[str, Any], field: str, message: str, enabled: bool
) -> None:
    """What a layer's entry says is checked even where the layer is switched off."""
    if "conv" in changes:
        changes = {"conv": {"quant_enable": enabled, **changes["conv"]}}
    error = failure(tmp_path / "c.json", json.dumps(changes))
    assert error.field == field
    assert error.layer == ("conv" if "conv" in changes else None)
    assert message in str(error)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"do_fusion": 1}, "do_fusion"),
        ({"batch_num": True}, "batch_num"),
        ({"batch_num": 1.0}, "batch_num"),
        ({"conv": {"quant_enable": "true"}}, "quant_enable"),
        (in_activation(max_percentile="1"), f"{ACTIVATION}.max_percentile"),
        (in_activation(search_range=[0.7, True]), f"{ACTIVATION}.search_range"),
        (in_activation(act_algo="mine", share="all"), f"{ACTIVATION}.share"),
        (in_weight(channel_wise=1), f"{WEIGHT}.channel_wise"),
    ],
)
def test_a_value_of_the_wrong_type_is_also_a_type_error_as_in_amct(
    tmp_path: Path, changes: dict[str, Any], field: str
) -> None:
    error = failure(tmp_path / "c.json", json.dumps(changes))
    assert isinstance(error, TypeError)
    assert error.field == field


@pytest.mark.parametrize(
    "text",
    ['{"batch_num": 1, "batch_num": 1}', '{"c": {"quant_enable": true, "quant_enable": true}}'],
)
def test_a_key_that_is_there_twice_is_refused(tmp_path: Path, text: str) -> None:
    assert "twice" in str(failure(tmp_path / "c.json", text))


def test_the_faults_of_all_layers_are_told_together(tmp_path: Path) -> None:
    text = (
        '{"a": {"x": 1}, "b": {"quant_enable": true}, "c": {"activation_quant_params": {"y": 1}}}'
    )
    message = str(failure(tmp_path / "c.json", text))
    assert "there are 2 errors" in message
    assert "layer 'a', field 'x'" in message
    assert "layer 'c', field 'activation_quant_params.y'" in message


def test_each_fault_of_a_file_is_told(tmp_path: Path) -> None:
    activation = {"max_percentile": 5, "min_percentile": "a", "search_range": 1, "search_step": 9}
    weight = {"num_steps": 16, "num_of_iteration": 2, "channel_wise": 1, "x": 1}
    text = {
        "version": 2,
        "batch_num": 0,
        "do_fusion": "yes",
        "joint_quant": 1,
        "skip_fusion_layers": 1,
        "num_bits": 8,
        "a": {"p": 1, "q": 1, "quant_enable": 1, ACTIVATION: activation, WEIGHT: weight},
        "b": {ACTIVATION: {"act_algo": "mine", "asymmetric": True, "r": "s", "t": "u"}},
        "c": {ACTIVATION: {"act_algo": "hfmg", "search_step": 0.1, "max_percentile": 1}, WEIGHT: 1},
        "d": 1,
    }
    message = str(failure(tmp_path / "c.json", json.dumps(text)))
    assert "there are 23 errors" in message
    named = [line.split(": ")[0].split(", ", 1)[1] for line in message.splitlines()[1:]]
    assert len(set(named)) == 23  # each once; search_step is not compared with an unread range
    assert "layer 'a', field 'activation_quant_params.search_step'" not in named


def test_a_file_of_qat_is_refused_by_its_keys(tmp_path: Path) -> None:
    text = '{"version": 1, "conv1": {"retrain_enable": true}}'
    error = failure(tmp_path / "c.json", text)
    assert (error.layer, error.field) == ("conv1", "retrain_enable")


def test_a_layer_may_be_called_like_a_key_of_another_framework() -> None:
    assert ptq_json.parse('{"num_bits": {"quant_enable": true}}').layers["num_bits"].enabled
