"""A model that breaks no rule, and for each rule models that break it and no other."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable, Optional

import attrs
import numpy as np

from amct_caffe.model.formats.caffemodel.wire import encode_bytes, encode_varints
from ascend_backend.lint import DeployModel, find, read_model
from ascend_backend.targets import find_target

NET = r"""
name: "whole"
layer { name: "data" type: "Input" top: "data"
  input_param { shape { dim: 1 dim: 32 dim: 8 dim: 8 } } }
layer { name: "conv_q" type: "Quant" bottom: "data" top: "conv_in"
  quant_param { scale: 12.5 offset: "\200" } }
layer { name: "conv" type: "Convolution" bottom: "conv_in" top: "conv_sum"
  convolution_param { num_output: 32 kernel_size: 3 pad: 1 } }
layer { name: "conv_d" type: "DeQuant" bottom: "conv_sum" top: "conv" }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "up_q" type: "Quant" bottom: "conv" top: "up_in"
  quant_param { scale: 25 offset: "\001" } }
layer { name: "up" type: "Deconvolution" bottom: "up_in" top: "up_sum"
  convolution_param { num_output: 32 kernel_size: 2 stride: 2 bias_term: false } }
layer { name: "up_d" type: "DeQuant" bottom: "up_sum" top: "up" }
layer { name: "pool_q" type: "Quant" bottom: "up" top: "pool_in"
  quant_param { scale: 25 offset: "\002" } }
layer { name: "pool" type: "Pooling" bottom: "pool_in" top: "pool_sum"
  pooling_param { pool: AVE kernel_size: 2 stride: 2 } }
layer { name: "pool_d" type: "DeQuant" bottom: "pool_sum" top: "pool" }
layer { name: "fc_q" type: "Quant" bottom: "pool" top: "fc_in"
  quant_param { scale: 25 offset: "\003" } }
layer { name: "fc" type: "InnerProduct" bottom: "fc_in" top: "fc_sum"
  inner_product_param { num_output: 10 } }
layer { name: "fc_d" type: "DeQuant" bottom: "fc_sum" top: "fc" }
layer { name: "prob" type: "Softmax" bottom: "fc" top: "prob" }
"""

BOTTOM = 3
SHAPE, DIM = 7, 1
FIELDS = {"float32": 5, "int8": 10, "int32": 11, "uint64": 12}
DEQ_SCALE = 2.0**-7


def words(count: int, deq_scale: float = DEQ_SCALE, n: Any = 0, high: int = 0) -> np.ndarray:
    """Return DeQuant words; ``high`` are bits 40 and up."""
    scales = np.full(count, deq_scale, np.float32).view(np.uint32).astype(np.uint64)
    shifts = np.broadcast_to(np.asarray(n, np.uint64), count) << np.uint64(32)
    return scales | shifts | (np.uint64(high) << np.uint64(40))


def payload(array: np.ndarray) -> bytes:
    """Return the elements of a blob as protobuf has them."""
    raw = array.tobytes() if array.dtype.name in ("float32", "int8") else encode_varints(array)
    return encode_bytes(FIELDS[array.dtype.name], raw)


def blob(array: np.ndarray, shape: Optional[tuple[int, ...]] = None) -> bytes:
    """Return a BlobProto; ``shape`` in place of the array's own."""
    dims = encode_varints(np.asarray(array.shape if shape is None else shape, np.int64))
    return encode_bytes(SHAPE, encode_bytes(DIM, dims)) + payload(array)


@attrs.define
class Entry:
    """A layer of the weights file."""

    name: str
    type: str
    blobs: list[bytes]
    bottoms: list[str] = attrs.field(factory=lambda: ["x"])
    """ATC counts them; their names do not matter to it."""

    def encoded(self, numbers: tuple[int, int, int, int] = (100, 1, 2, 7)) -> bytes:
        """Return the entry; ``numbers`` of layer, name, type and blobs."""
        layer, name, kind, blobs = numbers
        content = encode_bytes(name, self.name.encode()) + encode_bytes(kind, self.type.encode())
        content += b"".join(encode_bytes(BOTTOM, bottom.encode()) for bottom in self.bottoms)
        return encode_bytes(layer, content + b"".join(encode_bytes(blobs, b) for b in self.blobs))


@attrs.define
class Model:
    """A prototxt, a weights file, and the processor they are linted for."""

    net: str
    entries: list[Entry]
    raw_weights: Optional[bytes] = None
    soc_version: Optional[str] = None

    @classmethod
    def whole(cls) -> Model:
        """Return the model that breaks no rule."""
        ones = np.ones
        entries = [
            Entry("conv", "Convolution", [blob(ones((32, 32, 3, 3), np.int8)), bias(32)]),
            Entry("conv_d", "DeQuant", [blob(words(32))]),
            Entry("up", "Deconvolution", [blob(ones((32, 32, 2, 2), np.int8))]),
            Entry("up_d", "DeQuant", [blob(words(32))]),
            Entry("pool_d", "DeQuant", [blob(words(1))]),
            Entry("fc", "InnerProduct", [blob(ones((10, 2048), np.int8)), bias(10)]),
            Entry("fc_d", "DeQuant", [blob(words(1))]),
        ]
        return cls(NET, entries)

    def replace(self, old: str, new: str) -> None:
        """Change the prototxt at its first ``old``."""
        assert old in self.net
        self.net = self.net.replace(old, new, 1)

    def add(self, layer: str) -> None:
        """Append a layer to the prototxt."""
        self.net += f"layer {{ {layer} }}\n"

    def entry(self, name: str) -> Entry:
        """Return a layer of the weights file."""
        return next(entry for entry in self.entries if entry.name == name)

    def write(self, folder: Path) -> tuple[str, str]:
        """Write both files; return their paths."""
        model, weights = folder / "m_deploy_model.prototxt", folder / "m_deploy_weights.caffemodel"
        model.write_text(self.net)
        encoded = b"".join(entry.encoded() for entry in self.entries)
        weights.write_bytes(encoded if self.raw_weights is None else self.raw_weights)
        return str(model), str(weights)

    def read(self, folder: Path) -> DeployModel:
        """Write both files and read them."""
        target = None if self.soc_version is None else find_target(self.soc_version)
        return read_model(*self.write(folder), target)

    def broken(self, folder: Path) -> dict[str, list[str]]:
        """Return what is found in it, the messages by rule."""
        found: dict[str, list[str]] = {}
        for each in find(self.read(folder)):
            found.setdefault(each.rule.id, []).append(each.problem.message)
        return found


def bias(count: int) -> bytes:
    """Return an int32 bias."""
    return blob(np.arange(-1, count - 1, dtype=np.int32))


def floats(*shape: int, value: float = 0.5) -> bytes:
    """Return a float blob."""
    return blob(np.full(shape, value, np.float32))


@attrs.frozen
class Broken:
    """A change that makes the whole model break one rule.

    Attributes:
        rule: its id.
        layer: the layer that is named, if it is one.
        change: applied to :meth:`Model.whole`.
        beside: rules that every model breaks on the processor that ``change`` chooses.
    """

    rule: str
    layer: Optional[str]
    change: Callable[[Model], None]
    beside: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.rule} {self.change.__name__}"


CASES: list[Broken] = []


def breaks(
    rule: str, layer: Optional[str] = None, beside: tuple[str, ...] = ()
) -> Callable[[Callable[[Model], None]], None]:
    """Register a change."""

    def register(change: Callable[[Model], None]) -> None:
        CASES.append(Broken(rule, layer, change, beside))

    return register


def _only_a_name(m: Model) -> None:
    m.net, m.entries = 'name: "n"', [Entry("nothing", "ReLU", [])]


def _only_an_input(m: Model) -> None:
    m.net = m.net[: m.net.index('layer { name: "conv_q"')]


@breaks("A001")
def v1_prototxt(m: Model) -> None:
    _only_a_name(m)
    m.net += 'layers { name: "r" type: RELU bottom: "d" top: "r" }'


@breaks("A002")
def no_layer(m: Model) -> None:
    _only_a_name(m)


@breaks("A003", "pr ob")
def space_in_a_name(m: Model) -> None:
    m.replace('name: "prob"', 'name: "pr ob"')


@breaks("A003", "próba")
def letter_of_another_alphabet(m: Model) -> None:
    m.replace('name: "prob"', 'name: "próba"')


@breaks("A004", "last")
def no_type(m: Model) -> None:
    m.add('name: "last" bottom: "prob" top: "last"')


@breaks("A004")
def no_name(m: Model) -> None:
    m.add('type: "ReLU" bottom: "prob" top: "last"')


@breaks("A005", "relu")
def repeated_name(m: Model) -> None:
    m.add('name: "relu" type: "ReLU" bottom: "prob" top: "last"')


@breaks("A010", "last")
def unknown_bottom(m: Model) -> None:
    m.add('name: "last" type: "ReLU" bottom: "nowhere" top: "last"')


@breaks("A010", "prob")
def bottom_of_a_layer_that_is_dropped(m: Model) -> None:
    m.add('name: "t" type: "ReLU" bottom: "up" top: "t" include { phase: TRAIN }')
    m.replace('bottom: "fc" top: "prob"', 'bottom: "t" top: "prob"')


@breaks("A011", "last")
def repeated_top(m: Model) -> None:
    m.add('name: "last" type: "ReLU" bottom: "up" top: "prob"')


@breaks("A012", "last")
def no_top(m: Model) -> None:
    m.add('name: "last" type: "ReLU" bottom: "prob"')


@breaks("A013", "loss")
def loss(m: Model) -> None:
    m.add('name: "loss" type: "SoftmaxWithLoss" bottom: "fc" bottom: "prob" top: "loss"')


@breaks("A013", "labels")
def data_layer(m: Model) -> None:
    m.add('name: "labels" type: "Data" top: "label"')


@breaks("A013", "code")
def python_layer(m: Model) -> None:
    m.add('name: "code" type: "Python" bottom: "prob" top: "code"')


@breaks("A014", "swish")
def unlisted_type(m: Model) -> None:
    m.add('name: "swish" type: "Swish" bottom: "prob" top: "swish"')


@breaks("A014", "clip")
def type_of_bvlc_caffe_without_a_plugin(m: Model) -> None:
    m.add('name: "clip" type: "Clip" bottom: "prob" top: "clip" clip_param { min: 0 max: 6 }')


@breaks("A014", "tanh")
def type_in_other_letters(m: Model) -> None:
    m.add('name: "tanh" type: "Tanh" bottom: "prob" top: "tanh"')


@breaks("A015", "boxes")
def ambiguous_type(m: Model) -> None:
    m.add('name: "boxes" type: "DetectionOutput" bottom: "prob" top: "boxes"')


@breaks("A016", "last")
def include_without_phase(m: Model) -> None:
    m.add('name: "last" type: "ReLU" bottom: "prob" top: "last" include { stage: "deploy" }')


@breaks("A016", "last")
def exclude(m: Model) -> None:
    m.add('name: "last" type: "ReLU" bottom: "prob" top: "last" exclude { phase: TEST }')


@breaks("A017", "conv")
def convolution_by_nd_im2col(m: Model) -> None:
    m.replace("kernel_size: 3 pad: 1", "kernel_size: 3 pad: 1 force_nd_im2col: true")


def _float_convolution(m: Model, parameters: str, *shape: int, kind: str = "Convolution") -> None:
    """Append a convolution without a bias that reads (1, 32, 16, 16)."""
    m.add(
        f'name: "last" type: "{kind}" bottom: "up" top: "last" '
        f"convolution_param {{ num_output: 2 bias_term: false {parameters} }}"
    )
    m.entries.append(Entry("last", kind, [floats(*shape)]))


@breaks("A017", "last")
def depthwise_convolution_by_nd_im2col(m: Model) -> None:
    parameters = "kernel_size: 1 group: 2 force_nd_im2col: true"
    _float_convolution(m, parameters, 2, 16, 1, 1, kind="DepthwiseConvolution")


@breaks("A018", "last")
def convolution_along_the_last_axis(m: Model) -> None:
    _float_convolution(m, "kernel_size: 1 axis: 2", 2, 16, 1)


@breaks("A018", "last")
def deconvolution_along_the_last_axis(m: Model) -> None:
    _float_convolution(m, "kernel_size: 1 axis: -2", 16, 2, 1, kind="Deconvolution")


@breaks("A018", "last")
def convolution_over_three_axes(m: Model) -> None:
    parameters = "kernel_size: 1 kernel_size: 1 kernel_size: 1"
    _float_convolution(m, parameters, 2, 32, 1, 1, 1)


@breaks("A018", "last")
def convolution_over_three_axes_of_one_size(m: Model) -> None:
    _float_convolution(m, "kernel_size: 1", 2, 32, 1, 1, 1)


@breaks("A019", "conv")
def convolution_of_two_blobs(m: Model) -> None:
    two = 'type: "Convolution" bottom: "conv_in" bottom: "conv_in" top: "conv_sum" top: "unread"'
    m.replace('type: "Convolution" bottom: "conv_in" top: "conv_sum"', two)
    m.entry("conv").bottoms = ["x", "y"]


@breaks("A019", "up")
def deconvolution_with_two_tops(m: Model) -> None:
    m.replace('bottom: "up_in" top: "up_sum"', 'bottom: "up_in" top: "up_sum" top: "unread"')


@breaks("A020", "more")
def input_without_a_shape(m: Model) -> None:
    m.add('name: "more" type: "Input" top: "more" input_param { }')


@breaks("A021", "more")
def input_without_parameters(m: Model) -> None:
    m.add('name: "more" type: "Input" top: "more"')


@breaks("A021", "more")
def net_input_without_a_shape(m: Model) -> None:
    m.net += 'input: "more"'


@breaks("A022", "data")
def batch_of_0(m: Model) -> None:
    m.replace("dim: 1 ", "dim: 0 ")


@breaks("A022", "data")
def batch_of_minus_1(m: Model) -> None:
    m.replace("dim: 1 ", "dim: -1 ")


@breaks("A023", "more")
def input_of_two_tops(m: Model) -> None:
    m.add('name: "more" type: "Input" top: "x" top: "y" input_param { shape { dim: 1 } }')


@breaks("A024")
def too_few_input_dims(m: Model) -> None:
    m.net += 'input: "more" input_dim: 1 input_dim: 3 input_dim: 8'


@breaks("A024")
def too_many_input_shapes(m: Model) -> None:
    m.net += 'input: "more" input_shape { dim: 1 } input_shape { dim: 1 }'


@breaks("A024")
def input_dims_and_shapes(m: Model) -> None:
    dims = "input_dim: 1 " * 4
    m.net += f'input: "more" {dims} input_shape {{ dim: 1 }}'


@breaks("A030")
def v1_weights(m: Model) -> None:
    _only_an_input(m)
    m.raw_weights = Entry("conv", "Convolution", []).encoded((2, 4, 5, 6))


@breaks("A031")
def empty_weights_file(m: Model) -> None:
    _only_an_input(m)
    m.raw_weights = b""


@breaks("A032", "fc")
def bias_with_an_element_missing(m: Model) -> None:
    m.entry("fc").blobs[1] = blob(np.zeros(9, np.int32), (10,))


@breaks("A032", "conv")
def weights_with_a_byte_too_many(m: Model) -> None:
    m.entry("conv").blobs[0] = blob(np.zeros(9217, np.int8), (32, 32, 3, 3))


@breaks("A033", "fc")
def bias_of_size_0(m: Model) -> None:
    m.entry("fc").blobs[1] = blob(np.zeros(10, np.int32), (0,))


@breaks("A033", "fc")
def too_many_elements(m: Model) -> None:
    m.entry("fc").blobs[1] = blob(np.zeros(10, np.int32), (2**16, 2**16))


@breaks("A034", "fc")
def weights_missing(m: Model) -> None:
    m.entries.remove(m.entry("fc"))


@breaks("A034", "fc")
def entry_without_blobs(m: Model) -> None:
    m.entry("fc").blobs = []


@breaks("A035", "fc")
def types_differ(m: Model) -> None:
    m.entry("fc").type = "innerproduct"


@breaks("A036", "up")
def bias_though_bias_term_is_false(m: Model) -> None:
    m.entry("up").blobs.append(bias(32))


@breaks("A036", "fc")
def no_bias_though_bias_term_is_true(m: Model) -> None:
    m.entry("fc").blobs.pop()


@breaks("A037", "fc")
def two_entries(m: Model) -> None:
    m.entries.append(m.entry("fc"))


@breaks("A038", "gone")
def weights_of_a_layer_that_is_not_there(m: Model) -> None:
    m.entries.append(Entry("gone", "InnerProduct", [floats(2, 2)]))


@breaks("A039", "conv")
def filter_of_another_size(m: Model) -> None:
    m.entry("conv").blobs[0] = blob(np.ones((32, 32, 5, 5), np.int8))


@breaks("A040", "fc")
def integers_and_floats_in_one_blob(m: Model) -> None:
    m.entry("fc").blobs[1] += payload(np.ones(10, np.float32))


@breaks("A041", "b")
def sharing_of_weights_alone(m: Model) -> None:
    for name, value in (("a", 1.0), ("b", 2.0)):
        m.add(
            f'name: "{name}" type: "InnerProduct" bottom: "prob" top: "{name}" '
            'param { name: "w" } inner_product_param { num_output: 2 }'
        )
        m.entries.append(Entry(name, "InnerProduct", [floats(2, 10), floats(2, value=value)]))


@breaks("A042", "fc_d")
def dequant_entry_without_bottoms(m: Model) -> None:
    m.entry("fc_d").bottoms = []


@breaks("A042", "conv")
def convolution_entry_without_bottoms(m: Model) -> None:
    m.entry("conv").bottoms = []


@breaks("A042", "fc_d")
def dequant_entry_with_two_bottoms(m: Model) -> None:
    m.entry("fc_d").bottoms = ["x", "y"]


@breaks("A042", "b")
def bottoms_of_the_entry_that_two_layers_share(m: Model) -> None:
    shared = 'type: "Scale" param { name: "s" } scale_param { bias_term: false }'
    m.add(f'name: "a" {shared} bottom: "prob" top: "a"')
    m.add(f'name: "b" {shared} bottom: "prob" bottom: "a" top: "b"')
    m.entries.append(Entry("a", "Scale", [floats(10)]))


@breaks("A043", "last")
def second_bottom_where_the_operator_takes_weights(m: Model) -> None:
    m.add('name: "last" type: "PReLU" bottom: "prob" bottom: "fc" top: "last"')
    m.entries.append(Entry("last", "PReLU", [floats(10)], ["x", "y"]))


@breaks("A043", "last")
def one_input_for_a_bottom_and_a_blob(m: Model) -> None:
    bottoms = 'bottom: "prob" bottom: "fc" bottom: "up" top: "last"'
    m.add(f'name: "last" type: "LSTM" {bottoms} recurrent_param {{ num_output: 2 }}')
    blobs = [floats(8, 10), floats(8), floats(8, 2), floats(8, 2)]
    m.entries.append(Entry("last", "LSTM", blobs, ["x", "y", "z"]))


@breaks("A050", "fc_q")
def quant_without_scale(m: Model) -> None:
    m.replace(r'scale: 25 offset: "\003"', r'offset: "\003"')


@breaks("A051", "fc_q")
def negative_scale(m: Model) -> None:
    m.replace(r'scale: 25 offset: "\003"', r'scale: -25 offset: "\003"')


@breaks("A051", "fc_q")
def scale_beyond_float32(m: Model) -> None:
    m.replace(r'scale: 25 offset: "\003"', r'scale: 1e39 offset: "\003"')


@breaks("A051", "fc_q")
def scale_of_nan(m: Model) -> None:
    m.replace(r'scale: 25 offset: "\003"', r'scale: nan offset: "\003"')


@breaks("A052", "fc_q")
def scale_beyond_float16(m: Model) -> None:
    m.replace(r'scale: 25 offset: "\003"', r'scale: 65505 offset: "\003"')


@breaks("A052", "fc_q")
def scale_below_float16(m: Model) -> None:
    m.replace(r'scale: 25 offset: "\003"', r'scale: 6.1e-5 offset: "\003"')


@breaks("A053", "fc_q")
def offset_in_letters(m: Model) -> None:
    m.replace(r'offset: "\003"', 'offset: "-128"')


@breaks("A053", "fc_q")
def empty_offset(m: Model) -> None:
    m.replace(r'offset: "\003"', 'offset: ""')


@breaks("A054", "fc_q")
def no_offset(m: Model) -> None:
    m.replace(r'scale: 25 offset: "\003"', "scale: 25")


def _quant(m: Model, name: str, bottom: str, scale: float = 25, offset: str = r"\000") -> None:
    m.add(
        f'name: "{name}" type: "Quant" bottom: "{bottom}" top: "{name}" '
        f'quant_param {{ scale: {scale} offset: "{offset}" }}'
    )


@breaks("A055", "extra_q")
def quant_before_a_relu(m: Model) -> None:
    _quant(m, "extra_q", "prob")
    m.add('name: "last" type: "ReLU" bottom: "extra_q" top: "last"')


@breaks("A055", "extra_q")
def quant_that_nothing_reads(m: Model) -> None:
    _quant(m, "extra_q", "prob")


@breaks("A056", "second_q")
def siblings_of_other_scales(m: Model) -> None:
    _quant(m, "first_q", "prob")
    _quant(m, "second_q", "prob", 26)
    for name in ("first", "second"):
        m.add(f'name: "{name}" type: "AntiQuant" bottom: "{name}_q" top: "{name}"')


@breaks("A060", "conv")
def accumulators_with_a_second_reader(m: Model) -> None:
    m.add('name: "last" type: "ReLU" bottom: "conv_sum" top: "last"')


@breaks("A060", "fc")
def no_dequant(m: Model) -> None:
    m.replace('layer { name: "fc_d" type: "DeQuant" bottom: "fc_sum" top: "fc" }', "")
    m.replace('bottom: "fc" top: "prob"', 'bottom: "fc_sum" top: "prob"')
    m.entry("fc_d").blobs = []


@breaks("A061", "last")
def dequant_of_floats(m: Model) -> None:
    m.add('name: "last" type: "DeQuant" bottom: "prob" top: "last"')
    m.entries.append(Entry("last", "DeQuant", [blob(words(1))]))


@breaks("A062", "last")
def integer_weights_without_quant(m: Model) -> None:
    m.add(
        'name: "last" type: "InnerProduct" bottom: "prob" top: "last" '
        "inner_product_param { num_output: 2 bias_term: false }"
    )
    m.entries.append(Entry("last", "InnerProduct", [blob(np.ones((2, 10), np.int8))]))


@breaks("A063", "fc")
def float_weights(m: Model) -> None:
    m.entry("fc").blobs[0] = floats(10, 2048)


@breaks("A064", "fc")
def float_bias(m: Model) -> None:
    m.entry("fc").blobs[1] = floats(10)


@breaks("A065", "fc")
def axis_2(m: Model) -> None:
    m.replace("num_output: 10", "num_output: 10 axis: 2")


@breaks("A065", "fc")
def transposed(m: Model) -> None:
    m.replace("num_output: 10", "num_output: 10 transpose: true")
    m.entry("fc").blobs[0] = blob(np.ones((2048, 10), np.int8))


@breaks("A066", "conv")
def filter_with_three_dimensions(m: Model) -> None:
    m.entry("conv").blobs[0] = blob(np.ones((32, 32, 3), np.int8))


@breaks("A067", "up")
def dilation(m: Model) -> None:
    m.replace("kernel_size: 2 stride: 2 bias_term", "kernel_size: 2 dilation: 2 bias_term")


@breaks("A068", "up")
def groups(m: Model) -> None:
    m.replace("kernel_size: 2 stride: 2 bias_term", "kernel_size: 2 group: 2 bias_term")
    m.entry("up").blobs[0] = blob(np.ones((32, 16, 2, 2), np.int8))


@breaks("A069", "pool")
def global_pooling(m: Model) -> None:
    m.replace("pool: AVE kernel_size: 2 stride: 2", "pool: AVE global_pooling: true")


@breaks("A070", "pool_d")
def shift_on_pooling(m: Model) -> None:
    m.entry("pool_d").blobs = [blob(words(1, n=1))]


@breaks("A071", "last")
def product_of_int8(m: Model) -> None:
    _quant(m, "extra_q", "prob")
    m.add(
        'name: "last" type: "Eltwise" bottom: "extra_q" bottom: "extra_q" top: "last" '
        "eltwise_param { operation: PROD }"
    )


def _max_pooling(m: Model) -> None:
    m.add(
        'name: "last" type: "Pooling" bottom: "up" top: "last" top: "mask" '
        "pooling_param { pool: MAX kernel_size: 2 stride: 2 }"
    )


@breaks("A072", "last")
def mask_that_a_layer_reads(m: Model) -> None:
    _max_pooling(m)
    m.add('name: "reader" type: "ReLU" bottom: "mask" top: "reader"')


@breaks("A072", "last")
def mask_that_nothing_reads(m: Model) -> None:
    _max_pooling(m)


@breaks("A073", "last")
def reshape_without_parameters(m: Model) -> None:
    m.add('name: "last" type: "Reshape" bottom: "up" top: "last"')


@breaks("A073", "last")
def reshape_without_a_shape(m: Model) -> None:
    m.add('name: "last" type: "Reshape" bottom: "up" top: "last" reshape_param { axis: 1 }')


@breaks("A074", "last")
def stochastic_pooling(m: Model) -> None:
    m.add(
        'name: "last" type: "Pooling" bottom: "up" top: "last" '
        "pooling_param { pool: STOCHASTIC kernel_size: 2 }"
    )


@breaks("A075", "last")
def normalization_within_a_channel(m: Model) -> None:
    m.add(
        'name: "last" type: "LRN" bottom: "up" top: "last" '
        "lrn_param { local_size: 3 norm_region: WITHIN_CHANNEL }"
    )


@breaks("A076", "last")
def slopes_of_an_rrelu(m: Model) -> None:
    slopes = "rrelu_param { lower: 3 upper: 8 }"
    m.add(f'name: "last" type: "RReLU" bottom: "up" top: "last" {slopes}')


@breaks("A076", "last")
def slope_of_a_leaky_relu_in_a_field_of_its_own(m: Model) -> None:
    slope = "leaky_relu_param { negative_slope: 0.1 }"
    m.add(f'name: "last" type: "LeakyReLU" bottom: "up" top: "last" {slope}')


@breaks("A076", "last")
def slope_of_a_relu6(m: Model) -> None:
    slope = "relu_param { negative_slope: 0.1 }"
    m.add(f'name: "last" type: "ReLU6" bottom: "up" top: "last" {slope}')


def _float_inner_product(m: Model, name: str, bottom: str, axis: int, inputs: int) -> None:
    m.add(
        f'name: "{name}" type: "InnerProduct" bottom: "{bottom}" top: "{name}" '
        f"inner_product_param {{ num_output: 2 bias_term: false axis: {axis} }}"
    )
    m.entries.append(Entry(name, "InnerProduct", [floats(2, inputs)]))


@breaks("A077", "last")
def inner_product_along_the_width(m: Model) -> None:
    _float_inner_product(m, "last", "up", 3, 16)


@breaks("A077", "last")
def inner_product_along_the_batch(m: Model) -> None:
    _float_inner_product(m, "last", "up", 0, 8192)


@breaks("A077", "last")
def inner_product_along_the_last_of_four_axes(m: Model) -> None:
    _float_inner_product(m, "last", "up", -1, 16)


@breaks("A077", "last")
def inner_product_along_the_last_axis_behind_another_at_batch_1(m: Model) -> None:
    _float_inner_product(m, "last", "prob", -1, 10)


@breaks("A078", "prob")
def softmax_along_the_last_axis_at_batch_1(m: Model) -> None:
    m.replace('bottom: "fc" top: "prob"', 'bottom: "fc" top: "prob" softmax_param { axis: -1 }')


@breaks("A078", "last")
def slices_along_the_last_axis_at_batch_1(m: Model) -> None:
    m.add('name: "gate" type: "Sigmoid" bottom: "prob" top: "gate"')
    m.add(
        'name: "last" type: "Slice" bottom: "gate" top: "first" top: "second" '
        "slice_param { axis: -1 }"
    )


@breaks("A078", "last")
def concat_along_the_last_axis_at_batch_1(m: Model) -> None:
    m.add(
        'name: "last" type: "Concat" bottom: "fc" bottom: "prob" top: "last" '
        "concat_param { axis: -1 }"
    )


@breaks("A078", "last")
def concat_of_a_flat_blob_and_an_inner_product_at_batch_1(m: Model) -> None:
    m.add('name: "flat" type: "Flatten" bottom: "up" top: "flat"')
    m.add('name: "last" type: "Concat" bottom: "flat" bottom: "prob" top: "last"')


@breaks("A079", "first_q", beside=("A094",))
def merged_siblings_of_other_offsets(m: Model) -> None:
    m.soc_version = "Ascend310P3"
    _quant(m, "first_q", "fc", offset=r"\001")
    _quant(m, "second_q", "fc", 25.000009, offset=r"\002")
    m.replace('bottom: "fc" top: "prob"', 'bottom: "first" top: "prob"')
    for name in ("first", "second"):
        m.add(f'name: "{name}" type: "AntiQuant" bottom: "{name}_q" top: "{name}"')


@breaks("A080", "fc_d")
def dequant_of_two_dimensions(m: Model) -> None:
    m.entry("fc_d").blobs = [blob(words(1), (1, 1))]


@breaks("A080", "fc_d")
def dequant_of_floats_as_in_the_fake_quantized_model(m: Model) -> None:
    m.entry("fc_d").blobs = [floats(1), floats(1), floats(1)]


@breaks("A080", "fc_d")
def dequant_without_a_blob(m: Model) -> None:
    m.entry("fc_d").blobs = []


@breaks("A081", "conv_d")
def words_for_other_channels(m: Model) -> None:
    m.entry("conv_d").blobs = [blob(words(31))]


@breaks("A082", "conv_d")
def shift_for_some_channels(m: Model) -> None:
    m.entry("conv_d").blobs = [blob(words(32, n=[0] + [3] * 31))]


@breaks("A082", "conv_d")
def shift_of_17(m: Model) -> None:
    m.entry("conv_d").blobs = [blob(words(32, n=17))]


@breaks("A083", "conv_d")
def weight_offset(m: Model) -> None:
    m.entry("conv_d").blobs = [blob(words(32, high=0xFF))]


@breaks("A084", "conv_d")
def upper_bits(m: Model) -> None:
    m.entry("conv_d").blobs = [blob(words(32, high=0x100))]


@breaks("A085", "conv_d")
def deq_scale_of_0(m: Model) -> None:
    m.entry("conv_d").blobs = [blob(words(32, 0.0))]


@breaks("A085", "conv_d")
def infinite_deq_scale(m: Model) -> None:
    m.entry("conv_d").blobs = [blob(words(32, np.inf))]


@breaks("A086", "conv_d")
def huge_deq_scale(m: Model) -> None:
    m.entry("conv_d").blobs = [blob(words(32, 2.0**24))]


@breaks("A090")
def processor_without_caffe(m: Model) -> None:
    m.soc_version = "Ascend910B1"


@breaks("A091", beside=("A094",))
def processor_that_passes_over_n(m: Model) -> None:
    m.soc_version = "Ascend310B1"
    m.entry("conv_d").blobs = [blob(words(32, n=3))]


@breaks("A092", "conv")
def sixteen_input_channels(m: Model) -> None:
    m.replace("dim: 32", "dim: 16")
    m.entry("conv").blobs[0] = blob(np.ones((32, 16, 3, 3), np.int8))


@breaks("A092", "fc")
def inner_product_behind_few_channels(m: Model) -> None:
    m.replace("num_output: 32 kernel_size: 2", "num_output: 16 kernel_size: 2")
    m.entry("up").blobs = [blob(np.ones((32, 16, 2, 2), np.int8))]
    m.entry("up_d").blobs = [blob(words(16))]
    m.entry("fc").blobs[0] = blob(np.ones((10, 1024), np.int8))


@breaks("A093", beside=("A094",))
def processor_that_cuts_deq_scale(m: Model) -> None:
    m.soc_version = "Ascend310B1"
    m.entry("conv_d").blobs = [blob(words(32, 0.01))]


@breaks("A094")
def processor_that_quantizes_in_float16(m: Model) -> None:
    m.soc_version = "Ascend310P3"


@breaks("A095", "pool")
def pooling_to_a_width_of_1(m: Model) -> None:
    m.replace("AVE kernel_size: 2 stride: 2", "AVE kernel_h: 2 kernel_w: 16 stride: 2")
    m.entry("fc").blobs[0] = blob(np.ones((10, 256), np.int8))


SSD = """
  num_classes: 21 share_location: true background_label_id: 0 iou_threshold: 0.45 top_k: 400
  eta: 1.0 variance_encoded_in_target: false code_type: 2 keep_top_k: 200
  confidence_threshold: 0.01 """
YOLO_V2 = """
  boxes: 2 classes: 20 coords: 4 relative: true obj_threshold: 0.5 score_threshold: 0.5
  iou_threshold: 0.45 pre_nms_topn: 512 post_nms_topn: 1024
  biases: 0.5 biases: 0.7 biases: 1.9 biases: 2.1 """
YOLO_V3 = """
  boxes: 1 classes: 80 obj_threshold: 0.5 score_threshold: 0.5 iou_threshold: 0.45
  pre_nms_topn: 512 post_nms_topn: 1024
  biases_high: 10 biases_high: 13 biases_mid: 30 biases_mid: 61 biases_low: 116 biases_low: 90 """
FASTER_RCNN = "num_classes: 3 score_threshold: 0.0 iou_threshold: 0.7 batch_rois: 1"
DETECTIONS = {
    "SSDDetectionOutput": ("ssddetectionoutput_param", SSD, 3),
    "YoloV2DetectionOutput": ("yolov2_detection_output_param", YOLO_V2, 4),
    "YoloV3DetectionOutput": ("yolov3_detection_output_param", YOLO_V3, 10),
    "FSRDetectionOutput": ("fsrdetectionoutput_param", FASTER_RCNN, 5),
}
"""By type: the message of the parameters, whole parameters, and the number of bottoms."""


def detection(m: Model, kind: str, *changes: tuple[str, str], bottoms: int = 0) -> None:
    """Append a detection output that breaks no rule, apart from ``changes`` of its text."""
    message, fields, count = DETECTIONS[kind]
    blobs = 'bottom: "prob" ' * (bottoms or count)
    text = f'name: "boxes" type: "{kind}" {blobs} top: "a" top: "b" {message} {{ {fields} }}'
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    m.add(text)


@breaks("A100", "boxes")
def detection_output_of_one_top(m: Model) -> None:
    detection(m, "SSDDetectionOutput", ('top: "b"', ""))


@breaks("A100", "boxes")
def yolo_output_of_three_tops(m: Model) -> None:
    detection(m, "YoloV3DetectionOutput", ('top: "b"', 'top: "b" top: "c"'))


@breaks("A101", "boxes")
def detection_output_of_four_bottoms(m: Model) -> None:
    detection(m, "SSDDetectionOutput", bottoms=4)


@breaks("A101", "boxes")
def yolo_v2_without_image_information(m: Model) -> None:
    detection(m, "YoloV2DetectionOutput", bottoms=3)


@breaks("A101", "boxes")
def yolo_v3_without_image_information(m: Model) -> None:
    detection(m, "YoloV3DetectionOutput", bottoms=9)


@breaks("A101", "boxes")
def regions_without_scores(m: Model) -> None:
    detection(m, "FSRDetectionOutput", bottoms=2)


@breaks("A102", "boxes")
def parameters_of_the_type_before(m: Model) -> None:
    detection(m, "SSDDetectionOutput", ("ssddetectionoutput_param", "detection_output_param"))


@breaks("A102", "boxes")
def no_parameters(m: Model) -> None:
    message, fields, _ = DETECTIONS["YoloV2DetectionOutput"]
    detection(m, "YoloV2DetectionOutput", (f"{message} {{ {fields} }}", ""))


@breaks("A103", "boxes")
def no_number_of_classes(m: Model) -> None:
    detection(m, "SSDDetectionOutput", ("num_classes: 21", ""))


@breaks("A103", "boxes")
def no_score_threshold(m: Model) -> None:
    detection(m, "FSRDetectionOutput", ("score_threshold: 0.0", ""))


@breaks("A103", "boxes")
def no_biases(m: Model) -> None:
    detection(m, "YoloV2DetectionOutput", ("biases: 0.5 biases: 0.7 biases: 1.9 biases: 2.1", ""))


@breaks("A104", "boxes")
def code_type_by_name(m: Model) -> None:
    detection(m, "SSDDetectionOutput", ("code_type: 2", "code_type: CENTER_SIZE"))


@breaks("A104", "boxes")
def boxes_in_fractions(m: Model) -> None:
    detection(m, "SSDDetectionOutput", ("keep_top_k: 200", "keep_top_k: 200.5"))


@breaks("A105", "boxes")
def nested_parameters(m: Model) -> None:
    detection(m, "SSDDetectionOutput", ("eta: 1.0", "eta: 1.0 nms_param { top_k: 400 }"))


@breaks("A105", "boxes")
def field_of_another_operator(m: Model) -> None:
    detection(m, "YoloV3DetectionOutput", ("boxes: 1", "boxes: 1 keep_top_k: 200"))


@breaks("A106", "boxes")
def locations_for_each_class(m: Model) -> None:
    detection(m, "SSDDetectionOutput", ("share_location: true", "share_location: false"))


@breaks("A106", "boxes")
def adaptive_suppression(m: Model) -> None:
    detection(m, "SSDDetectionOutput", ("eta: 1.0", "eta: 0.5"))


@breaks("A106", "boxes")
def threshold_of_0(m: Model) -> None:
    detection(m, "SSDDetectionOutput", ("iou_threshold: 0.45", "iou_threshold: 0"))


@breaks("A106", "boxes")
def keep_no_box(m: Model) -> None:
    detection(m, "SSDDetectionOutput", ("keep_top_k: 200", "keep_top_k: 0"))


@breaks("A106", "boxes")
def all_boxes_into_the_suppression(m: Model) -> None:
    detection(m, "SSDDetectionOutput", ("top_k: 400", "top_k: -1"))


@breaks("A106", "boxes")
def background_that_is_no_class(m: Model) -> None:
    detection(m, "SSDDetectionOutput", ("background_label_id: 0", "background_label_id: 21"))


@breaks("A106", "boxes")
def five_coordinates(m: Model) -> None:
    detection(m, "YoloV2DetectionOutput", ("coords: 4", "coords: 5"))


@breaks("A106", "boxes")
def too_many_boxes_behind_the_suppression(m: Model) -> None:
    detection(m, "YoloV3DetectionOutput", ("post_nms_topn: 1024", "post_nms_topn: 1025"))


@breaks("A107", "boxes")
def code_type_left_out(m: Model) -> None:
    detection(m, "SSDDetectionOutput", ("code_type: 2", ""))


@breaks("A107", "boxes")
def number_of_classes_of_yolo_left_out(m: Model) -> None:
    detection(m, "YoloV2DetectionOutput", ("classes: 20", ""))


@breaks("A108", "boxes")
def more_boxes_than_documented(m: Model) -> None:
    detection(m, "SSDDetectionOutput", ("top_k: 400", "top_k: 5000"))


@breaks("A109", "boxes")
def biases_for_one_box_of_two(m: Model) -> None:
    detection(m, "YoloV2DetectionOutput", ("biases: 1.9 biases: 2.1", ""))


@breaks("A109", "boxes")
def biases_for_two_yolo_layers_of_three(m: Model) -> None:
    detection(m, "YoloV3DetectionOutput", ("biases_low: 116 biases_low: 90", ""))


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
    _quant(m, f"{name}_q", bottom, scale, offset)
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
