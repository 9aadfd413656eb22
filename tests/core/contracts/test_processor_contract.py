"""What is checked of families of processors."""

from __future__ import annotations

from typing import Any, Callable

import pytest

from amct_core.contracts.processors import merged_layers, rolled_back_layers
from amct_core.errors import PluginError
from amct_core.extensions import Fact, ProcessorFamily, RolledBack
from amct_core.graph import Graph, Node
from amct_core.plugins import Registries

GRAPH = Graph("net", [Node("conv", "Convolution", (), ("conv",))], "net.prototxt")
YES = Fact(True, "verified", "the test")


def family(**functions: Callable[[Graph], Any]) -> ProcessorFamily:
    return ProcessorFamily(
        name="Board1",
        description="a board",
        pattern="Board1",
        examples=("Board1",),
        quantizes_in_fp16=YES,
        cuts_deq_scale=YES,
        honours_shift_n=YES,
        rolls_back=YES,
        **{"rolled_back": lambda graph: [], **functions},
    )


def fails(graph: Graph) -> Any:
    raise RuntimeError("chip trouble")


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (fails, "failed with RuntimeError: chip trouble."),
        (lambda graph: ["conv"], "gave 'conv'; expected instances of RolledBack."),
        (lambda graph: None, "failed with TypeError"),
        (lambda graph: [RolledBack("fc", "small")], "named the layer 'fc'; expected names of"),
    ],
)
def test_a_mistake_in_what_is_rolled_back_names_plugin_and_family(
    registered: Callable[..., Registries], function: Callable[[Graph], Any], said: str
) -> None:
    plugins = registered("amct_processor_families", family(rolled_back=function))
    with pytest.raises(PluginError) as caught:
        rolled_back_layers(plugins.processor_families.get("Board1"), GRAPH)
    assert "plugin 'mine', family of processors 'Board1': rolled_back " in str(caught.value)
    assert said in str(caught.value)


def test_a_mistake_in_what_is_merged_names_plugin_and_family(
    registered: Callable[..., Registries],
) -> None:
    plugins = registered("amct_processor_families", family(merged=lambda graph: [3]))
    with pytest.raises(PluginError) as caught:
        merged_layers(plugins.processor_families.get("Board1"), GRAPH)
    assert "'Board1': merged gave 3; expected instances of Merged." in str(caught.value)


def test_what_is_right_is_passed_on() -> None:
    small = RolledBack("conv", "small")
    assert rolled_back_layers(family(rolled_back=lambda graph: [small]), GRAPH) == (small,)
