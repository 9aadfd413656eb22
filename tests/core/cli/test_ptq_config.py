"""``amct ptq config``: what it hands to the workflow and prints."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import Mock, create_autospec

import pytest

from amct_core.config.edits import Edits
from amct_core.config.ptq import PtqActivation, PtqConfig
from amct_core.config.ptq_simplified import Calibration, SimplifiedPtqConfig
from amct_core.ptq import configuration
from amct_core.workflow import ConfigReport

Amct = Callable[..., Any]
ARGUMENTS = ("ptq", "config", "m.prototxt", "m.caffemodel", "-o", "c.json")


@pytest.fixture
def create(monkeypatch: pytest.MonkeyPatch) -> Mock:
    """Stands in for the workflow; reports two layers that qualify and one that does not."""
    mock: Mock = create_autospec(configuration.create_ptq_config)
    mock.return_value = ConfigReport(PtqConfig(), ("conv", "pool"), {"fc": "transpose is true"})
    monkeypatch.setattr(configuration, "create_ptq_config", mock)
    return mock


def test_without_options_everything_is_the_default(amct: Amct, create: Mock) -> None:
    assert amct(*ARGUMENTS).status == 0
    create.assert_called_once_with(
        *("m.prototxt", "m.caffemodel", "c.json", SimplifiedPtqConfig()),
        base_file=None,
        edits=Edits(),
    )


def test_options_reach_the_workflow(amct: Amct, create: Mock) -> None:
    options = ("--skip-layer", "a", "--skip-layer", "b/c", "--batch-num", "4")
    assert amct(*ARGUMENTS, *options, "--symmetric", "--act-algo", "mse").status == 0
    assert create.call_args.args[3] == SimplifiedPtqConfig(
        whole=PtqConfig(batch_num=4, activation_offset=False),
        skip_layers=("a", "b/c"),
        common=Calibration("act_algo", PtqActivation("mse")),
    )


def test_a_simplified_config_reaches_the_workflow(amct: Amct, create: Mock, tmp_path: Path) -> None:
    path = tmp_path / "quant.cfg"
    path.write_text("batch_num: 7")
    assert amct(*ARGUMENTS, "--simple", str(path)).status == 0
    assert create.call_args.args[3] == SimplifiedPtqConfig(
        file=str(path), whole=PtqConfig(batch_num=7)
    )


@pytest.mark.parametrize(
    "option",
    [("--skip-layer", "a"), ("--batch-num", "4"), ("--symmetric",), ("--act-algo", "mse")],
)
def test_what_the_simplified_config_says_cannot_be_said_twice(
    amct: Amct, create: Mock, option: tuple[str, ...]
) -> None:
    done = amct(*ARGUMENTS, "--simple", "quant.cfg", *option)
    assert (done.status, f"{option[0]} and --simple exclude each other" in done.err) == (2, True)
    create.assert_not_called()


def test_a_base_and_changes_reach_the_workflow(amct: Amct, create: Mock) -> None:
    done = amct(
        *(*ARGUMENTS, "--base", "old.json", "--skip", "conv*", "--only", "type:Pooling"),
        *("--set", "batch_num=2", "--set", "do_fusion=false"),
    )
    assert done.status == 0
    given = create.call_args.kwargs
    assert given["base_file"] == "old.json"
    assert [each.text for each in given["edits"].skip] == ["conv*"]
    assert [each.text for each in given["edits"].only] == ["type:Pooling"]
    assert [each.path[0] for each in given["edits"].assignments] == ["batch_num", "do_fusion"]


@pytest.mark.parametrize(
    "option", [("--skip-layer", "a"), ("--simple", "quant.cfg"), ("--act-algo", "mse")]
)
def test_a_base_is_complete_in_itself(amct: Amct, create: Mock, option: tuple[str, ...]) -> None:
    done = amct(*ARGUMENTS, "--base", "old.json", *option)
    assert (done.status, f"{option[0]} and --base exclude each other" in done.err) == (2, True)
    create.assert_not_called()


def test_it_says_what_can_be_quantized_and_why_the_rest_cannot(amct: Amct, create: Mock) -> None:
    assert amct(*ARGUMENTS).out.splitlines() == [
        "2 layers can be quantized:",
        "  conv, pool",
        "1 layer left out: transpose is true",
        "  fc",
        "c.json",
    ]


def test_json_tells_the_same(amct: Amct, create: Mock) -> None:
    assert json.loads(amct(*ARGUMENTS, "--json").out) == {
        "config": "c.json",
        "quantizable": ["conv", "pool"],
        "not_quantizable": {"fc": "transpose is true"},
    }
