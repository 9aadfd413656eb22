"""Which DeQuants and Quants ATC merges: one network for each condition."""

from __future__ import annotations

from typing import List, Sequence, Tuple

import pytest

from amct_caffe.model.formats.prototxt import document as documents
from amct_caffe.model.network import CaffeNetwork
from amct_caffe.model.to_graph import to_graph
from amct_core.extensions import Merged
from amct_core.graph import Graph
from amct_core.plugins import registries
from amct_core.processor_families import find_family
from ascend_backend.merging import merged, misaligned
from ascend_backend.rollback import taken_out
from ascend_backend.targets import find_target

V100, V200 = "Ascend310", "Ascend310P3"
BOTH = (V100, V200)
INPUT = """
layer { name: "data" type: "Input" top: "data"
  input_param { shape { dim: 1 dim: 32 dim: 8 dim: 8 } } }
"""
RELU = 'type: "ReLU"'
RELU6 = 'type: "ReLU6"'
LEAKY = 'type: "ReLU" relu_param { negative_slope: 0.1 }'


def layer(name: str, bottoms: str, content: str) -> str:
    read = " ".join(f'bottom: "{bottom}"' for bottom in bottoms.split())
    return f'layer {{ name: "{name}" {read} top: "{name}" {content} }}\n'


def conv(name: str, bottom: str, channels: int = 32) -> str:
    """Return a convolution that reads int8, and its DeQuant ``<name>_d``."""
    parameters = f"convolution_param {{ num_output: {channels} kernel_size: 1 }}"
    return layer(name, bottom, f'type: "Convolution" {parameters}') + layer(
        f"{name}_d", name, 'type: "DeQuant"'
    )


def quant(name: str, bottom: str, scale: float = 2, offset: str = r"\000") -> str:
    """Return a Quant and a convolution that reads it."""
    parameters = f'quant_param {{ scale: {scale} offset: "{offset}" }}'
    return layer(name, bottom, f'type: "Quant" {parameters}') + conv(f"{name}_c", name)


HEAD = INPUT + quant("q0", "data")
"""Ends with the DeQuant ``q0_c_d``; what follows it is each test's."""
FIRST = "q0_c_d"


def graph(*layers: str, head: str = HEAD) -> Graph:
    text = head + "".join(layers)
    return to_graph(CaffeNetwork(documents.from_text(text), {}), "TEST")


def found(network: Graph, soc_version: str) -> List[Merged]:
    return merged(network, find_target(soc_version).family.merges.value)


def quants(network: Graph, soc_version: str) -> List[Tuple[str, ...]]:
    """Return the Quants of each group that is merged."""
    return [each.quants for each in found(network, soc_version)]


@pytest.mark.parametrize("soc_version", BOTH)
def test_a_quant_that_reads_a_dequant_is_merged_with_it(soc_version: str) -> None:
    (group,) = found(graph(quant("q", FIRST, 2.5, r"\003")), soc_version)
    assert group == Merged((FIRST,), ("q",), (), None, 2.5, 3)


@pytest.mark.parametrize("soc_version", BOTH)
@pytest.mark.parametrize(
    ("content", "keeps"),
    [
        (RELU, False),
        ('type: "ReLU" relu_param { negative_slope: 9e-6 }', False),
        ('type: "ReLU" relu_param { negative_slope: -9e-6 }', False),
        ('type: "ReLU" relu_param { negative_slope: 1.1e-5 }', True),
        ('type: "LeakyReLU"', False),
        ('type: "LeakyReLU" relu_param { negative_slope: 0.1 }', True),
        ('type: "LeakyReLU" leaky_relu_param { negative_slope: 0.1 }', False),
        ('type: "RReLU" rrelu_param { lower: 3 upper: 8 }', False),
        (RELU6, True),
    ],
)
def test_a_relu_between_them_is_taken_in_or_stays(
    content: str, keeps: bool, soc_version: str
) -> None:
    (group,) = found(graph(layer("r", FIRST, content), quant("q", "r")), soc_version)
    assert (group.dequants, group.relus, group.quants) == ((FIRST,), ("r",), ("q",))
    assert group.keeps_relu == keeps


def test_an_in_place_relu_counts_as_any_other() -> None:
    in_place = f'layer {{ name: "r" type: "ReLU" bottom: "{FIRST}" top: "{FIRST}" }}\n'
    assert quants(graph(in_place, quant("q", FIRST)), V200) == [("q",)]


@pytest.mark.parametrize("soc_version", BOTH)
@pytest.mark.parametrize(
    "between",
    [
        'type: "Pooling" pooling_param { pool: MAX kernel_size: 2 stride: 2 }',
        'type: "Sigmoid"',
        'type: "PReLU"',
        'type: "Scale"',
        'type: "Dropout"',
        'type: "Split"',
    ],
)
def test_any_other_layer_keeps_them_apart(between: str, soc_version: str) -> None:
    assert quants(graph(layer("x", FIRST, between), quant("q", "x")), soc_version) == []


@pytest.mark.parametrize("soc_version", BOTH)
@pytest.mark.parametrize(
    "second", [layer("x", FIRST, 'type: "Sigmoid"'), layer("x", FIRST, RELU), ""]
)
def test_every_reader_of_the_dequant_must_be_a_quant(second: str, soc_version: str) -> None:
    expected = [] if second else [("q",)]
    assert quants(graph(quant("q", FIRST), second), soc_version) == expected


def test_an_output_of_the_network_is_not_merged() -> None:
    assert quants(graph(), V200) == []
    assert quants(graph(layer("r", FIRST, RELU)), V200) == []


@pytest.mark.parametrize("soc_version", BOTH)
def test_a_relu_that_two_layers_read_prevents_it(soc_version: str) -> None:
    relu = layer("r", FIRST, RELU)
    shared = graph(relu, quant("q", "r"), layer("x", "r", 'type: "Sigmoid"'))
    assert quants(shared, soc_version) == []
    assert quants(graph(relu, quant("q", "r"), quant("q2", "r")), soc_version) == []


@pytest.mark.parametrize("soc_version", BOTH)
def test_readers_are_all_quants_or_all_relus(soc_version: str) -> None:
    relu = layer("r", FIRST, RELU) + quant("q", "r")
    assert quants(graph(relu, quant("q2", FIRST)), soc_version) == []
    again = layer("r2", FIRST, RELU) + quant("q2", "r2")
    assert quants(graph(relu, again), soc_version) == [("q", "q2")]


@pytest.mark.parametrize("soc_version", BOTH)
def test_either_all_relus_are_removable_or_none(soc_version: str) -> None:
    def two(first: str, second: str) -> Graph:
        branches = (("r", "q", first), ("r2", "q2", second))
        return graph(*(layer(r, FIRST, content) + quant(q, r) for r, q, content in branches))

    assert quants(two(RELU, RELU6), soc_version) == []
    assert quants(two(RELU6, LEAKY), soc_version) == [("q", "q2")]
    assert quants(two(RELU, RELU), soc_version) == [("q", "q2")]


@pytest.mark.parametrize("soc_version", BOTH)
@pytest.mark.parametrize(
    ("scales", "merges"),
    [
        ((42.5, 42.500004), True),
        ((0.5, 0.500009), True),
        ((0.5, 0.50002), False),
        ((200, 200.00002), False),
        ((0.000005, 42.5), True),
    ],
)
def test_scales_may_differ_by_a_hundred_thousandth(
    scales: Tuple[float, float], merges: bool, soc_version: str
) -> None:
    """Example E15 of the sources that the arithmetic was written by."""
    network = graph(quant("q", FIRST, scales[0]), quant("q2", FIRST, scales[1]))
    assert bool(found(network, soc_version)) == merges


def test_offsets_are_not_compared_and_the_last_one_counts() -> None:
    network = graph(quant("q", FIRST, 2, r"\001"), quant("q2", FIRST, 2.000001, r"\002"))
    (group,) = found(network, V200)
    assert (group.quants, group.scale, group.offset) == (("q", "q2"), 2, 2)


def test_the_scale_is_the_first_that_is_not_almost_0() -> None:
    (group,) = found(graph(quant("q", FIRST, 5e-6), quant("q2", FIRST, 42.5)), V200)
    assert group.scale == 42.5


def branches(*channels: int, relus: Sequence[str] = (), after: str = "", axis: int = 1) -> str:
    """Return a Concat of DeQuants and the Quant ``q`` behind it; ``relus`` may be empty texts."""
    text, tops = "", []
    for number, count in enumerate(channels):
        text += conv(f"b{number}", "q0", count)
        tops.append(f"b{number}_d")
        if number < len(relus) and relus[number]:
            text += layer(f"r{number}", tops[-1], relus[number])
            tops[-1] = f"r{number}"
    text += layer("cat", " ".join(tops), f'type: "Concat" concat_param {{ axis: {axis} }}')
    if after:
        text += layer("after", "cat", after)
    return text + quant("q", "after" if after else "cat")


@pytest.mark.parametrize("soc_version", BOTH)
def test_a_concat_of_dequants_is_merged(soc_version: str) -> None:
    (group,) = found(graph(branches(32, 64), head=HEAD), soc_version)
    assert group == Merged(("b0_d", "b1_d"), ("q",), (), "cat", 2, 0)


@pytest.mark.parametrize("soc_version", BOTH)
def test_relus_may_stand_before_and_behind_the_concat(soc_version: str) -> None:
    (group,) = found(graph(branches(32, 32, relus=(RELU, ""), after=RELU)), soc_version)
    assert (group.relus, group.keeps_relu) == (("r0", "after"), False)


@pytest.mark.parametrize(
    ("relus", "after", "v100", "v200"),
    [
        ((RELU, RELU6), "", True, False),
        ((RELU6, RELU), "", True, True),
        (("", RELU6), "", True, True),
        ((RELU6, RELU6), RELU, True, False),
    ],
)
def test_on_v200_the_first_relu_decides_whether_they_stay(
    relus: Sequence[str], after: str, v100: bool, v200: bool
) -> None:
    network = graph(branches(32, 32, relus=relus, after=after))
    assert [found(network, soc)[0].keeps_relu for soc in BOTH] == [v100, v200]


@pytest.mark.parametrize(
    ("text", "v100", "v200"),
    [
        (branches(32, 48), True, False),
        (branches(16, 16), True, False),
        (branches(16, 16, axis=2), True, True),
        (branches(16, 16, axis=-3), True, False),
        (branches(32, 32, axis=-3), True, True),
        (branches(32, 32) + layer("x", "b0_d", 'type: "Sigmoid"'), True, False),
        (branches(32, 32) + layer("x", "cat", 'type: "Sigmoid"'), False, False),
        (branches(32, 32, relus=(RELU,)) + layer("x", "r0", 'type: "Sigmoid"'), False, False),
        (branches(32, 32, after='type: "Sigmoid"'), False, False),
        (branches(32, 32, relus=('type: "Sigmoid"',)), False, False),
        (branches(32, 32, after=RELU) + layer("x", "after", 'type: "Sigmoid"'), False, False),
        (branches(32, 32) + quant("q2", "cat"), False, False),
    ],
)
def test_what_a_concat_must_be_like(text: str, v100: bool, v200: bool) -> None:
    network = graph(text)
    assert [bool(found(network, soc)) for soc in BOTH] == [v100, v200]


@pytest.mark.parametrize(
    "stranger",
    [
        layer("pool", "q0", 'type: "Pooling" pooling_param { pool: MAX kernel_size: 1 }'),
        layer("pool", FIRST, 'type: "Sigmoid"'),
    ],
)
def test_every_input_of_the_concat_is_a_dequant(stranger: str) -> None:
    text = branches(32, 32).replace('bottom: "b1_d" top: "cat"', 'bottom: "pool" top: "cat"')
    assert [found(graph(stranger, text), soc) for soc in BOTH] == [[], []]


def test_channels_follow_from_the_layers_where_no_shape_is_known() -> None:
    head = HEAD.replace("input_param { shape { dim: 1 dim: 32 dim: 8 dim: 8 } }", "")
    assert quants(graph(branches(32, 64), head=head), V200) == [("q",)]
    assert quants(graph(branches(32, 48), head=head), V200) == []


def test_what_only_the_channels_prevent_is_told() -> None:
    merges = find_target(V200).family.merges.value
    ((group, counts),) = misaligned(graph(branches(32, 48)), merges)
    assert (group.concat, group.quants, counts) == ("cat", ("q",), (32, 48))
    assert misaligned(graph(branches(32, 64)), merges) == []
    assert misaligned(graph(branches(16, 16, axis=2)), merges) == []
    shared = branches(32, 48) + layer("x", "b0_d", 'type: "Sigmoid"')
    assert misaligned(graph(shared), merges) == [], "the second reader prevents it, too"
    assert misaligned(graph(branches(32, 48)), find_target(V100).family.merges.value) == []


def test_a_dequant_of_two_concats_is_merged_with_the_first() -> None:
    second = layer("cat2", "b0_d b1_d", 'type: "Concat"') + quant("q2", "cat2")
    assert quants(graph(branches(32, 32), second), V100) == [("q",)]
    assert quants(graph(branches(32, 32), second), V200) == []


@pytest.mark.parametrize("soc_version", ["Ascend310B1", "Ascend910B3", "Ascend950", "Ascend035"])
def test_nothing_is_merged_where_the_passes_are_not_public(soc_version: str) -> None:
    assert quants(graph(quant("q", FIRST)), soc_version) == []


@pytest.mark.parametrize("soc_version", [*BOTH, "Ascend310B1"])
def test_the_simulation_is_told_what_is_merged(soc_version: str) -> None:
    network = graph(layer("r", FIRST, RELU), quant("q", "r"))
    family = find_family(registries().processor_families, soc_version)
    assert list(family.merged(network)) == found(network, soc_version)


CHAIN = [layer("r", FIRST, RELU), quant("q", "r"), quant("q2", "q_c_d")]
"""``q0_c`` is merged with ``q_c``, and ``q_c`` with ``q2_c``."""


@pytest.mark.parametrize(
    ("layers", "merges"),
    [
        ((), [("q",), ("q2",)]),
        (("q0_c",), [("q2",)]),
        (("q_c",), []),
        (("q2_c",), [("q",)]),
    ],
)
def test_what_is_rolled_back_is_merged_on_neither_side(
    layers: Sequence[str], merges: List[Tuple[str, ...]]
) -> None:
    assert quants(taken_out(graph(*CHAIN), layers), V200) == merges


def test_a_layer_that_is_rolled_back_reads_what_the_others_quantize() -> None:
    text = quant("q", FIRST) + conv("other", "q")
    assert quants(graph(text), V200) == [("q",)]
    assert quants(taken_out(graph(text), ["other"]), V200) == []
    pooling = layer("pool", "q", 'type: "Pooling" pooling_param { pool: AVE kernel_size: 2 }')
    text = quant("q", FIRST) + pooling + layer("pool_d", "pool", 'type: "DeQuant"')
    assert quants(taken_out(graph(text), ["pool"]), V200) == [("q",)], "it reads the Quant"
