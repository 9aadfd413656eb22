"""Looking extensions up by name."""

from __future__ import annotations

import attrs
import pytest

from amct_core.errors import AmctError, PluginError
from amct_core.registry import Registry


@attrs.frozen
class Colour:
    name: str


@pytest.fixture
def colours() -> Registry[Colour]:
    registry: Registry[Colour] = Registry("colour")
    registry.add(Colour("red"), "warm")
    registry.add(Colour("blue"), "cold")
    return registry


def test_an_item_is_found_by_its_name(colours: Registry[Colour]) -> None:
    assert colours.get("red") == Colour("red")
    assert colours.provider("red") == "warm"
    assert "red" in colours and "green" not in colours


def test_names_and_items_are_sorted(colours: Registry[Colour]) -> None:
    assert colours.names() == ["blue", "red"]
    assert list(colours) == [Colour("blue"), Colour("red")]


def test_a_name_taken_names_both_providers(colours: Registry[Colour]) -> None:
    with pytest.raises(PluginError, match="two plugins provide the colour 'red': 'warm' and 'hot'"):
        colours.add(Colour("red"), "hot")


def test_one_plugin_that_provides_a_name_twice_is_told_of_that(colours: Registry[Colour]) -> None:
    with pytest.raises(PluginError, match="plugin 'warm' returns the colour 'red' twice") as caught:
        colours.add(Colour("red"), "warm")
    assert "Uninstall one" not in str(caught.value)


def test_parts_that_one_plugin_gives_have_one_provider() -> None:
    registry: Registry[Colour] = Registry("colour", join=lambda first, second: second)
    for provider in ("warm", "hot", "hot"):
        registry.add(Colour("red"), provider)
    assert registry.provider("red") == "warm, hot"


def test_two_that_declare_one_part_of_an_item_are_named() -> None:
    registry: Registry[Colour] = Registry("colour", join=lambda first, second: ("shade", "name"))
    registry.add(Colour("red"), "warm")
    said = r"plugin 'warm' declares one part of the colour 'red' \(shade, name\) twice"
    with pytest.raises(PluginError, match=said):
        registry.add(Colour("red"), "warm")
    said = r"two plugins declare one part of the colour 'red' \(shade, name\): 'warm' and 'hot'"
    with pytest.raises(PluginError, match=said):
        registry.add(Colour("red"), "hot")


def test_after_a_conflict_the_first_stays(colours: Registry[Colour]) -> None:
    with pytest.raises(PluginError):
        colours.add(Colour("red"), "hot")
    assert colours.provider("red") == "warm"


def test_an_unknown_name_lists_what_there_is_and_who_provides_it(
    colours: Registry[Colour],
) -> None:
    with pytest.raises(AmctError) as caught:
        colours.get("green")
    assert str(caught.value) == (
        "there is no colour 'green'; known: 'blue' (from cold), 'red' (from warm)."
    )


def test_a_near_miss_is_suggested(colours: Registry[Colour]) -> None:
    with pytest.raises(PluginError, match=r"Did you mean 'blue'\?"):
        colours.get("bleu")


def test_the_provider_of_an_unknown_name_is_the_same_error(colours: Registry[Colour]) -> None:
    with pytest.raises(PluginError, match="there is no colour 'green'"):
        colours.provider("green")


def test_an_empty_registry_says_so() -> None:
    with pytest.raises(PluginError, match=r"there is no colour 'red'; known: none\."):
        Registry[Colour]("colour").get("red")


def test_plugins_that_failed_are_suspected() -> None:
    with pytest.raises(PluginError, match="may have provided it: 'a', 'b'"):
        Registry[Colour]("colour", ("a", "b")).get("red")
