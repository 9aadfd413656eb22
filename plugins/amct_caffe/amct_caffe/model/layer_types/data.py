"""Layers that bring data in: where from, of what shape, and whether each rank gets its own.

The shapes are known as far as the layers' own parameters give them.

Sources: ``LayerSetUp`` of BVLC Caffe's data layers.  What each of them does when it is told of
several solvers was found out in Caffe, and a test holds it.
"""

from __future__ import annotations

from typing import Callable, Iterator, List, Optional, Sequence, Tuple

import attrs
import numpy as np

from amct_caffe.model import first_samples
from amct_caffe.model.formats.prototxt.layer import Layer
from amct_caffe.model.layer_types.axes import Array
from amct_caffe.model.parameters import Parameters
from amct_core.errors import ModelError
from amct_core.extensions import LayerType, OnnxWriter, Role
from amct_core.files import read_text
from amct_core.graph import Node
from amct_core.graph.attributes import Attributes, Data, Input, Opaque
from amct_core.textproto import Message

Shape = Tuple[int, ...]
ClassOf = Callable[[str, str], type]
Shapes = List[Optional[Shape]]

_COLOUR_CHANNELS = 3


@attrs.frozen
class Database(Data):
    """Data whose images have ``size`` (height and width) if that is known, of any channels.

    The database knows the number of channels, and so do the weights of a layer that reads it.
    """

    batch_size: int = 0
    size: Optional[Tuple[int, int]] = None

    def with_channels(self, channels: int) -> Database:
        """Return the same with images of that many channels."""
        if self.size is None:
            return self
        return attrs.evolve(
            self, shapes=((self.batch_size, channels, *self.size), *self.shapes[1:])
        )


_SAME_SAMPLES = "every rank would be fed with the same samples."


def _no_files(source: str, message: Message) -> Iterator[str]:
    return iter(())


def _same_samples(layer: Layer, class_of: ClassOf) -> Optional[str]:
    return _SAME_SAMPLES


def _no_order(layer: Layer) -> Optional[str]:
    return None


@attrs.frozen
class DataSource:
    """What is known of a type that brings data in.

    Attributes:
        listed: ``(source, parameters) -> paths`` of the files that the file ``source`` lists.
        has_images: whether ``transform_param`` counts.
        is_fed: whether it brings no data by itself.
        channels: ``(layer) -> order`` of the channels where the layer makes sure of it.
        look: ``(layer) -> shapes`` of the tops, from the first sample of its files; it may fail
            where they cannot be read.
        shared: ``(layer, class_of) -> problem``: why the ranks of a data-parallel run would not be
            fed with different samples, or None if they are; ``class_of`` gives the class of a
            Python layer from its module and name.
    """

    listed: Callable[[str, Message], Iterator[str]] = _no_files
    has_images: bool = False
    is_fed: bool = False
    channels: Callable[[Layer], Optional[str]] = _no_order
    look: Optional[Callable[[Layer], Shapes]] = None
    shared: Callable[[Layer, ClassOf], Optional[str]] = _same_samples


def _hdf5_files(source: str, message: Message) -> Iterator[str]:
    return iter(read_text(source).split())


def _image_files(source: str, message: Message) -> Iterator[str]:
    root = message.string("root_folder") or ""
    for line in read_text(source).splitlines():
        if line.strip():
            yield root + line.rsplit(" ", 1)[0]


def _image_channels(layer: Layer) -> Optional[str]:
    return "BGR" if Parameters(layer, "image_data_param").boolean("is_color") else "GRAY"


def _different_samples(layer: Layer, class_of: ClassOf) -> Optional[str]:
    """Rank r of n gets samples r, r + n, r + 2 n, ... in TRAIN; in TEST all get the same."""
    return None


def _no_samples(layer: Layer, class_of: ClassOf) -> Optional[str]:
    """Constants, or random values that differ between ranks."""
    return None


def _shuffled_samples(layer: Layer, class_of: ClassOf) -> Optional[str]:
    """Every rank reads the whole list; with ``shuffle: true`` each in an order of its own."""
    if layer.parameters("image_data_param").boolean("shuffle", False):
        return None
    return "every rank would read the same list in the same order. Set shuffle: true."


def _samples_of_class(layer: Layer, class_of: ClassOf) -> Optional[str]:
    """A class that gives each rank samples of its own says so: ``shards_by_rank = True``."""
    python = layer.parameters("python_param")
    module, name = python.string("module") or "", python.string("layer") or ""
    if getattr(class_of(module, name), "shards_by_rank", False):
        return None
    return (
        f"class {name} of module {module} does not say that it gives each rank samples of "
        "its own. If it does (caffe.solver_rank() of caffe.solver_count()), set the class "
        "attribute shards_by_rank = True."
    )


def _read_input(layer: Layer) -> Input:
    found = Parameters(layer, "input_param").message.messages("shape")
    shapes: List[Shape] = [tuple(shape.integers("dim")) for shape in found]
    if len(shapes) == 1:
        shapes *= len(layer.tops)
    return Input(tuple(shapes))


def _reader(rule: Callable[[Layer], Shapes]) -> Callable[[Layer], Data]:
    return lambda layer: Data(_per_top(layer, rule(layer)))


def _per_top(layer: Layer, known: Shapes) -> Tuple[Optional[Shape], ...]:
    tops = len(layer.tops)
    return tuple((*known, *[None] * tops)[:tops])


def _read_database(layer: Layer) -> Database:
    batch = Parameters(layer, "data_param").integer("batch_size")
    crop = Parameters(layer, "transform_param").integer("crop_size")
    shapes = _per_top(layer, [None, (batch,)])
    return Database(shapes, batch, (crop, crop) if crop else None)


def _image_data(layer: Layer) -> Shapes:
    parameters = Parameters(layer, "image_data_param")
    batch = parameters.integer("batch_size")
    channels = _COLOUR_CHANNELS if parameters.boolean("is_color") else 1
    crop = Parameters(layer, "transform_param").integer("crop_size")
    height, width = parameters.integer("new_height"), parameters.integer("new_width")
    if crop:
        height = width = crop
    shape = (batch, channels, height, width)
    return [shape if height and width else None, (batch,)]


def _window_data(layer: Layer) -> Shapes:
    batch = Parameters(layer, "window_data_param").integer("batch_size")
    crop = Parameters(layer, "transform_param").integer("crop_size")
    return [(batch, _COLOUR_CHANNELS, crop, crop) if crop else None, (batch,)]


def _memory_data(layer: Layer) -> Shapes:
    parameters = Parameters(layer, "memory_data_param")
    names = ("batch_size", "channels", "height", "width")
    shape = tuple(parameters.integer(name) for name in names)
    return [shape, shape[:1]]


def _dummy_data(layer: Layer) -> Shapes:
    parameters = Parameters(layer, "dummy_data_param")
    shapes = [tuple(shape.integers("dim")) for shape in parameters.message.messages("shape")]
    axes = [parameters.integers(name) for name in ("num", "channels", "height", "width")]
    if all(axes):
        shapes = [
            tuple(sizes[min(top, len(sizes) - 1)] for sizes in axes)
            for top in range(len(layer.tops))
        ]
    if len(shapes) == 1:
        shapes *= len(layer.tops)
    return list(shapes)


@attrs.frozen
class Constant(Data):
    """Data that are the same every time: one value for each top."""

    values: Tuple[float, ...] = ()


def _read_dummy_data(layer: Layer) -> Data:
    shapes = _per_top(layer, _dummy_data(layer))
    if _dummy_data_role(layer) is not Role.CONSTANT:
        return Data(shapes)
    values = [filler.number("value", 0.0) or 0.0 for filler in _data_fillers(layer)] or [0.0]
    return Constant(shapes, tuple(values * len(layer.tops) if len(values) == 1 else values))


def _dummy_data_role(layer: Layer) -> Role:
    """Without a filler the data are 0; those of a constant filler are filled in once."""
    types = {filler.string("type", "constant") for filler in _data_fillers(layer)}
    return Role.CONSTANT if types <= {"constant"} else Role.DATA


def _data_fillers(layer: Layer) -> List[Message]:
    return layer.parameters("dummy_data_param").messages("data_filler")


def constant(node: Node, inputs: Sequence[Array]) -> List[Array]:
    """Return the constants; there are no inputs.

    Raises:
        ModelError: they are no constants, or of unknown shape.
    """
    a = node.attributes
    if not isinstance(a, Constant) or None in a.shapes:
        raise ModelError(
            "what it gives is not known; expected constant fillers and a shape for each top.",
            remedy="Replace it by an Input layer.",
        )
    return [np.full(shape, value, np.float32) for shape, value in zip(a.shapes, a.values) if shape]


def _constant_onnx(
    writer: OnnxWriter, node: Node, inputs: Sequence[str], outputs: Sequence[str]
) -> None:
    for array, output in zip(constant(node, ()), outputs):
        writer.add("Identity", [writer.constant(array, np.float32)], output)


def _read_python(layer: Layer) -> Attributes:
    return Data((None,) * len(layer.tops)) if not layer.bottoms else Opaque()


def _python_role(layer: Layer) -> Optional[Role]:
    return None if layer.bottoms else Role.DATA


def _bgr(layer: Layer) -> Optional[str]:
    return "BGR"


LAYER_TYPES = (
    LayerType("AnnotatedData", role=Role.DATA, data=DataSource()),
    LayerType(
        "Data",
        parameters="data_param",
        attributes=_read_database,
        role=Role.DATA,
        data=DataSource(has_images=True, look=first_samples.database, shared=_different_samples),
    ),
    LayerType("DenseImageData", role=Role.DATA, data=DataSource()),
    LayerType(
        "DummyData",
        parameters="dummy_data_param",
        attributes=_read_dummy_data,
        role=_dummy_data_role,
        data=DataSource(shared=_no_samples),
        run=constant,
        onnx=_constant_onnx,
    ),
    LayerType(
        "HDF5Data",
        parameters="hdf5_data_param",
        role=Role.DATA,
        data=DataSource(listed=_hdf5_files, look=first_samples.hdf5, shared=_different_samples),
    ),
    LayerType(
        "ImageData",
        parameters="image_data_param",
        attributes=_reader(_image_data),
        role=Role.DATA,
        data=DataSource(
            listed=_image_files,
            has_images=True,
            channels=_image_channels,
            look=first_samples.image_files,
            shared=_shuffled_samples,
        ),
    ),
    LayerType("Input", parameters="input_param", attributes=_read_input, role=Role.INPUT),
    LayerType(
        "MemoryData",
        parameters="memory_data_param",
        attributes=_reader(_memory_data),
        role=Role.DATA,
        data=DataSource(has_images=True, is_fed=True),
    ),
    LayerType(
        "Parameter",
        parameters="parameter_param",
        role=Role.PARAMETER,
        data=DataSource(shared=_no_samples),
    ),
    LayerType(
        "Python",
        parameters="python_param",
        attributes=_read_python,
        role=_python_role,
        data=DataSource(shared=_samples_of_class),
    ),
    LayerType("VideoData", role=Role.DATA, data=DataSource()),
    LayerType(
        "WindowData",
        parameters="window_data_param",
        attributes=_reader(_window_data),
        role=Role.DATA,
        data=DataSource(has_images=True, channels=_bgr),
    ),
)
