"""What ``--set`` says: which layers, which key, which value."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amct_core.config import forms
from amct_core.config.assignments import parse
from amct_core.errors import ConfigError

QAT, PTQ = forms.QAT.keys, forms.PTQ.keys


def said(text: str, keys: Any = QAT) -> tuple[str | None, str, Any]:
    found = parse(text, keys)
    layers = None if found.selector is None else found.selector.text
    return layers, "/".join(found.path), found.value


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("batch_num=4", (None, "batch_num", 4)),
        ("test_state.level=1", (None, "test_state/level", 1)),
        ("input_shapes.in.0=[1, 3]", (None, "input_shapes/in.0", [1, 3])),
        ("conv1.retrain_enable=false", ("conv1", "retrain_enable", False)),
        (
            "a.b/c:0.retrain_data_config.clip_max=6",
            ("a.b/c:0", "retrain_data_config/clip_max", 6),
        ),
        ("*.retrain_data_config.init_algo=mse", ("*", "retrain_data_config/init_algo", "mse")),
        ("type:Pooling.retrain_enable=true", ("type:Pooling", "retrain_enable", True)),
        ("x=y.retrain_enable=false", ("x=y", "retrain_enable", False)),
        ("batch_num.retrain_enable=false", ("batch_num", "retrain_enable", False)),
        ("c.retrain_data_config.algo=a=b", ("c", "retrain_data_config/algo", "a=b")),
        (
            "a[.]retrain_enable.b.retrain_enable=false",
            ("a[.]retrain_enable.b", "retrain_enable", False),
        ),
    ],
)
def test_layers_key_and_value_are_told_apart(text: str, meaning: Any) -> None:
    assert said(text) == meaning


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("6.5", 6.5),
        ("-6e-1", -0.6),
        ("true", True),
        ("null", None),
        ("mse", "mse"),
        ('"true"', "true"),
        ('""', ""),
        ("[0.7, 1.3]", [0.7, 1.3]),
        ('{"algo": "x"}', {"algo": "x"}),
        ("[1,", "[1,"),
        ("True", "True"),
    ],
)
def test_a_value_is_json_or_else_the_text(text: str, value: Any) -> None:
    assert said(f"batch_num={text}")[2] == value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("batch_num", "^--set batch_num: there is no '='"),
        ("batch_num=", "there is no value; expected JSON or a word"),
        ("btch_num=3", "'btch_num' holds no known key.*Did you mean 'batch_num'"),
        ("conv1.clip_max=6", "Did you mean 'retrain_data_config.clip_max'"),
        ("conv1.retrain_data_cfg.algo=6", "holds no known key"),
        ("conv1.retrain_enabled=true", "Did you mean 'retrain_enable'"),
        ("conv1.retrain_enable.x=true", "'retrain_enable' holds a value, no keys"),
        (".retrain_enable=true", "holds no known key"),
        ("conv1.quant_enable=true", "holds no known key"),
        ("batch_num=" + 400 * "1", "integer"),
        ("batch_num=" + 400 * "[" + 400 * "]", "nested too deep"),
    ],
)
def test_what_is_no_assignment_is_refused(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse(text, QAT)


def test_each_form_has_its_keys() -> None:
    assert said("c.quant_enable=false", PTQ) == ("c", "quant_enable", False)
    assert said("do_fusion=false", PTQ) == (None, "do_fusion", False)


NAMES = st.text(min_size=1, max_size=12).filter(
    lambda name: not any(f".{key}" in f"{name}." for key in QAT.entry)
)
PATHS = st.sampled_from(["retrain_enable"]) | st.builds(
    lambda section, key: f"{section}.{key}",
    st.sampled_from(["retrain_data_config", "retrain_weight_config"]),
    st.sampled_from(["algo", "clip_max", "x"]),
)
VALUES = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.text()
    | st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=3)
)


@given(NAMES, PATHS, VALUES)
def test_any_name_key_and_value_come_back_as_written(name: str, path: str, value: Any) -> None:
    meaning = said(f"{name}.{path}={json.dumps(value)}")
    assert meaning == (name, path.replace(".", "/"), value)


def refusal(text: str) -> ConfigError | None:
    try:
        parse(text, QAT)
    except ConfigError as error:
        return error
    return None


@given(st.text(max_size=40) | st.from_regex(r"[a*.]{0,3}\.retrain_[a-z_]*[.=]{0,3}[^\n]{0,9}"))
def test_any_text_is_an_assignment_or_refused(text: str) -> None:
    error = refusal(text)
    assert error is None or error.file == f"--set {text}"
