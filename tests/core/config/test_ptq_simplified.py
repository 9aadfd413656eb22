"""The simplified configuration of post-training quantization: what it means for a network."""

from __future__ import annotations

import logging

import pytest

from amct_core.config import ptq_application, ptq_simplified
from amct_core.config.model import LayerFacts
from amct_core.config.network_layers import QuantizableLayers
from amct_core.config.ptq import PtqActivation, PtqConfig, PtqWeight
from amct_core.errors import ConfigError
from amct_core.extensions import LayerType, Quantization
from amct_core.extensions.layer_type import WeightAxes

CONVOLUTION = LayerType(
    "Convolution",
    weights=WeightAxes(output=0),
    quantization=Quantization(default_channel_wise=True, channel_wise_allowed=True),
)
INNER_PRODUCT = LayerType("InnerProduct", weights=WeightAxes(output=0), quantization=Quantization())
POOLING = LayerType("Pooling", quantization=Quantization())
RELU = LayerType("ReLU")

TYPES = {
    each.name: each.quantization
    for each in (CONVOLUTION, INNER_PRODUCT, POOLING)
    if each.quantization is not None
}
CONV_FACTS = LayerFacts("Convolution", True, True, True)

NETWORK = QuantizableLayers(
    supported={
        "conv1": CONV_FACTS,
        "conv2": CONV_FACTS,
        "pool": LayerFacts("Pooling", False, False, False),
        "fc": LayerFacts("InnerProduct", False, False, True),
    },
    unsupported={"max": "its pooling method is MAX; expected AVE."},
    others=("relu",),
    types={
        "conv1": CONVOLUTION,
        "conv2": CONVOLUTION,
        "relu": RELU,
        "max": POOLING,
        "pool": POOLING,
        "fc": INNER_PRODUCT,
    },
)

SAMPLE_WITHOUT_NUQ = """
# global quantize parameter
activation_offset : true
batch_num : 2
common_config : {
    ifmr_quantize : { search_range_start : 0.8 search_range_end : 1.2 search_step : 0.02 }
}
override_layer_types : {
    layer_type : "Pooling"
    calibration_config : {
        arq_quantize : { channel_wise : false }
        ifmr_quantize : { max_percentile : 0.99 }
    }
}
"""
"""The forms of AMCT's sample: a colon and a blank before messages, ARQ for a Pooling."""


def applied(text: str, network: QuantizableLayers = NETWORK) -> PtqConfig:
    return ptq_application.apply(ptq_simplified.from_text(text, "quant.cfg"), network, TYPES)


def test_nothing_said_is_the_default_for_every_layer_in_network_order() -> None:
    config = applied("")
    assert list(config.layers) == list(NETWORK.supported)
    assert (config.batch_num, config.activation_offset, config.do_fusion) == (1, True, True)
    assert all(each.enabled for each in config.layers.values())
    assert {each.activation for each in config.layers.values()} == {PtqActivation()}
    assert config.layers["conv1"].weight == PtqWeight(channel_wise=True)
    assert config.layers["fc"].weight == PtqWeight(channel_wise=False)
    assert config.layers["pool"].weight is None


def test_the_forms_of_amcts_sample_are_read() -> None:
    config = applied(SAMPLE_WITHOUT_NUQ)
    assert config.batch_num == 2
    assert config.layers["conv1"].activation == PtqActivation(
        search_range=(0.8, 1.2), search_step=0.02
    )
    assert config.layers["pool"].activation == PtqActivation(max_percentile=0.99)


def test_the_whole_is_as_the_file_says() -> None:
    config = applied(
        "batch_num: 3 activation_offset: false joint_quant: true do_fusion: false "
        'skip_fusion_layers: "conv1" skip_fusion_layers: "fc"'
    )
    assert (config.batch_num, config.activation_offset, config.joint_quant) == (3, False, True)
    assert (config.do_fusion, config.skip_fusion_layers) == (False, ("conv1", "fc"))


def test_numbers_are_those_that_are_written() -> None:
    """A protobuf float of 0.7 is 0.699999988 as a double; the JSON says 0.7."""
    text = "common_config { ifmr_quantize { search_range_start: 0.7 max_percentile: 0.999999 } }"
    activation = applied(text).layers["conv1"].activation
    assert (activation.search_range, activation.max_percentile) == ((0.7, 1.3), 0.999999)


def test_a_layer_counts_before_its_type_and_that_before_the_common_config() -> None:
    config = applied(
        "common_config { ifmr_quantize { search_step: 0.03 } }"
        'override_layer_types { layer_type: "Convolution" '
        "  calibration_config { ifmr_quantize { search_step: 0.02 } } }"
        'override_layer_configs { layer_name: "conv2" '
        "  calibration_config { hfmg_quantize { num_of_bins: 2048 } } }"
    )
    steps = {name: each.activation.search_step for name, each in config.layers.items()}
    assert (steps["fc"], steps["conv1"]) == (0.03, 0.02)
    assert config.layers["conv2"].activation == PtqActivation("hfmg", num_of_bins=2048)


def test_an_override_replaces_the_common_config_as_a_whole_and_the_log_says_so(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.INFO):
        config = applied(
            "common_config { ifmr_quantize { search_step: 0.03 } }"
            'override_layer_types { layer_type: "Convolution" '
            "  calibration_config { arq_quantize { channel_wise: false } } }"
        )
    assert config.layers["conv1"].weight == PtqWeight(channel_wise=False)
    assert config.layers["conv1"].activation == PtqActivation()
    assert "override_layer_types 'Convolution' says nothing of the activations" in caplog.text


def test_common_channel_wise_holds_where_it_is_allowed(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        config = applied("common_config { arq_quantize { channel_wise: true } }")
    assert config.layers["conv1"].weight == PtqWeight(channel_wise=True)
    assert config.layers["fc"].weight == PtqWeight(channel_wise=False)
    assert "layer 'fc' has one scale" in caplog.text


def test_skipped_layers_and_types_are_listed_and_switched_off() -> None:
    config = applied('skip_layers: "conv1" skip_layer_types: "Pooling"')
    assert list(config.layers) == list(NETWORK.supported)
    assert list(config.enabled) == ["conv2", "fc"]


def test_a_layer_that_never_qualified_may_be_skipped() -> None:
    assert "max" not in applied('skip_layers: "max"').layers


def test_other_calibrators_and_weight_algorithms_are_named() -> None:
    config = applied('common_config { act_algo: "mse" wts_algo: "my_algo" }')
    assert config.layers["conv1"].activation == PtqActivation("mse")
    assert config.layers["conv1"].weight == PtqWeight("my_algo", True)


def test_an_override_of_a_type_that_the_network_lacks_is_accepted() -> None:
    without_pooling = QuantizableLayers({"conv1": CONV_FACTS}, {}, (), {"conv1": CONVOLUTION})
    assert applied(SAMPLE_WITHOUT_NUQ, without_pooling).layers.keys() == {"conv1"}


class TestDeprecatedMessages:
    TEXT = (
        "conv_calibration_config { ifmr_quantize { search_step: 0.02 } }"
        "fc_calibration_config { ifmr_quantize { search_step: 0.03 } }"
    )

    def test_they_are_for_convolutions_and_for_the_rest(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        with caplog.at_level(logging.INFO):
            config = applied(self.TEXT)
        steps = {name: each.activation.search_step for name, each in config.layers.items()}
        assert steps == {"conv1": 0.02, "conv2": 0.02, "pool": 0.03, "fc": 0.03}
        assert "conv_calibration_config field has been deprecated" in caplog.text

    def test_they_are_ignored_with_a_warning_beside_the_others(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        with caplog.at_level(logging.WARNING):
            config = applied(self.TEXT + "common_config { }")
        assert {each.activation for each in config.layers.values()} == {PtqActivation()}
        message = "field would be ignored when common_config or override_layer_types exists"
        assert f"fc_calibration_config {message}" in caplog.text

    def test_by_channels_is_for_convolutions_alone(self) -> None:
        with pytest.raises(ConfigError, match="only be False for fc_calibration_config field"):
            applied("fc_calibration_config { arq_quantize { channel_wise: true } }")


def override(key: str, name: str, calibration: str) -> str:
    field = "override_layer_types" if key == "layer_type" else "override_layer_configs"
    return f'{field} {{ {key}: "{name}" calibration_config {{ {calibration} }} }}'


PER_CHANNEL = "arq_quantize { channel_wise: true }"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('skip_layers: "cnv1"', "Layer cnv1 does not exist in the graph. Did you mean 'conv1'?"),
        ('skip_layers: "relu"', "Layer relu does not support quantization."),
        ('skip_layer_types: "ReLU"', "Layer type ReLU does not support quantize."),
        ('skip_layers: "fc" skip_layers: "fc"', "Please delete repeated items in skip_layers"),
        (
            'skip_layer_types: "Pooling" skip_layer_types: "Pooling"',
            "Please delete repeated items in skip_layer_types",
        ),
        (
            'skip_fusion_layers: "fc" skip_fusion_layers: "fc"',
            "Please delete repeated items in skip_fusion_layers",
        ),
        (override("layer_type", "Pooling", "") * 2, "delete repeated items in override_layer_type"),
        (override("layer_name", "fc", "") * 2, "delete repeated items in override_layer_configs"),
        (override("layer_name", "x", ""), "Layer x does not exist in the graph."),
        (override("layer_name", "max", ""), "its pooling method is MAX"),
        (override("layer_type", "ReLU", ""), "Layer type ReLU does not support quantize."),
        (
            override("layer_type", "InnerProduct", PER_CHANNEL),
            "channel_wise can only be False for InnerProduct type",
        ),
        (
            override("layer_name", "fc", PER_CHANNEL),
            "channel_wise can only be False for fc layer",
        ),
        ('override_layer_types { layer_type: "Pooling" }', "missing, and required"),
        ("override_layer_configs { calibration_config { } }", "it is missing"),
        (
            'skip_fusion_layers: "x"',
            'Layer "x" in skip_fusion_layers does not exist in the graph.',
        ),
        (
            'skip_fusion_layers: "pool"',
            'Skip fusion layer "pool"\'s type not in supported list',
        ),
        (
            'skip_layer_types: "Convolution" skip_layer_types: "Pooling" skip_layers: "fc"',
            "Except skip_layers and skip_layer_types, no layer needs to quantize.",
        ),
        ("batch_num: 0", "The batch_num must be greater than zero."),
        (
            "common_config { ifmr_quantize { max_percentile: 0.5 } }",
            "The max_percentile must be greater than 0.5",
        ),
        ("common_config { hfmg_quantize { num_of_bins: 7 } }", "1024, 2048, 4096, 8192"),
        (
            "common_config { ifmr_quantize { } hfmg_quantize { } }",
            "ifmr_quantize and hfmg_quantize can not appear at same time",
        ),
        ("common_config { ada_quantize { } }", "unknown field"),
        ("retrain_data_quant_config { }", "unknown field"),
        ('nuq_config { mapping_file: "om.json" }', "non-uniform quantization is not offered"),
        (
            "common_config { nuq_quantize { num_steps: 32 } }",
            "non-uniform quantization is not offered",
        ),
    ],
)
def test_faults_name_the_file_and_say_what_amct_says(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        applied(text)
    assert caught.value.file == "quant.cfg"
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("batch_num: 1 batch_num: 2", "batch_num"),
        ("batch_num: [1, 2]", "batch_num"),
        ("common_config { } common_config { }", "common_config"),
        (
            "common_config { ifmr_quantize { search_step: 0.1 search_step: 0.1 } }",
            "common_config.ifmr_quantize.search_step",
        ),
    ],
)
def test_a_single_field_that_is_there_twice_is_refused_as_protobuf_does(
    text: str, field: str
) -> None:
    with pytest.raises(ConfigError, match="there twice; expected one value") as caught:
        ptq_simplified.from_text(text, "quant.cfg")
    assert (caught.value.file, caught.value.field) == ("quant.cfg", field)
