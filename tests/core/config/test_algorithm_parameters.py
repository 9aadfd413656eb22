"""The parameters of algorithms in a config: written, read, changed and compared."""

from __future__ import annotations

import json
from typing import Any, Dict

import attrs
import pytest
from attrs.validators import gt

from amct_core.config import forms, json_format
from amct_core.config.algorithm_parameters import with_parameters
from amct_core.config.assignments import parse as assignment
from amct_core.config.check import check_names
from amct_core.config.edits import Edits
from amct_core.config.model import (
    ActivationConfig,
    LayerConfig,
    LayerFacts,
    QatConfig,
    WeightConfig,
)
from amct_core.config.network_layers import QuantizableLayers
from amct_core.differences.compare import compare
from amct_core.differences.flat import flat_qat
from amct_core.errors import ConfigError
from amct_core.extensions import (
    ActivationAlgorithm,
    Calibrator,
    LayerType,
    ShiftSearch,
    WeightAlgorithm,
)
from amct_core.hookspecs import hookimpl
from amct_core.plugins import Registries, create_host


@attrs.frozen
class Parameters:
    rate: float = attrs.field(default=1.0, validator=gt(0.0))


class Plugin:
    @hookimpl
    def amct_activation_algorithms(self) -> Any:
        return [ActivationAlgorithm("mine", min, min, min, parameters=Parameters)]

    @hookimpl
    def amct_weight_algorithms(self) -> Any:
        return [WeightAlgorithm("mine", min, min, parameters=Parameters)]

    @hookimpl
    def amct_calibrators(self) -> Any:
        return [Calibrator("mine", min, parameters=Parameters)]

    @hookimpl
    def amct_shift_searches(self) -> Any:
        return [ShiftSearch("mine", parameters=Parameters)]


@pytest.fixture(scope="module")
def plugins() -> Registries:
    host = create_host([])
    host.manager.register(Plugin(), "plugin")
    return Registries(host)


ALL = QatConfig(
    shift_n_algo="mine",
    layers={
        "conv": LayerConfig(
            activation=ActivationConfig(algo="mine", init_algo="mine"), weight=WeightConfig("mine")
        )
    },
)
PLACES = (
    ("shift_n_algo_parameters",),
    ("conv", "retrain_data_config", "algo_parameters"),
    ("conv", "retrain_data_config", "init_algo_parameters"),
    ("conv", "retrain_weight_config", "algo_parameters"),
)


def at(document: Dict[str, Any], place: Any) -> Any:
    for key in place:
        document = document[key]
    return document


def test_the_file_has_them_beside_the_algorithm_and_with_defaults(plugins: Registries) -> None:
    config = with_parameters(ALL, plugins, None)
    document = json.loads(json_format.format_config(config))
    assert [at(document, place) for place in PLACES] == [{"rate": 1.0}] * 4
    assert json_format.parse(json.dumps(document)) == config


def test_a_file_without_such_algorithms_is_what_it_was(plugins: Registries) -> None:
    config = QatConfig(layers={"conv": LayerConfig()})
    assert with_parameters(config, plugins, None) == config
    assert "parameters" not in json_format.format_config(config)


@pytest.mark.parametrize("place", PLACES, ids=lambda place: ".".join(place))
@pytest.mark.parametrize("value", [-1.0, "fast", None], ids=str)
def test_a_wrong_value_is_told_with_its_place(plugins: Registries, place: Any, value: Any) -> None:
    document = json.loads(json_format.format_config(with_parameters(ALL, plugins, None)))
    at(document, place)["rate"] = value
    config = json_format.parse(json.dumps(document), "c.json")
    with pytest.raises(ConfigError, match="'mine'") as caught:
        check_names(config, plugins, "c.json")
    layer = place[0] if len(place) > 1 else None
    key = ".".join(place[-2:] if layer else place)
    assert (caught.value.file, caught.value.layer) == ("c.json", layer)
    assert caught.value.field == f"{key}.rate"


@pytest.mark.parametrize("value", [3, [1.0], "rate"])
def test_parameters_are_an_object(value: Any) -> None:
    text = json.dumps({"conv": {"retrain_data_config": {"algo_parameters": value}}})
    with pytest.raises(ConfigError, match="expected an object"):
        json_format.parse(text, "c.json")


def test_two_configs_differ_by_parameter(plugins: Registries) -> None:
    first = with_parameters(ALL, plugins, None)
    entry = first.layers["conv"]
    activation = attrs.evolve(entry.activation, algo_parameters={"rate": 2.0})
    second = first.with_layers({"conv": attrs.evolve(entry, activation=activation)})
    found = compare(flat_qat(first), flat_qat(second)).layers["conv"]
    key = "retrain_data_config.algo_parameters.rate"
    assert [(each.key, each.first, each.second) for each in found] == [(key, 1.0, 2.0)]


FACTS = {"conv": LayerFacts("Convolution", True, True, True)}


def changed(plugins: Registries, config: QatConfig, *said: str) -> QatConfig:
    edits = Edits(assignments=tuple(assignment(each, forms.QAT.keys) for each in said))
    layers = QuantizableLayers(FACTS, {}, (), {"conv": LayerType("Convolution")})

    def check(config: QatConfig) -> QatConfig:
        check_names(config, plugins, None)
        return with_parameters(config, plugins, None)

    return edits.apply(config, layers, forms.QAT, check)


def test_another_algorithm_forgets_the_parameters_of_the_old_one(plugins: Registries) -> None:
    config = with_parameters(ALL, plugins, None)
    other = changed(
        plugins,
        config,
        'conv.retrain_data_config.algo="ulq_quantize"',
        'conv.retrain_weight_config.algo="arq_retrain"',
        'shift_n_algo="none"',
    )
    entry = other.layers["conv"]
    assert entry.activation.algo_parameters == {}
    assert entry.activation.init_algo_parameters == {"rate": 1.0}  # that one stays
    assert entry.weight is not None and entry.weight.algo_parameters == {}
    assert other.shift_n_algo_parameters == {}


def test_one_is_set_from_the_command_line_whatever_the_order(plugins: Registries) -> None:
    plain = QatConfig(layers={"conv": LayerConfig()})
    config = changed(
        plugins,
        plain,
        "conv.retrain_data_config.algo_parameters.rate=2",
        "conv.retrain_data_config.algo=mine",
    )
    assert config.layers["conv"].activation.algo_parameters == {"rate": 2.0}
