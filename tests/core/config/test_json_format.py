"""The JSON configuration: what is written is read again, and defaults are left out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amct_core.config import json_format
from amct_core.config.model import ActivationConfig, LayerConfig, QatConfig, WeightConfig
from amct_core.errors import ConfigError
from amct_core.network_state import NetworkState

KEYS = ("version", "batch_num", "shift_n_algo", "batch_norm", "deploy_backend")
NAMES = st.text(min_size=1, max_size=10).filter(
    lambda name: name not in (*KEYS, "train_state", "test_state")
)
STATES = st.builds(
    NetworkState, level=st.none() | st.integers(-9, 9), stages=st.lists(st.text(), max_size=3)
)
BOUNDS = st.tuples(st.floats(2.0**-20, 2.0**20, width=32), st.floats(2.0**-20, 2.0**20, width=32))
ALGORITHMS = st.from_regex(r"[a-z][a-z0-9_]{0,10}", fullmatch=True)


@st.composite
def layers(draw: st.DrawFn) -> LayerConfig:
    bounds = draw(st.none() | BOUNDS)
    activation = ActivationConfig(
        algo=draw(ALGORITHMS),
        clip_max=None if bounds is None else bounds[0],
        clip_min=None if bounds is None else -bounds[1],
        fixed_min=draw(st.none() | st.booleans()),
        init_algo=draw(ALGORITHMS),
        clip_lr_mult=draw(st.floats(0, 100, width=32)),
    )
    weight = draw(st.none() | st.builds(WeightConfig, algo=ALGORITHMS, channel_wise=st.booleans()))
    return LayerConfig(draw(st.booleans()), activation, weight)


@given(
    config=st.builds(
        QatConfig,
        batch_num=st.integers(1, 1000),
        shift_n_algo=ALGORITHMS,
        batch_norm=st.sampled_from(["keep", "fold"]),
        deploy_backend=ALGORITHMS,
        train_state=STATES,
        test_state=STATES,
        layers=st.dictionaries(NAMES, layers(), max_size=3),
    )
)
def test_what_is_formatted_is_parsed_again_in_order(config: QatConfig) -> None:
    again = json_format.parse(json_format.format_config(config))
    assert again == config
    assert list(again.layers) == list(config.layers)


def test_a_file_that_is_written_is_read_again(tmp_path: Path) -> None:
    path = str(tmp_path / "c.json")
    config = QatConfig(batch_num=3, layers={"卷积/1": LayerConfig(False), "a": LayerConfig()})
    json_format.write(path, config)
    assert json_format.read(path) == config


def test_keys_of_our_own_are_left_out_at_their_defaults(tmp_path: Path) -> None:
    path = tmp_path / "c.json"
    json_format.write(str(path), QatConfig(layers={"conv": LayerConfig()}))
    document = json.loads(path.read_text())
    assert set(document) == {"version", "batch_num", "conv"}
    assert set(document["conv"]["retrain_data_config"]) == {"algo"}


def test_states_have_the_documented_form() -> None:
    config = QatConfig(test_state=NetworkState(0, ["val"]))
    document = json.loads(json_format.format_config(config))
    assert document["test_state"] == {"level": 0, "stage": ["val"]}
    assert "train_state" not in document


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"version": 2}, "version"),
        ({"batch_norm": "train"}, "batch_norm"),
        ({"shift_n_algo": 3}, "shift_n_algo"),
        ({"test_state": "val"}, "test_state"),
        ({"test_state": {"stage": "val"}}, "test_state.stage"),
        ({"train_state": {"level": "1"}}, "train_state.level"),
        ({"train_state": {"stages": ["a"]}}, "train_state.stages"),
        ({"conv": []}, None),
        ({"conv": {"retrain_data_config": {"clip_max": 1.0}}}, None),
        ({"conv": {"retrain_data_config": {"clip_max": "1"}}}, None),
        ({"conv": {"retrain_data_config": {"clip_max": 0.0, "clip_min": -1.0}}}, None),
        ({"conv": {"retrain_data_config": {"clip_max": 1.0, "clip_min": 0.0}}}, None),
        ({"conv": {"retrain_weight_config": {"channel_wise": 1}}}, None),
        ({"conv": {"retrain_weight_config": {"dst_type": "INT4"}}}, None),
    ],
)
def test_faults_are_config_errors_that_name_the_file(
    tmp_path: Path, changes: dict[str, Any], field: str | None
) -> None:
    path = tmp_path / "c.json"
    path.write_text(json.dumps({"version": 1, "batch_num": 1, **changes}))
    with pytest.raises(ConfigError) as caught:
        json_format.read(str(path))
    assert caught.value.file == str(path)
    if field is not None:
        assert caught.value.field == field
    else:
        assert "conv" in str(caught.value)


@pytest.mark.parametrize(
    ("given", "key", "said"),
    [
        ({"clip_max": 1.0}, "clip_min", "it is missing; clip_max and clip_min take effect"),
        ({"clip_min": -1.0}, "clip_max", "it is missing; clip_max and clip_min take effect"),
        ({"clip_max": 0, "clip_min": -1.0}, "clip_max", "should be larger than 0, but is 0"),
        ({"clip_max": 1.0, "clip_min": 0}, "clip_min", "should be less than 0, but is 0"),
        ({"clip_lr_mult": -0.5}, "clip_lr_mult", "it is -0.5; expected a number of at least 0"),
    ],
)
def test_bounds_that_cannot_be_are_refused_by_name(
    given: dict[str, float], key: str, said: str
) -> None:
    layer = {"retrain_enable": True, "retrain_data_config": given}
    with pytest.raises(ConfigError) as caught:
        json_format.parse(json.dumps({"version": 1, "conv1": layer}))
    assert (caught.value.layer, caught.value.field) == ("conv1", f"retrain_data_config.{key}")
    assert said in str(caught.value)


def test_bounds_may_stay_as_they_are() -> None:
    layer = {"retrain_enable": True, "retrain_data_config": {"clip_lr_mult": 0}}
    config = json_format.parse(json.dumps({"version": 1, "conv1": layer}))
    assert config.layers["conv1"].activation.clip_lr_mult == 0


@pytest.mark.parametrize("dims", [[], [0, 3], [1, True], [1.0], "1,3", 3])
def test_a_shape_is_a_list_of_sizes(dims: object) -> None:
    with pytest.raises(ConfigError, match="expected a list of integers above 0") as caught:
        json_format.parse(json.dumps({"version": 1, "input_shapes": {"data": dims}}))
    assert caught.value.field == "input_shapes.data"


@pytest.mark.parametrize("section", ["retrain_data_config", "retrain_weight_config"])
def test_int8_is_the_only_type(section: str) -> None:
    for dst_type, is_known in (("INT8", True), ("INT4", False)):
        layer = {"retrain_enable": True, section: {"dst_type": dst_type}}
        text = json.dumps({"version": 1, "conv1": layer})
        if is_known:
            json_format.parse(text)
        else:
            with pytest.raises(ConfigError, match="it is 'INT4'; expected 'INT8'"):
                json_format.parse(text)
