"""A configuration of post-training quantization fits its network, or is refused."""

from __future__ import annotations

from typing import Any

import attrs
import numpy as np
import pytest

from amct_core.config import ptq_check, ptq_json
from amct_core.config.error_list import ErrorList
from amct_core.config.model import LayerFacts
from amct_core.config.network_layers import QuantizableLayers
from amct_core.config.ptq import PtqActivation, PtqConfig, PtqLayer, PtqWeight
from amct_core.errors import ConfigError
from amct_core.extensions import Calibrator, LayerType, Quantization
from amct_core.extensions.layer_type import WeightAxes
from amct_core.plugins import registries
from amct_core.ptq.observing import observer_for

FC = LayerType("InnerProduct", weights=WeightAxes(output=0), quantization=Quantization())
NETWORK = QuantizableLayers(
    supported={name: LayerFacts("InnerProduct", False, False, True) for name in ("fc1", "fc2")},
    unsupported={"odd": "transpose is true; expected false."},
    others=("relu",),
    types={"fc1": FC, "fc2": FC, "odd": FC, "relu": LayerType("ReLU")},
)


def checked(text: str, network: QuantizableLayers = NETWORK) -> PtqConfig:
    return ptq_check.check_all(ptq_json.parse(text, "c.json"), network, registries(), "c.json")


def test_layers_come_in_network_order_with_the_defaults_of_their_type() -> None:
    config = checked('{"fc2": {"quant_enable": true}, "fc1": {"quant_enable": true}}')
    assert list(config.layers) == ["fc1", "fc2"]
    assert config.layers["fc1"] == PtqLayer(True, weight=PtqWeight(channel_wise=False))


def test_a_layer_that_is_absent_is_not_quantized() -> None:
    assert list(checked('{"fc2": {"quant_enable": true}}').enabled) == ["fc2"]


@pytest.mark.parametrize("name", ["odd", "relu"])
def test_a_layer_that_cannot_be_quantized_may_be_listed_as_switched_off(name: str) -> None:
    config = checked(f'{{"fc1": {{"quant_enable": true}}, "{name}": {{"quant_enable": false}}}}')
    assert list(config.layers) == ["fc1"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"odd": {"quant_enable": true}}', "layer odd does not support quant. Transpose is true"),
        ('{"relu": {"quant_enable": true}}', "layer relu does not support quant."),
        ('{"fc3": {}}', "fc3 is an invalid layer name or parameter. Did you mean"),
        (
            '{"fc1": {"weight_quant_params": {"channel_wise": true}}}',
            "The channel_wise must be False for layer type InnerProduct",
        ),
        ('{"skip_fusion_layers": ["relu"]}', "type not in supported list"),
        ('{"fc1": {"activation_quant_params": {"act_algo": "imfr"}}}', "Did you mean 'ifmr'?"),
        ('{"fc1": {"weight_quant_params": {"wts_algo": "ada"}}}', "no weight algorithm 'ada'"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_file(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        checked(text)
    assert caught.value.file == "c.json"
    assert message in str(caught.value)


def test_everything_that_does_not_fit_is_told_together() -> None:
    with pytest.raises(ConfigError) as caught:
        checked('{"skip_fusion_layers": ["x"], "fc3": {}, "odd": {"quant_enable": true}}')
    assert "there are 3 errors" in str(caught.value)
    assert all(f"layer '{name}'" in str(caught.value) for name in ("x", "fc3", "odd"))


def test_the_faults_of_the_file_and_those_of_the_network_are_told_together() -> None:
    text = """{"batch_num": 0, "fc1": {"activation_quant_params": {"max_percentile": 5}},
               "fc2": {"activation_quant_params": {"act_algo": "imfr"},
                       "weight_quant_params": {"wts_algo": "ada"}}, "fc3": {}}"""
    errors = ErrorList()
    config = ptq_json.parse(text, "c.json", errors)
    ptq_check.find_faults(config, NETWORK, registries(), "c.json", errors)
    with pytest.raises(ConfigError, match="there are 5 errors"):
        errors.raise_all()


@pytest.mark.parametrize("text", ["{}", '{"fc1": {"quant_enable": false}}', '{"fc1": {}}'])
def test_a_config_that_enables_no_layer_is_also_a_runtime_error_as_in_amct(text: str) -> None:
    with pytest.raises(ConfigError, match="No quant enable layer in quant config file") as caught:
        checked(text)
    assert isinstance(caught.value, RuntimeError)


def test_a_layer_that_is_called_like_a_key_cannot_be_told_from_it() -> None:
    network = attrs.evolve(NETWORK, supported={**NETWORK.supported, "version": None})
    with pytest.raises(ConfigError, match="version is a global parameter, can not be a layer name"):
        checked("{}", network)


class TestParametersOfOtherCalibrators:
    @staticmethod
    def check(calibrate: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        known = registries().calibrators
        mine = Calibrator("mine", calibrate)
        monkeypatch.setattr(known, "_items", {**known._items, "mine": mine})
        activation = PtqActivation("mine", others=(("num_of_bins", 1024),))
        config = PtqConfig(layers={"fc1": PtqLayer(True, activation)})
        ptq_check.check_names(config, registries(), "c.json")

    def test_one_that_it_takes_is_accepted(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.check(lambda batches, *, num_of_bins=4096: (1.0, 0), monkeypatch)
        self.check(lambda batches, **parameters: (1.0, 0), monkeypatch)

    def test_one_that_it_does_not_take_is_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with pytest.raises(ConfigError, match="num_of_bins is not valid param of quantize mine"):
            self.check(lambda batches: (1.0, 0), monkeypatch)

    def test_those_of_a_class_are_checked_by_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        @attrs.frozen
        class Parameters:
            num_of_bins: int = attrs.field(default=64, validator=attrs.validators.lt(1000))

        known = registries().calibrators
        mine = Calibrator("mine", lambda batches, num_of_bins: (1.0, 0), parameters=Parameters)
        monkeypatch.setattr(known, "_items", {**known._items, "mine": mine})
        config = PtqConfig(
            layers={"fc1": PtqLayer(True, PtqActivation("mine", others=(("num_of_bins", 1024),)))}
        )
        with pytest.raises(ConfigError, match=r"num_of_bins.*1024, which the calibrator 'mine'"):
            ptq_check.check_names(config, registries(), "c.json")
        observer = observer_for(mine, {"with_offset": True, "num_of_bins": 32})
        observer.observe(np.zeros(3, np.float32))
        assert observer.result() == (1.0, 0)
