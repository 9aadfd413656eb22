"""The tables of keys in the documentation say the defaults that the data classes have."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import attrs
import pytest

from amct_core import deploy_choice
from amct_core.config.model import ActivationConfig, LayerConfig, QatConfig, WeightConfig
from amct_core.config.ptq import PtqActivation, PtqConfig, PtqLayer, PtqWeight

DOCS = Path(__file__).resolve().parents[3] / "docs"
FROM_ELSEWHERE = {"clip_max", "clip_min", "fixed_min", "channel_wise"}
"""The data classes have None: the default comes from data, network or layer type."""

STATES = {"train_state", "test_state"}
"""The data classes say nothing: the file of the network does."""

SECTIONS = {"layers", "activation", "weight", "others"}

CLASSES: dict[str, dict[str, Any]] = {
    "user-guide.md": {
        "": QatConfig(),
        "<layer>.": LayerConfig(),
        "<layer>.retrain_data_config.": ActivationConfig(),
        "<layer>.retrain_weight_config.": WeightConfig(),
    },
    "ptq-config.md": {
        "": PtqConfig(),
        "<layer>.": PtqLayer(),
        "<layer>.activation_quant_params.": PtqActivation(),
        "<layer>.weight_quant_params.": PtqWeight(),
    },
}
"""The data classes by page and prefix of their keys."""

KEYS = {"enabled": "quant_enable"}
"""What a file calls a field, if not as the class does."""


OF_THE_ENTRANCE = (
    f"{deploy_choice.API_DEFAULT.name}` from Python, "
    f"`{deploy_choice.COMMANDS_DEFAULT.name}` from the commands"
)
"""What is said of the deploy backend: the data class has None."""


def documented(page: str) -> dict[str, str]:
    """Return the default that the table gives each key, by path."""
    table = (DOCS / page).read_text().split("| key | values | default |\n")[1].split("\n\n")[0]
    found, section = {}, ""
    for row in table.splitlines()[1:]:
        keys, *_, default = (cell.strip() for cell in row.strip("|").split("|"))
        for key in re.findall(r"`([^`]+)`", keys):
            section = key.rpartition(".")[0] if key.startswith("<layer>") else section
            path = key.replace("….", f"{section}.")
            found[path] = default.strip("`")
    return found


def defaults(page: str) -> dict[str, Any]:
    """Return the defaults of the data classes, by path."""
    return {
        prefix + KEYS.get(key, key): value
        for prefix, config in CLASSES[page].items()
        for key in attrs.fields_dict(type(config))
        if key not in SECTIONS
        for value in [getattr(config, key)]
    }


@pytest.mark.parametrize(
    ("page", "path"), [(page, path) for page in CLASSES for path in defaults(page)]
)
def test_the_guide_says_the_default_of_each_key(page: str, path: str) -> None:
    said, is_so = documented(page)[path], defaults(page)[path]
    if path.rpartition(".")[2] in FROM_ELSEWHERE:
        assert is_so is None
    elif path == "deploy_backend":
        assert is_so is None and said == OF_THE_ENTRANCE
    elif path in STATES:
        assert not is_so.is_given
    else:
        assert said == (is_so if isinstance(is_so, str) else json.dumps(is_so).removesuffix(".0"))


@pytest.mark.parametrize("page", CLASSES)
def test_the_guide_names_no_other_key(page: str) -> None:
    assert documented(page).keys() == defaults(page).keys()
