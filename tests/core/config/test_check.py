"""A configuration of training fits its network, the plugins, and the model made with it."""

from __future__ import annotations

from typing import Any, Mapping, Optional

import attrs
import pytest

from amct_core.config import check as checks
from amct_core.config.model import (
    ActivationConfig,
    LayerConfig,
    LayerFacts,
    QatConfig,
    WeightConfig,
    default_config,
    resolved_layer,
)
from amct_core.errors import ConfigError
from amct_core.extensions import LayerType
from amct_core.plugins import registries

FACTS = {
    "conv": LayerFacts("Convolution", True, True, True),
    "pool": LayerFacts("Pooling", False, False, False),
    "fc": LayerFacts("InnerProduct", False, False, True),
}
REASONS = {"odd": "transpose is true; expected false.", "far_away": "it is far away."}
OFF = LayerConfig(retrain_enable=False)


def checked(layers: Mapping[str, LayerConfig], facts: Any = FACTS) -> QatConfig:
    return checks.check(QatConfig(batch_num=7, layers=dict(layers)), facts, REASONS, "c.json")


def test_layers_come_in_network_order_with_the_defaults_of_their_type() -> None:
    config = checked({name: LayerConfig() for name in ("fc", "pool", "conv")})
    assert list(config.layers) == ["conv", "pool", "fc"]
    assert config.batch_num == 7
    assert config.layers["conv"].weight == WeightConfig(channel_wise=True)
    assert config.layers["fc"].weight == WeightConfig(channel_wise=False)
    assert config.layers["pool"].weight is None
    assert config == attrs.evolve(default_config(FACTS), batch_num=7)


def test_a_layer_that_is_not_there_stays_away() -> None:
    assert list(checked({"fc": LayerConfig()}).layers) == ["fc"]


def test_a_layer_without_a_weight_section_gets_the_defaults() -> None:
    found = resolved_layer(LayerConfig(weight=None), FACTS["conv"])
    assert found.weight == WeightConfig(channel_wise=True)
    said = resolved_layer(LayerConfig(weight=WeightConfig(channel_wise=False)), FACTS["conv"])
    assert said.weight == WeightConfig(channel_wise=False)


def test_layers_are_enabled_unless_they_say_otherwise() -> None:
    config = QatConfig(layers={"a": LayerConfig(), "b": OFF})
    assert list(config.enabled) == ["a"]


def test_a_layer_that_cannot_be_quantized_may_be_switched_off_but_not_on() -> None:
    assert list(checked({"odd": OFF, "fc": LayerConfig()}).layers) == ["fc"]
    with pytest.raises(ConfigError, match="cannot be quantized: transpose is true") as caught:
        checked({"odd": LayerConfig()})
    assert (caught.value.file, caught.value.layer) == ("c.json", "odd")


@pytest.mark.parametrize("layer", [OFF, LayerConfig()])
@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("convo", "Did you mean 'conv'?"),
        ("far_awry", "Did you mean 'far_away'?"),
        ("zzzzzzzz", "Remove its entry."),
    ],
)
def test_a_name_that_the_network_does_not_have_is_refused(
    layer: LayerConfig, name: str, remedy: str
) -> None:
    with pytest.raises(ConfigError, match="no layer of this name") as caught:
        checked({name: layer})
    assert (caught.value.layer, caught.value.remedy) == (name, remedy)


def test_channel_wise_is_refused_where_the_type_has_one_scale() -> None:
    wise = LayerConfig(weight=WeightConfig(channel_wise=True))
    assert checked({"conv": wise}).layers["conv"] == wise
    with pytest.raises(ConfigError, match="InnerProduct layers have one scale") as caught:
        checked({"fc": wise})
    assert caught.value.field == "retrain_weight_config.channel_wise"
    # Not even of a layer that is switched off.
    with pytest.raises(ConfigError, match="expected false"):
        checked({"fc": attrs.evolve(wise, retrain_enable=False)})


def _named(
    data: Optional[Mapping[str, Any]] = None,
    weight: Optional[WeightConfig] = None,
    **whole: Any,
) -> QatConfig:
    layer = LayerConfig(activation=ActivationConfig(**(data or {})), weight=weight)
    return QatConfig(layers={"conv": layer}, **whole)


@pytest.mark.parametrize(
    ("config", "layer", "field"),
    [
        (_named(shift_n_algo="mine"), None, "shift_n_algo"),
        (_named(deploy_backend="mine"), None, "deploy_backend"),
        (_named({"algo": "mine"}), "conv", "retrain_data_config.algo"),
        (_named({"init_algo": "mine"}), "conv", "retrain_data_config.init_algo"),
        (_named(weight=WeightConfig("mine")), "conv", "retrain_weight_config.algo"),
    ],
)
def test_a_plugin_that_is_not_there_is_told_with_its_place(
    config: QatConfig, layer: Optional[str], field: str
) -> None:
    with pytest.raises(ConfigError, match="'mine'") as caught:
        checks.check_names(config, registries(), "c.json")
    assert (caught.value.file, caught.value.layer, caught.value.field) == ("c.json", layer, field)


def test_plugins_that_are_there_are_accepted() -> None:
    for backend in (None, "ascend"):
        config = _named(weight=WeightConfig(), deploy_backend=backend)
        checks.check_names(config, registries(), "c.json")


def test_a_calibrator_that_compares_others_is_none_for_training() -> None:
    choosing = [each.name for each in registries().calibrators if each.chooses]
    assert choosing
    for name in choosing:
        with pytest.raises(ConfigError, match="for post-training quantization") as caught:
            checks.check_names(_named({"init_algo": name}), registries(), "c.json")
        assert (caught.value.layer, caught.value.field) == ("conv", "retrain_data_config.init_algo")


CONV, POOL = (registries().layer_type(name) for name in ("Convolution", "Pooling"))


def inserted(
    config: QatConfig, types: Mapping[str, LayerType], shift_n_algo: str = "search_n_v2"
) -> None:
    checks.check_inserted(config, types, shift_n_algo, registries(), "c.json")


def test_the_config_of_a_modified_model_enables_what_was_inserted() -> None:
    config = QatConfig(layers={"conv": LayerConfig(), "pool": OFF})
    inserted(config, {"conv": CONV})
    with pytest.raises(ConfigError, match="'conv' is enabled but was not inserted"):
        inserted(config, {})
    with pytest.raises(ConfigError, match="'pool' was inserted but is not enabled") as caught:
        inserted(config, {"conv": CONV, "pool": POOL})
    assert caught.value.file == "c.json"


def test_the_search_for_n_is_that_of_the_config_where_anything_is_searched() -> None:
    conv = QatConfig(layers={"conv": LayerConfig()})
    with pytest.raises(ConfigError, match="'search_n_v2' but 'none' was inserted"):
        inserted(conv, {"conv": CONV}, "none")
    inserted(attrs.evolve(conv, shift_n_algo="none"), {"conv": CONV}, "none")
    pool = QatConfig(layers={"pool": LayerConfig()})
    inserted(pool, {"pool": POOL}, "none")
