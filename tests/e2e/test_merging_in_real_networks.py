"""How many Quants ATC merges in the deployable models of real networks, by its first pattern."""

from __future__ import annotations

from pathlib import Path

import pytest

from amct_caffe.model.network import read_network
from amct_caffe.model.to_graph import to_graph
from amct_core.graph.attributes import Quant
from ascend_backend.merging import merged
from ascend_backend.targets import find_target
from tests.e2e.test_atc_links_real_networks import NETWORKS, saved

COUNTS = {
    "rfb320": (39, 42),
    "open_nsfw": (32, 50),
    "resnet50": (32, 50),
    "resnet20": (9, 20),
    "squeezenet": (8, 18),
}
"""Quants merged with a DeQuant, a ReLU between them or not, of all Quants.

Counted in the networks before the product looked for them; every layer is quantized, and none is
taken for rolled back.
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", COUNTS)
def test_the_first_pattern(name: str, shared: Path, tmp_path: Path) -> None:
    model, weights = NETWORKS[name]
    prefix = saved(shared / "models" / model, weights and shared / "models" / weights, tmp_path)
    files = f"{prefix}_deploy_model.prototxt", f"{prefix}_deploy_weights.caffemodel"
    graph = to_graph(read_network(*files), "TEST")
    quants = {node.name for node in graph.nodes if isinstance(node.attributes, Quant)}
    for soc_version in ("Ascend310", "Ascend310P3"):
        merges = find_target(soc_version).family.merges.value
        groups = [each for each in merged(graph, merges) if not each.concat]
        found = {name for each in groups for name in each.quants}
        assert (len(found), len(quants)) == COUNTS[name], soc_version
