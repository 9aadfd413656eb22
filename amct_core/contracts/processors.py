"""The contract of :class:`~amct_core.extensions.ProcessorFamily`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Iterable, Tuple, Type, TypeVar

from amct_core.contracts.usage import Usage, shown
from amct_core.extensions.processor_family import Merged, ProcessorFamily, RolledBack

if TYPE_CHECKING:
    from amct_core.graph import Graph

T = TypeVar("T", RolledBack, Merged)


def rolled_back_layers(family: ProcessorFamily, graph: Graph) -> Tuple[RolledBack, ...]:
    """Return which layers of a deployable model the family computes in float16.

    Raises:
        PluginError: ``rolled_back`` fails, gives something else, or names a layer that is not in
            the graph.
    """
    usage = Usage(family)
    found = _items(usage, "rolled_back", family.rolled_back, graph, RolledBack)
    names = {node.name for node in graph.nodes}
    for each in found:
        if each.layer not in names:
            raise usage.error(
                f"rolled_back named the layer {shown(each.layer)}; expected names of quantized "
                "layers of the model."
            )
    return found


def merged_layers(family: ProcessorFamily, graph: Graph) -> Tuple[Merged, ...]:
    """Return which DeQuants and Quants of a deployable model the family computes in one.

    Raises:
        PluginError: ``merged`` fails or gives something else.
    """
    return _items(Usage(family), "merged", family.merged, graph, Merged)


def _items(
    usage: Usage,
    function: str,
    call: Callable[[Graph], Iterable[Any]],
    graph: Graph,
    expected: Type[T],
) -> Tuple[T, ...]:
    with usage.running(function):
        found = tuple(call(graph))
    for each in found:
        if not isinstance(each, expected):
            raise usage.error(
                f"{function} gave {shown(each)}; expected instances of {expected.__name__}."
            )
    return found
