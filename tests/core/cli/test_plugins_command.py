"""``amct plugins``."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

Amct = Callable[..., Any]
AddPlugin = Callable[[str, str], None]

SEARCH = "@hookimpl\ndef amct_shift_searches():\n    return [ShiftSearch(name='fixed')]\n"
NONSENSE = "@hookimpl\ndef amct_shift_searches():\n    return 3\n"


def test_it_lists_each_kind_with_names_and_providers(amct: Amct, add_plugin: AddPlugin) -> None:
    add_plugin("mine", SEARCH)
    done = amct("plugins")
    assert done.status == 0
    words = [line.split() for line in done.out.splitlines()]
    assert ["mine", "mine_module"] in words
    assert ["deploy", "backends"] in words
    lines = done.out.splitlines()
    assert lines[lines.index("shift searches") + 1 :][:4] == [
        "  from mine:",
        "    fixed",
        "  from amct-core:",
        "    none, search_n, search_n_v2",
    ]


def test_json_tells_the_same(amct: Amct, add_plugin: AddPlugin) -> None:
    add_plugin("mine", SEARCH)
    document = json.loads(amct("plugins", "--json").out)
    assert {"name": "mine", "entry_point": "mine_module"} in document["plugins"]
    assert {"name": "fixed", "plugin": "mine"} in document["provided"]["shift_searches"]
    assert {"name": "ifmr", "plugin": "amct-core"} in document["provided"]["calibrators"]
    assert document["provided"]["frontends"] == []
    assert document["failed"] == []
    assert document["errors"] == {}


def test_a_plugin_that_failed_is_listed_with_the_reason(amct: Amct, add_plugin: AddPlugin) -> None:
    add_plugin("broken", "import no_such_module")
    done = amct("plugins")
    assert done.status == 1
    assert "failed to load" in done.out
    assert "No module named 'no_such_module'" in done.out
    (failed,) = json.loads(amct("plugins", "--json").out)["failed"]
    assert (failed["name"], failed["entry_point"]) == ("broken", "broken_module")


def test_what_a_plugin_loses_is_told_beside_what_others_provide(
    amct: Amct, add_plugin: AddPlugin
) -> None:
    source = "@hookimpl\ndef amct_cli_commands():\n    yield CliCommand('{}', 'Test.', len)\n"
    add_plugin("able", source.format("atc"))
    add_plugin("broken", source.format("atc x"))
    done = amct("plugins")
    assert done.status == 1
    lines = done.out.splitlines()
    start = lines.index("cli commands")
    assert lines[start + 1].startswith("  ERROR: plugin 'able' provides the command 'atc', which")
    assert lines[start + 2 :][:2] == ["  from able:", "    atc"]
    document = json.loads(amct("plugins", "--json").out)
    assert "the group of 'atc x'" in document["errors"]["cli_commands"]
    assert {"name": "atc", "plugin": "able"} in document["provided"]["cli_commands"]


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_a_kind_that_a_plugin_breaks_does_not_hide_the_others(
    amct: Amct, add_plugin: AddPlugin, options: list[str]
) -> None:
    add_plugin("nonsense", NONSENSE)
    done = amct("plugins", *options)
    assert done.status == 1
    assert "plugin 'nonsense': hook amct_shift_searches returned 3" in done.out
    assert "ifmr" in done.out
