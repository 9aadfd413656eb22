"""PriorBox: the boxes that SSD's predictions are relative to.

For each place of a feature map, row by row, and for each ``min_size``: a square of that size, one
of ``sqrt(min_size * max_size)`` if there are maximal sizes, then one box for each aspect ratio
other than 1.  The output is 1 x 2 x (4 * boxes), whatever the batch size: the corners (left, top,
right, bottom) as parts of the image, and the variances.

Sizes lose what is behind the decimal point, as in Caffe, which keeps them in integers.  The root of
an aspect ratio is one of float32 or float64, as the headers of C have it that Caffe was compiled
with; where there are any, the result agrees with Caffe to within rounding.

Source: weiliu89/caffe, branch ssd, prior_box_layer.cpp.
"""

from __future__ import annotations

import math
from typing import List, Optional, Sequence, Tuple

import attrs
import numpy as np

from amct_caffe.model.formats.prototxt.layer import Layer
from amct_caffe.model.layer_types.axes import Array, Outputs, Shapes, unknown
from amct_caffe.model.layer_types.variants import declared
from amct_caffe.model.parameters import Parameters
from amct_core.errors import ModelError
from amct_core.extensions import LayerType, OnnxWriter
from amct_core.extensions.layer_type import Shape
from amct_core.graph import Node
from amct_core.graph.attributes import Attributes, Pair

_IMAGE_AXES = 4
_CORNERS = 4
_SAME_RATIO = 1e-6
_DEFAULT_VARIANCE = 0.1


@attrs.frozen
class PriorBox(Attributes):
    """Boxes around the centres of a feature map.

    Attributes:
        min_sizes, max_sizes: in pixels; as many maximal sizes as minimal ones, or none.
        ratios: width by height, 1 left out.
        clip: whether corners are kept inside of the image.
        variances: one, or one for each corner.
        image: height and width; None: those of the second input.
        step: from place to place, in pixels (down, right); None: the image's size by the map's.
        offset: of the centre within a place, in steps.
    """

    min_sizes: Tuple[int, ...]
    max_sizes: Tuple[int, ...]
    ratios: Tuple[float, ...]
    clip: bool
    variances: Tuple[float, ...]
    image: Optional[Pair]
    step: Optional[Tuple[float, float]]
    offset: float

    @property
    def boxes(self) -> int:
        """How many boxes each place has."""
        return len(self.min_sizes) * (1 + len(self.ratios)) + len(self.max_sizes)


def _read(layer: Layer) -> PriorBox:
    parameters = Parameters(layer, "prior_box_param")
    min_sizes, max_sizes = (_whole(parameters, name) for name in ("min_size", "max_size"))
    if not min_sizes or (max_sizes and len(max_sizes) != len(min_sizes)):
        raise parameters.error(
            "max_size" if max_sizes else "min_size",
            f"it has {len(min_sizes)} minimal and {len(max_sizes)} maximal sizes; expected at "
            "least one minimal size, and as many maximal ones or none.",
            "Give each min_size a max_size, or none at all.",
        )
    variances = tuple(parameters.numbers("variance")) or (_DEFAULT_VARIANCE,)
    if len(variances) not in (1, _CORNERS):
        raise parameters.error(
            "variance", f"it has {len(variances)} values; expected 1 or 4.", "Give one or four."
        )
    return PriorBox(
        min_sizes,
        max_sizes,
        _ratios(parameters),
        clip=parameters.boolean("clip"),
        variances=variances,
        image=_image(parameters),
        step=_step(parameters),
        offset=parameters.number("offset"),
    )


def _whole(parameters: Parameters, name: str) -> Tuple[int, ...]:
    values = parameters.numbers(name)
    if not all(map(math.isfinite, values)):
        raise parameters.error(name, f"found {values}; expected finite numbers.", "Correct it.")
    return tuple(map(int, values))


def _ratios(parameters: Parameters) -> Tuple[float, ...]:
    """Return each ratio and, with ``flip``, one over it; those that are there already once."""
    found = [np.float32(1)]
    for value in map(np.float32, parameters.numbers("aspect_ratio")):
        if all(abs(value - each) >= _SAME_RATIO for each in found):
            found.append(value)
            if parameters.boolean("flip"):
                found.append(np.float32(1 / np.float64(value)))
    return tuple(float(value) for value in found if abs(value - 1) >= _SAME_RATIO)


def _image(parameters: Parameters) -> Optional[Pair]:
    if parameters.has("img_h", "img_w"):
        return parameters.integer("img_h"), parameters.integer("img_w")
    if parameters.has("img_size"):
        return (parameters.integer("img_size"),) * 2
    return None


def _step(parameters: Parameters) -> Optional[Tuple[float, float]]:
    if parameters.has("step_h", "step_w"):
        return parameters.number("step_h"), parameters.number("step_w")
    return (parameters.number("step"),) * 2 if parameters.has("step") else None


def _shape(node: Node, inputs: Shapes) -> Outputs:
    if len(inputs[0]) != _IMAGE_AXES:
        return unknown(node)
    height, width = inputs[0][2:]
    return [(1, 2, height * width * node.typed(PriorBox).boxes * _CORNERS)]


def run(node: Node, inputs: Sequence[Array]) -> List[Array]:
    """Return boxes and variances for inputs of these shapes."""
    return [prior_boxes(node, [x.shape for x in inputs])]


def prior_boxes(node: Node, shapes: Sequence[Shape]) -> Array:
    """Return boxes and variances, float32, 1 x 2 x (4 * boxes).

    Args:
        node: the layer.
        shapes: of the feature map and, if the parameters do not tell its size, of the image.

    Raises:
        ModelError: the size of the image is not known.
    """
    a, (rows, columns) = node.typed(PriorBox), shapes[0][2:]
    if a.image is None and len(shapes) < 2:
        raise ModelError(
            "neither its parameters nor a second bottom tell the size of the image.",
            layer=node.name,
            remedy="Give it the image as second bottom, or img_size.",
        )
    image = np.array(shapes[1][2:] if a.image is None else a.image, np.int64)
    step = image.astype(np.float32) / np.array([rows, columns], np.float32)
    if a.step is not None:
        step = np.array(a.step, np.float32)
    centres = [
        (np.arange(count, dtype=np.float32) + np.float32(a.offset)) * each
        for count, each in zip((rows, columns), step)
    ]
    middle = np.stack(np.meshgrid(*centres, indexing="ij"), axis=-1)[:, :, np.newaxis, ::-1]
    half = _sizes(a).astype(np.float64) / 2
    # Float64 from here on, for Caffe writes 2 as a double.
    whole = image[::-1].astype(np.float64)
    edges = [(middle - half) / whole, (middle + half) / whole]
    corners = np.concatenate(edges, axis=-1).astype(np.float32)
    if a.clip:
        corners = np.minimum(np.maximum(corners, np.float32(0)), np.float32(1))
    variances = np.broadcast_to(np.array(a.variances, np.float32), corners.shape)
    result: Array = np.stack([corners.reshape(-1), variances.reshape(-1)])[np.newaxis]
    return result


def _sizes(a: PriorBox) -> Array:
    """Return width and height of each box of a place, float32."""
    found: List[Tuple[np.float32, np.float32]] = []
    for index, size in enumerate(a.min_sizes):
        found.append((np.float32(size),) * 2)
        if a.max_sizes:
            found.append((np.float32(np.sqrt(np.float64(size * a.max_sizes[index]))),) * 2)
        for ratio in a.ratios:
            root = np.sqrt(np.float32(ratio))
            found.append((np.float32(size) * root, np.float32(size) / root))
    return np.array(found, np.float32)


def _onnx(writer: OnnxWriter, node: Node, inputs: Sequence[str], outputs: Sequence[str]) -> None:
    """A constant: the sizes are known, and nothing else is read."""
    boxes = prior_boxes(node, [writer.shape(node, value) for value in node.inputs])
    writer.add("Identity", [writer.constant(boxes, np.float32)], outputs[0])


LAYER_TYPES = (
    LayerType(
        "PriorBox",
        parameters="prior_box_param",
        holds_for=declared("prior_box_param", bottoms=2),
        attributes=_read,
        shape=_shape,
        run=run,
        exact=lambda node: not node.typed(PriorBox).ratios,
        onnx=_onnx,
    ),
)
