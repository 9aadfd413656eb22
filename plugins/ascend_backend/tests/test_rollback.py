"""Which layers are rolled back, and that the simulation is told what the table says."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Sequence

import numpy as np
import pytest

from amct_caffe.model.formats.prototxt import document as documents
from amct_caffe.model.network import CaffeNetwork
from amct_caffe.model.to_graph import to_graph
from amct_core.graph import Graph
from amct_core.plugins import registries
from amct_core.processor_families import find_family
from ascend_backend.rollback import few_channels, pooling_windows
from ascend_backend.targets import find_target, soc_versions

INPUT = """
layer { name: "data" type: "Input" top: "data" %s }
layer { name: "quant" type: "Quant" bottom: "data" top: "q"
  quant_param { scale: 1 offset: "\\000" } }
"""


def network(layers: str, shape: Sequence[int] = (), weights: Any = None) -> Graph:
    dims = " ".join(f"dim: {dim}" for dim in shape)
    head = INPUT % (f"input_param {{ shape {{ {dims} }} }}" if shape else "")
    blobs: Dict[str, List[Any]] = {} if weights is None else {"layer": [weights]}
    return to_graph(CaffeNetwork(documents.from_text(head + layers), blobs), "TEST")


def layer(kind: str, parameters: str, bottom: str = "q") -> str:
    return f'layer {{ name: "layer" type: "{kind}" bottom: "{bottom}" top: "acc" {parameters} }}'


CONVOLUTION = "convolution_param { num_output: 32 kernel_size: 1 group: %d }"
INNER_PRODUCT = layer("InnerProduct", "inner_product_param { num_output: 32 }")


@pytest.mark.parametrize(("channels", "found"), [(3, True), (16, True), (17, False), (64, False)])
@pytest.mark.parametrize("group", [1, 2])
def test_a_filter_tells_the_channels_of_a_convolution(
    channels: int, found: bool, group: int
) -> None:
    weights = np.zeros((32, channels, 1, 1), np.int8)
    graph = network(layer("Convolution", CONVOLUTION % group), weights=weights)
    reasons = [each.reason for each in few_channels(graph)]
    count = channels * group
    assert reasons == ([f"its input has {count} channels"] if count <= 16 else [])
    assert group == 2 or bool(reasons) == found


def test_a_deconvolution_has_its_input_channels_first() -> None:
    shapes = {(8, 32): ["layer"], (32, 8): []}
    for shape, expected in shapes.items():
        weights = np.zeros((*shape, 1, 1), np.int8)
        graph = network(layer("Deconvolution", CONVOLUTION % 1), weights=weights)
        assert [each.layer for each in few_channels(graph)] == expected


@pytest.mark.parametrize(("shape", "found"), [((1, 16, 9, 9), True), ((1, 17), False)])
def test_axis_1_of_its_input_counts_for_an_inner_product(shape: Sequence[int], found: bool) -> None:
    assert bool(list(few_channels(network(INNER_PRODUCT, shape)))) == found


def test_where_shapes_are_not_known_the_layers_before_it_tell() -> None:
    graph = network(
        """
        layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
          convolution_param { num_output: 8 kernel_size: 1 } }
        layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
        layer { name: "again" type: "Quant" bottom: "conv" top: "q2"
          quant_param { scale: 1 offset: "\\000" } }
        """
        + layer("InnerProduct", "inner_product_param { num_output: 32 }", "q2")
    )
    (found,) = few_channels(graph)
    assert found.reason == "its input has 8 channels"


def test_a_layer_that_reads_no_quant_is_a_float_layer_already() -> None:
    fc = layer("InnerProduct", "inner_product_param { num_output: 32 }", "data")
    assert list(few_channels(network(fc, (1, 3)))) == []


def pooling(width: int, kernel: int) -> Graph:
    window = f"pooling_param {{ pool: AVE kernel_size: {kernel} stride: 2 }}"
    return network(layer("Pooling", window), (1, 64, 8, width))


@pytest.mark.parametrize("isa", [None, "v100", "v200"])
def test_poolings(isa: Optional[str]) -> None:
    assert list(pooling_windows(pooling(2, 2), isa)), "a width of 1"
    cut = list(pooling_windows(pooling(8, 3), isa))
    assert bool(cut) == (isa == "v200"), "windows of different areas"
    assert not list(pooling_windows(pooling(8, 2), isa))


def test_a_family_names_few_channels_and_the_poolings_of_its_isa() -> None:
    cut = pooling(8, 3)
    for soc_version, found in {"Ascend310": [], "Ascend310P3": ["layer"]}.items():
        family = find_target(soc_version).family
        assert [each.layer for each in family.rolled_back(cut)] == found
        assert [each.layer for each in family.rolled_back(network(INNER_PRODUCT, (1, 3)))]


@pytest.mark.parametrize("soc_version", soc_versions())
def test_the_simulation_is_told_what_the_table_says(soc_version: str) -> None:
    family = find_target(soc_version).family
    assert find_family(registries().processor_families, soc_version) == family
    refused = [note for note in family.not_simulated if "takes no Caffe models" in note]
    assert bool(refused) == (family.accepts_caffe.value is False)
