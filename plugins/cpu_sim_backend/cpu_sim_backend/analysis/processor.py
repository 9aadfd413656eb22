"""What a processor does otherwise with the quantized layers of a model."""

from __future__ import annotations

from typing import Dict, List, Tuple

from amct_core.contracts.processors import rolled_back_layers
from amct_core.graph import Graph
from amct_core.graph.deployed_layers import deployed_layers
from amct_core.plugins import registries
from amct_core.processor_families import find_family
from cpu_sim_backend.device import as_computed_by

ROLLED_BACK = "rolled back to float16"
MERGED = "its DeQuant is merged with the Quant behind it"


def on_processor(graph: Graph, soc_version: str) -> Dict[str, Tuple[str, ...]]:
    """Return by quantized layer what ``soc_version`` does otherwise.

    Args:
        graph: the deployable model.
        soc_version: such as ``Ascend310P3``.

    Raises:
        AmctError: no plugin knows the processor.
    """
    family = find_family(registries().processor_families, soc_version)
    device = as_computed_by(graph, family, soc_version)
    layers = {node.name: layer for node, layer in deployed_layers(graph).items()}
    found: Dict[str, List[str]] = {name: [] for name in layers}
    if family.rolls_back.value:
        for each in rolled_back_layers(family, graph):
            found[each.layer].append(f"{ROLLED_BACK}: {each.reason}")
    changed = {each.field: set(each.layers) for each in device.deviations}
    merged_quants = changed.get("merges", set())
    left = {node.name for node in device.graph.nodes}
    for name, layer in layers.items():
        if layer.quant.name in merged_quants and name in left:
            found[name].append("its Quant is merged with the DeQuant before it")
        if layer.dequant.name in changed.get("honours_shift_n", ()):
            found[name].append("its shift N is ignored")
    return {name: tuple(said) for name, said in found.items() if said}
