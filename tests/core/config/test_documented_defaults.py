"""The reference of the configuration says every key that is read, with the default it has."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Dict, Iterator

import pytest

from amct_core.config.forms import PTQ, QAT

DOCS = Path(__file__).resolve().parents[3] / "docs"


@pytest.fixture(scope="module", params=["qat", "ptq"])
def form(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def listed(form: str) -> Dict[str, str]:
    """What the page says of each key."""
    sys.path.insert(0, str(DOCS / "_ext"))
    try:
        import config_keys
    finally:
        sys.path.remove(str(DOCS / "_ext"))
    entries = config_keys.keys(DOCS / "reference/configuration.md", form).split("\n\n")
    pairs = (entry.split("\n: ") for entry in entries)
    return {key: words for names, words in pairs for key in re.findall(r"`([^`]+)`", names)}


def read(form: str) -> Iterator[str]:
    """Yield the keys that are read from a file."""
    keys = {"qat": QAT, "ptq": PTQ}[form].keys
    yield from keys.whole
    for entry, below in keys.entry.items():
        yield from [f"<layer>.{entry}.{key}" for key in below] or [f"<layer>.{entry}"]


def test_every_key_that_is_read_is_listed_and_no_other(form: str, listed: Dict[str, str]) -> None:
    assert set(read(form)) == set(listed)


def test_every_key_has_a_meaning_without_marks_of_docstrings(listed: Dict[str, str]) -> None:
    for key, words in listed.items():
        assert len(words.split(" Default:")[0].split()) >= 2, key
        assert "``" not in words and ":data:" not in words and "(ours)" not in words, key


@pytest.mark.parametrize(
    ("form", "key", "end"),
    [
        ("qat", "batch_num", "Default: `1`."),
        ("qat", "shift_n_algo", "Default: `search_n_v2`."),
        ("qat", "<layer>.retrain_data_config.clip_lr_mult", "Default: `1`."),
        ("qat", "<layer>.retrain_data_config.init_algo", "Default: `ifmr`."),
        ("qat", "<layer>.retrain_data_config.clip_max", "found from data."),
        ("qat", "<layer>.retrain_weight_config.dst_type", "always `INT8`. Default: `INT8`."),
        ("qat", "batch_norm", "One of `keep`, `fold`; a key of ours. Default: `keep`."),
        ("ptq", "activation_offset", "Default: `true`."),
        ("ptq", "<layer>.activation_quant_params.search_range", "Default: `[0.7, 1.3]`."),
        ("ptq", "<layer>.activation_quant_params.search_step", "Default: `0.01`."),
        ("ptq", "<layer>.activation_quant_params.num_of_bins", "Default: `4096`."),
    ],
    indirect=["form"],
)
def test_defaults_are_those_of_amcts_documentation(
    form: str, listed: Dict[str, str], key: str, end: str
) -> None:
    assert listed[key].endswith(end)
