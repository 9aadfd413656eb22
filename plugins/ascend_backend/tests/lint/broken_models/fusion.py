"""What the fusion passes of single processors break."""

from __future__ import annotations

import numpy as np

from plugins.ascend_backend.tests.lint.broken_models.whole_model import (
    Entry,
    Model,
    blob,
    breaks,
    quant_layer,
    words,
)


def _branch(m: Model, name: str, channels: int = 32, n: int = 0, deq_scale: float = 0.01) -> None:
    """Append a convolution that reads what the Quant ``conv_q`` makes, and its DeQuant."""
    m.add(
        f'name: "{name}" type: "Convolution" bottom: "conv_in" top: "{name}_sum" '
        f"convolution_param {{ num_output: {channels} kernel_size: 1 bias_term: false }}"
    )
    m.add(f'name: "{name}_d" type: "DeQuant" bottom: "{name}_sum" top: "{name}"')
    weights = blob(np.ones((channels, 32, 1, 1), np.int8))
    m.entries.append(Entry(name, "Convolution", [weights]))
    m.entries.append(Entry(f"{name}_d", "DeQuant", [blob(words(channels, deq_scale, n))]))


def _add_up(m: Model, name: str, bottoms: str, parameters: str = "") -> None:
    read = " ".join(f'bottom: "{bottom}"' for bottom in bottoms.split())
    m.add(f'name: "{name}" type: "Eltwise" {read} top: "{name}" {parameters}')


def _reader(m: Model, name: str, bottom: str, scale: float = 25, offset: str = r"\000") -> None:
    """Append a Quant, and an AntiQuant that reads it."""
    quant_layer(m, f"{name}_q", bottom, scale, offset)
    m.add(f'name: "{name}" type: "AntiQuant" bottom: "{name}_q" top: "{name}"')


def _sum_in_int16(m: Model, parameters: str = "") -> None:
    """Append an Eltwise of two DeQuants with N."""
    m.soc_version = "Ascend310P3"
    for name in ("left", "right"):
        _branch(m, name, n=3)
    _add_up(m, "sum", "left right", parameters)


@breaks("A110", "sum", beside=("A094", "A114"))
def sum_in_int16_that_another_sum_reads(m: Model) -> None:
    _sum_in_int16(m)
    _branch(m, "more", n=3)
    _add_up(m, "next", "sum more")
    _reader(m, "last", "next")


@breaks("A110", "next", beside=("A094",))
def sum_of_two_sums_in_int16(m: Model) -> None:
    _sum_in_int16(m)
    _reader(m, "first", "sum")
    for name in ("up2", "down"):
        _branch(m, name, n=3)
    _add_up(m, "sum2", "up2 down")
    _reader(m, "second", "sum2")
    _add_up(m, "next", "sum sum2")
    _reader(m, "last", "next")


@breaks("A111", "sum", beside=("A094",))
def product_in_int16(m: Model) -> None:
    _sum_in_int16(m, "eltwise_param { operation: PROD }")
    _reader(m, "last", "sum")


@breaks("A111", "sum", beside=("A094",))
def difference_in_int16(m: Model) -> None:
    _sum_in_int16(m, "eltwise_param { coeff: 1 coeff: -1 }")
    _reader(m, "last", "sum")


@breaks("A111", "sum", beside=("A094",))
def three_inputs_in_int16(m: Model) -> None:
    _sum_in_int16(m)
    _branch(m, "third", n=3)
    m.replace('bottom: "right" top: "sum"', 'bottom: "right" bottom: "third" top: "sum"')
    m.net = _at_the_end(m.net, 'layer { name: "sum"')
    _reader(m, "last", "sum")


def _at_the_end(net: str, start: str) -> str:
    """Return ``net`` with the line that begins with ``start`` behind all others."""
    lines = net.splitlines(keepends=True)
    return "".join(sorted(lines, key=lambda line: line.startswith(start)))


@breaks("A112", "second_q", beside=("A094", "A056"))
def second_quant_behind_a_sum_in_int16(m: Model) -> None:
    _sum_in_int16(m)
    _reader(m, "first", "sum")
    _reader(m, "second", "sum", 26)


@breaks("A113", "next", beside=("A094",))
def sums_in_int16_of_other_units(m: Model) -> None:
    _sum_in_int16(m)
    _reader(m, "first", "sum")
    _branch(m, "more", n=3, deq_scale=0.02)
    _add_up(m, "next", "sum more")
    _reader(m, "last", "next")


@breaks("A113", "next", beside=("A094",))
def sum_in_float_of_a_sum_in_int16(m: Model) -> None:
    _sum_in_int16(m)
    _reader(m, "first", "sum")
    _branch(m, "more")
    _add_up(m, "next", "sum more")
    _reader(m, "last", "next")


@breaks("A113", "aside_q", beside=("A094",))
def relu_before_a_sum_in_int16_with_another_reader(m: Model) -> None:
    m.soc_version = "Ascend310P3"
    for name in ("left", "right"):
        _branch(m, name, n=3)
    m.add('name: "rectified" type: "ReLU" bottom: "left" top: "rectified"')
    _add_up(m, "sum", "rectified right")
    _reader(m, "first", "sum")
    _reader(m, "aside", "rectified")


@breaks("A114", "sum", beside=("A094",))
def branches_with_other_n(m: Model) -> None:
    m.soc_version = "Ascend310P3"
    _branch(m, "left", n=3)
    _branch(m, "right", n=4)
    _add_up(m, "sum", "left right")
    _reader(m, "last", "sum")


def _concat(m: Model, soc_version: str, channels: int = 32) -> None:
    m.soc_version = soc_version
    for name in ("left", "right"):
        _branch(m, name, channels)
    m.add('name: "both" type: "Concat" bottom: "left" bottom: "right" top: "both"')
    _reader(m, "last", "both")


@breaks("A115", "left_d", beside=("A094",))
def second_reader_of_a_dequant_before_a_concat(m: Model) -> None:
    _concat(m, "Ascend310")
    m.add('name: "aside" type: "Sigmoid" bottom: "left" top: "aside"')


@breaks("A115", "left_d", beside=("A094",))
def concat_that_reads_a_dequant_twice(m: Model) -> None:
    _concat(m, "Ascend310")
    m.replace('bottom: "left" bottom: "right"', 'bottom: "left" bottom: "left" bottom: "right"')


@breaks("A116", "fc_d", beside=("A094",))
def deq_scale_beyond_float16(m: Model) -> None:
    m.soc_version = "Ascend310"
    m.entry("fc_d").blobs = [blob(words(1, 65505.0))]


@breaks("A116", "conv_d", beside=("A094",))
def deq_scale_beyond_float16_with_the_scale_of_a_quant(m: Model) -> None:
    m.soc_version = "Ascend910A"
    m.entry("conv_d").blobs = [blob(words(32, 3000.0))]


@breaks("A117", "conv_d", beside=("A094",))
def square_root_that_lets_the_product_saturate(m: Model) -> None:
    m.soc_version = "Ascend310"
    m.replace("kernel_size: 3 pad: 1", "kernel_size: 7 pad: 3")
    m.entry("conv").blobs[0] = blob(np.full((32, 32, 7, 7), 127, np.int8))
    m.entry("conv_d").blobs = [blob(words(32, 1.2e-7))]


@breaks("A118", "both", beside=("A094",))
def concat_of_40_channels(m: Model) -> None:
    _concat(m, "Ascend310P3", 40)
