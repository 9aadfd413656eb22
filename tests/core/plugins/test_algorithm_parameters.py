"""Parameters of algorithms: an attrs class says names, types, ranges and defaults."""

from __future__ import annotations

import json
from typing import Any, Mapping, Optional, Tuple

import attrs
import numpy as np
import pytest
from attrs.validators import gt, in_, optional

from amct_core.contracts.activations import CheckedActivation
from amct_core.errors import ConfigError, ConfigTypeError, PluginError
from amct_core.extensions import (
    ActivationAlgorithm,
    Calibrator,
    LearnedParameter,
    ShiftSearch,
    StateVariable,
    WeightAlgorithm,
)
from amct_core.extensions.parameters import as_json, fields_of, read_parameters
from amct_core.plugins import registries


@attrs.frozen
class Parameters:
    rate: float = attrs.field(validator=gt(0.0))
    mode: str = attrs.field(default="fast", validator=in_(("fast", "slow")))
    steps: int = 3
    limit: Optional[float] = attrs.field(default=None, validator=optional(gt(0.0)))
    span: Tuple[float, float] = (0.5, 2.0)

    def __attrs_post_init__(self) -> None:
        if self.span[0] > self.span[1]:
            raise ValueError("the first end of span must not be above the second.")


def read(values: Mapping[str, Any]) -> Any:
    return read_parameters(
        Parameters,
        json.loads(json.dumps(values)),
        "activation algorithm 'mine'",
        file="c.json",
        layer="conv1",
        key="retrain_data_config.algo_parameters",
    )


def test_what_json_says_is_what_the_class_holds_and_the_rest_is_default() -> None:
    assert read({"rate": 2, "span": [1, 3]}) == Parameters(2.0, span=(1.0, 3.0))
    assert isinstance(read({"rate": 2}).rate, float)
    assert read({"rate": 0.5, "limit": 4}).limit == 4.0


def test_all_of_them_are_written_with_their_defaults() -> None:
    expected = {"rate": 0.5, "mode": "fast", "steps": 3, "limit": None, "span": [0.5, 2.0]}
    assert as_json(read({"rate": 0.5})) == expected
    assert read(expected) == Parameters(0.5)


@pytest.mark.parametrize(
    ("values", "field", "said"),
    [
        ({"rate": 1.0, "rates": 2.0}, ".rates", "expected one of rate, mode, steps, limit, span"),
        ({"steps": 2}, ".rate", "it is missing; the activation algorithm 'mine' needs it (float)"),
        ({"rate": "fast"}, ".rate", "it is 'fast'; the activation algorithm 'mine' expects float"),
        ({"rate": True}, ".rate", "it is True; the activation algorithm 'mine' expects float"),
        ({"rate": 1.0, "steps": 2.5}, ".steps", "it is 2.5; the activation algorithm 'mine' expe"),
        ({"rate": 1.0, "span": [1.0]}, ".span", "it is [1.0]"),
        ({"rate": -1.0}, ".rate", "it is -1.0, which the activation algorithm 'mine' refuses: "),
        ({"rate": 1.0, "mode": "x"}, ".mode", "must be in ('fast', 'slow')"),
        ({"rate": 1.0, "limit": 0.0}, ".limit", "must be > 0.0"),
        ({"rate": float("nan")}, ".rate", "expects a finite number"),
        ({"rate": 1.0, "span": [2.0, 1.0]}, ".span", "the first end of span must not be above"),
    ],
)
def test_what_is_wrong_is_told_with_file_layer_key_and_algorithm(
    values: Mapping[str, Any], field: str, said: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        read(values)
    error = caught.value
    assert (error.file, error.layer) == ("c.json", "conv1")
    assert error.field == f"retrain_data_config.algo_parameters{field}"
    assert said in str(error)
    assert "algorithm 'mine'" in str(error)


def test_a_wrong_type_is_an_error_of_its_own_kind() -> None:
    with pytest.raises(ConfigTypeError):
        read({"rate": []})


def test_an_algorithm_without_parameters_takes_none() -> None:
    for kind, name in (
        ("activation_algorithms", "ulq_quantize"),
        ("weight_algorithms", "arq_retrain"),
        ("calibrators", "ifmr"),
        ("shift_searches", "search_n_v2"),
    ):
        algorithm = getattr(registries(), kind).get(name)
        assert algorithm.bound({}) is algorithm
        with pytest.raises(ConfigError, match=f"'{name}' has no parameters"):
            algorithm.bound({"rate": 1.0})


def test_what_is_known_of_a_class_can_be_listed() -> None:
    found = {field.name: field for field in fields_of(Parameters)}
    assert list(found) == ["rate", "mode", "steps", "limit", "span"]
    assert found["rate"].required and not found["mode"].required
    assert (found["rate"].type, found["span"].default) == ("float", [0.5, 2.0])
    assert fields_of(None) == ()


@pytest.mark.parametrize("kind", [dict, 3, "Parameters"])
def test_parameters_that_are_no_attrs_class_are_refused_with_the_plugins_name(kind: Any) -> None:
    with pytest.raises(PluginError, match=r"ShiftSearch 'mine': parameters is .* attrs class"):
        ShiftSearch(name="mine", parameters=kind)


def test_each_function_of_an_algorithm_is_given_them() -> None:
    def activation(*_: Any, parameters: Parameters, **others: Any) -> Any:
        return parameters.rate

    given = {"rate": 4.0}
    mine = ActivationAlgorithm(
        "mine", activation, activation, activation, parameters=Parameters, initialise=activation
    ).bound(given)
    assert (mine.forward(), mine.backward(), mine.factors()) == (4.0, 4.0, 4.0)
    assert mine.initialise is not None and mine.initialise() == 4.0
    weight = WeightAlgorithm(
        "mine", activation, activation, backward=activation, parameters=Parameters
    ).bound(given)
    assert weight.backward is not None
    assert (weight.scales(), weight.quantize(), weight.backward()) == (4.0, 4.0, 4.0)
    assert weight.learns_scales
    search = ShiftSearch("mine", activation, parameters=Parameters).bound(given)
    assert search.start is not None and search.start(1, False) == 4.0


def test_a_calibrator_is_given_them_by_their_names() -> None:
    def calibrate(batches: Any, rate: float, steps: int, **others: Any) -> Tuple[float, int]:
        return rate * len(batches), steps

    calibrator = Calibrator("mine", calibrate, parameters=Parameters).bound({"rate": 0.5})
    assert calibrator.calibrate is not None
    assert calibrator.calibrate([1, 2]) == (1.0, 3)


def test_names_of_what_is_learned_or_kept_differ() -> None:
    with pytest.raises(PluginError, match="expected names that differ"):
        ActivationAlgorithm(
            "mine", min, min, min, learned=(LearnedParameter("a"),), state=(StateVariable("a"),)
        )
    with pytest.raises(PluginError, match="sizes above 0"):
        LearnedParameter("a", shape=(0,))


@pytest.mark.parametrize("found", [{}, {"a": np.zeros(2)}, {"a": np.zeros(1), "b": np.zeros(1)}])
def test_gradients_are_those_of_what_is_learned(found: Any) -> None:
    def backward(x: Any, g: Any, *bounds: Any, values: Any) -> Any:
        return g, 0.0, 0.0, found

    mine = ActivationAlgorithm("mine", min, backward, min, learned=(LearnedParameter("a"),))
    x, values = np.zeros(1, np.float32), {"a": np.zeros(1)}
    with pytest.raises(PluginError, match=r"algorithm 'mine': backward returned .*'a' \(1,\)"):
        CheckedActivation(mine, None).backward(x, x, None, 1.0, 0.0, True, values=values)


@pytest.mark.parametrize(
    "found", [{"b": np.zeros(1)}, {"a": np.zeros(2)}, {"a": 1.0}], ids=["name", "shape", "number"]
)
def test_values_that_were_not_declared_are_refused_with_name_and_shape(found: Any) -> None:
    mine = ActivationAlgorithm(
        "mine", min, min, min, state=(StateVariable("a"),), observe=lambda *_, values: found
    )
    x = np.zeros(1, np.float32)
    with pytest.raises(PluginError, match=r"algorithm 'mine': observe returned .*'a' \(1,\)"):
        CheckedActivation(mine, None).new_values(x, 1.0, 0.0, True, values={"a": np.zeros(1)})
