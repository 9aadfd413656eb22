"""The simplified configuration of training: what is read, what comes first, what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from amct_core.config import simplified
from amct_core.config.model import ActivationConfig, LayerFacts, QatConfig, WeightConfig
from amct_core.errors import ConfigError, FileFormatError

FACTS = {
    "conv1": LayerFacts("Convolution", True, True, True),
    "conv2": LayerFacts("Convolution", True, True, True),
    "pool": LayerFacts("Pooling", False, False, False),
    "fc": LayerFacts("InnerProduct", False, False, True),
}
REASONS = {"odd": "transpose is true; expected false."}
GLOBAL = """
retrain_data_quant_config { ulq_quantize { clip_max_min { clip_max: 6 clip_min: -6 } } }
retrain_weight_quant_config { arq_retrain { channel_wise: true } }
"""


def read(text: str) -> simplified.SimplifiedConfig:
    return simplified.from_text(text, "quant.cfg")


def applied(text: str) -> QatConfig:
    return simplified.apply(read(GLOBAL + text), FACTS, REASONS)


def test_what_is_said_of_the_whole_network_is_read() -> None:
    text = 'batch_num: 3 batch_norm: "fold" shift_n_algo: "none" deploy_backend: "ascend"'
    config = applied(text)
    assert (config.batch_num, config.batch_norm) == (3, "fold")
    assert (config.shift_n_algo, config.deploy_backend) == ("none", "ascend")


def test_what_is_not_said_is_the_default_of_the_full_configuration() -> None:
    found = read("retrain_data_quant_config { } retrain_weight_quant_config { }")
    assert (found.whole, found.skip_layers) == (QatConfig(), ())
    assert (found.activation, found.weight) == (ActivationConfig(), WeightConfig())


@pytest.mark.parametrize("message", ["ulq_quantize", "arq_retrain"])
def test_nothing_but_int8_is_offered(message: str) -> None:
    with pytest.raises(ConfigError, match=rf"{message}\.dst_type': it is INT4; expected INT8"):
        read(with_dst_type(message, "INT4"))
    assert read(with_dst_type(message, "INT8")) == read(with_dst_type("none", "INT8"))


def with_dst_type(message: str, value: str) -> str:
    said = dict.fromkeys(("ulq_quantize", "arq_retrain"), "")
    said[message] = f"dst_type: {value}"
    return (
        f"retrain_data_quant_config {{ ulq_quantize {{ {said['ulq_quantize']} }} }} "
        f"retrain_weight_quant_config {{ arq_retrain {{ {said['arq_retrain']} }} }}"
    )


def test_a_file_is_read_with_its_name(tmp_path: Path) -> None:
    path = tmp_path / "my.cfg"
    path.write_text(GLOBAL)
    assert simplified.read(str(path)).file == str(path)
    path.write_text("batch_num: {")
    with pytest.raises(FileFormatError, match=r"my\.cfg"):
        simplified.read(str(path))


def test_every_layer_gets_the_global_configuration_in_network_order() -> None:
    layers = applied("").layers
    assert list(layers) == list(FACTS)
    assert {layer.activation.clip_max for layer in layers.values()} == {6.0}
    assert {layer.activation.clip_min for layer in layers.values()} == {-6.0}
    assert all(layer.retrain_enable for layer in layers.values())


def test_a_global_channel_wise_holds_where_the_type_allows_it() -> None:
    layers = applied("").layers
    assert layers["conv1"].weight == WeightConfig(channel_wise=True)
    assert layers["fc"].weight == WeightConfig(channel_wise=False)
    assert layers["pool"].weight is None


@pytest.mark.parametrize("field", ["skip_layers", "quant_skip_layers"])
def test_skipped_layers_are_switched_off(field: str) -> None:
    config = applied(f'{field}: "conv2" {field}: "fc"')
    assert list(config.enabled) == ["conv1", "pool"]


def test_a_layer_that_cannot_be_quantized_may_be_skipped() -> None:
    assert list(applied('skip_layers: "odd"').enabled) == list(FACTS)


DATA = "retrain_data_quant_config { ulq_quantize { fixed_min: true } }"
WEIGHT = 'retrain_weight_quant_config { arq_retrain { channel_wise: false } algo: "mine" }'


def test_an_override_of_a_type_replaces_what_it_says_and_no_more() -> None:
    layers = applied(f'override_layer_types {{ layer_type: "Convolution" {DATA} }}').layers
    assert layers["conv1"].activation == layers["conv2"].activation
    assert layers["conv1"].activation == ActivationConfig(fixed_min=True)
    assert layers["conv1"].weight == WeightConfig(channel_wise=True)
    assert layers["fc"].activation.clip_max == 6.0
    layers = applied(f'override_layer_types {{ layer_type: "Convolution" {WEIGHT} }}').layers
    assert layers["conv1"].activation.clip_max == 6.0
    assert layers["conv1"].weight == WeightConfig("mine", False)
    assert layers["fc"].weight == WeightConfig(channel_wise=False)


def test_an_override_of_a_layer_comes_before_that_of_its_type() -> None:
    other = 'retrain_weight_quant_config { algo: "other" }'
    layers = applied(
        f'override_layer_configs {{ layer_name: "conv2" {other} }}'
        f'override_layer_types {{ layer_type: "Convolution" {DATA} {WEIGHT} }}'
    ).layers
    assert layers["conv1"].weight == WeightConfig("mine", False)
    assert layers["conv2"].weight == WeightConfig("other", True)
    assert layers["conv2"].activation == ActivationConfig(fixed_min=True)


def test_a_channel_wise_that_is_said_of_a_layer_itself_must_be_allowed() -> None:
    text = 'override_layer_configs { layer_name: "fc" retrain_weight_quant_config { '
    with pytest.raises(ConfigError, match=r"'fc'.*channel_wise.*expected false"):
        applied(text + "arq_retrain { channel_wise: true } } }")
    explicit = applied(text + "arq_retrain { channel_wise: false } } }")
    assert explicit.layers["fc"].weight == WeightConfig(channel_wise=False)


@pytest.mark.parametrize(
    ("text", "field", "words"),
    [
        ('skip_layers: "conv3"', "skip_layers", "no layer of this name"),
        (
            f'override_layer_configs {{ layer_name: "conv3" {DATA} }}',
            "override_layer_configs",
            "no layer of this name",
        ),
        (
            f'override_layer_configs {{ layer_name: "odd" {DATA} }}',
            "override_layer_configs",
            "transpose is true",
        ),
        (
            f'override_layer_types {{ layer_type: "Deconvolution" {DATA} }}',
            "override_layer_types",
            "expected one of Convolution, InnerProduct, Pooling",
        ),
    ],
)
def test_names_that_the_network_does_not_have_are_refused(
    text: str, field: str, words: str
) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        applied(text)
    assert (caught.value.file, caught.value.field) == ("quant.cfg", field)


@pytest.mark.parametrize("name", ["ulq_quantize", "ActULQquantize"])
def test_the_data_configuration_has_amcts_two_names(name: str) -> None:
    inner = "clip_max_min { clip_max: 2 clip_min: -1 } fixed_min: true"
    found = read(
        f'retrain_data_quant_config {{ {name} {{ {inner} }} algo: "a" init_algo: "i" '
        "clip_lr_mult: 0.5 } retrain_weight_quant_config { }"
    )
    assert found.activation == ActivationConfig("a", 2.0, -1.0, True, "i", 0.5)


def _data(text: str) -> str:
    return f"retrain_data_quant_config {{ {text} }} retrain_weight_quant_config {{ }}"


def _clips(text: str) -> str:
    return _data(f"ulq_quantize {{ clip_max_min {{ {text} }} }}")


@pytest.mark.parametrize(
    ("text", "field", "words"),
    [
        (GLOBAL + "batch_num: 0", "batch_num", "integer above 0"),
        (GLOBAL + 'batch_norm: "train"', "batch_norm", "it is 'train'"),
        (GLOBAL + 'skip_layer_types: "Pooling"', "skip_layer_types", "cannot be skipped"),
        (GLOBAL + 'quant_skip_types: "Pooling"', "quant_skip_types", "cannot be skipped"),
        (GLOBAL + "batch_nums: 1", "batch_nums", "unknown field"),
        ("retrain_weight_quant_config { }", "retrain_data_quant_config", "missing"),
        ("retrain_data_quant_config { }", "retrain_weight_quant_config", "missing"),
        (_data("ulq { }"), "ulq", "unknown field"),
        (_data("ulq_quantize { clip: 1 }"), "clip", "unknown field"),
        (_clips("clip_top: 1"), "clip_top", "unknown field"),
        (_clips("clip_max: 1"), "clip_max_min", "both required"),
        (_clips("clip_min: -1"), "clip_max_min", "both required"),
        (_clips("clip_max: -2 clip_min: -1"), "clip_max", "larger than 0"),
        (_clips("clip_max: 2 clip_min: 1"), "clip_min", "less than 0"),
        (_data("clip_lr_mult: -1"), "clip_lr_mult", "at least 0"),
        (
            "retrain_data_quant_config { } retrain_weight_quant_config { ulq { } }",
            "ulq",
            "unknown field",
        ),
        (
            "retrain_data_quant_config { } retrain_weight_quant_config { arq_retrain { x: 1 } }",
            "x",
            "unknown field",
        ),
    ],
)
def test_what_is_wrong_in_the_file_is_refused(text: str, field: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        read(text)
    assert caught.value.file == "quant.cfg"
    assert field in str(caught.value.field)
