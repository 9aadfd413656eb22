"""Rules on axes along which ATC computes otherwise than Caffe, or not at all.

Sources: canndev ops/built-in/op_proto: FullyConnectionVerify and FullyConnectionInfer of
matrix_calculation_ops.cc, ConcatInferShapeCommon of split_combination_ops.cc; the plugins of
ops/built-in/framework/caffe_plugin hand an ``axis`` on as it is.
"""

from __future__ import annotations

from typing import Dict, Iterator, List, Optional

from amct_caffe.model.formats.prototxt.layer import Layer
from amct_core.graph import Node
from ascend_backend.lint.extra_axes import Axes, axes_of
from ascend_backend.lint.model import DeployModel
from ascend_backend.lint.quantized import quantized_groups
from ascend_backend.lint.rule import ERROR, Problem, Rule

_INNER_PRODUCT_AXES = (1, 2)

_PARAMETERS: Dict[str, str] = {
    "ArgMax": "argmax_param",
    "Bias": "bias_param",
    "Concat": "concat_param",
    "Crop": "crop_param",
    "Reduction": "reduction_param",
    "Scale": "scale_param",
    "Slice": "slice_param",
    "Softmax": "softmax_param",
    "Tile": "tile_param",
}
"""Where each layer type has its ``axis``."""


def check_inner_product(model: DeployModel) -> Iterator[Problem]:
    """Find float InnerProducts along an axis that ATC's operator does not take."""
    # For quantized ones A065 allows axis 1 alone.
    quantized = {group.layer.name for group in quantized_groups(model)}
    for layer in model.of_type("InnerProduct"):
        axis = _axis(layer, "inner_product_param")
        if layer.name in quantized or axis is None or axis in _INNER_PRODUCT_AXES:
            continue
        counted = ""
        if axis < 0:
            count = _axes_of_bottom(model, layer)
            if count is None or axis + count in _INNER_PRODUCT_AXES:
                continue
            counted = f", which is {axis + count} of the {count} axes that ATC gives its bottom"
        yield Problem(
            f"its axis is {axis}{counted}; expected 1 or 2.",
            layer.name,
            "inner_product_param.axis",
        )


def _axes_of_bottom(model: DeployModel, layer: Layer) -> Optional[int]:
    """Return how many axes ATC gives what ``layer`` reads; None if that is not known."""
    axes = axes_of(model)
    if axes is None or layer.name not in axes.graph:
        return None
    inputs = axes.graph.node(layer.name).inputs
    return axes.in_atc(inputs[0]) if inputs else None


def check_extra_axes(model: DeployModel) -> Iterator[Problem]:
    """Find layers for which the two more axes that ATC gives a blob make a difference."""
    axes = axes_of(model)
    if axes is None or not axes.lengthened:
        return
    for node in axes.graph.nodes:
        longer = [value for value in node.inputs if value in axes.lengthened]
        field = _PARAMETERS.get(node.op)
        if not longer or field is None:
            continue
        axis = _axis(node.source, field)
        in_caffe, in_atc = axes.in_caffe(longer[0]), axes.in_atc(longer[0])
        if axis is not None and axis < 0 and in_caffe is not None and in_atc is not None:
            yield Problem(
                f"its axis is {axis}: in Caffe that is axis {axis + in_caffe} of the {in_caffe} of "
                f"'{longer[0].name}', in ATC axis {axis + in_atc} of {in_atc}, which has size 1; "
                f"expected {axis + in_caffe}.",
                node.name,
                f"{field}.axis",
            )
        elif node.op == "Concat" and len(_counts(node, axes)) > 1:
            yield Problem(
                f"'{longer[0].name}' has {in_atc} axes in ATC, and another bottom has "
                f"{in_caffe}; expected the same number.",
                node.name,
                "bottom",
            )


def _axis(layer: Layer, field: str) -> Optional[int]:
    """Return the axis that a layer names; None if it names none."""
    return layer.parameters(field).integer("axis")


def _counts(node: Node, axes: Axes) -> List[int]:
    """Return the different numbers of axes that the bottoms of ``node`` have in ATC."""
    counts = {axes.in_atc(value) for value in node.inputs}
    return sorted(count for count in counts if count is not None)


RULES = (
    Rule(
        "A077",
        ERROR,
        "An InnerProduct has an axis that ATC refuses",
        "Count the axis from the front: ATC takes 1 and 2.",
        check_inner_product,
    ),
    Rule(
        "A078",
        ERROR,
        "Behind an InnerProduct at batch 1 ATC has two more axes than Caffe",
        "Count axes from the front: axis 1 in place of -1. Before a Concat, put a Flatten behind "
        "the InnerProduct.",
        check_extra_axes,
    ),
)
