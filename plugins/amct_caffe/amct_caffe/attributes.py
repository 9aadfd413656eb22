"""Reads the typed parameters of Caffe layers, Caffe's defaults and short forms resolved."""

from __future__ import annotations

from typing import Callable, Dict, List, Optional, Tuple

from amct_caffe.data_shapes import data_shapes
from amct_caffe.formats.prototxt.layer import Layer
from amct_caffe.parameters import Parameters
from amct_caffe.passes.to_inference import is_data
from amct_core.graph import attributes as a

_DEFAULT_SPATIAL_AXES = 2


def attributes_of(layer: Layer, spatial_axes: Optional[int] = None) -> a.Attributes:
    """Return the attributes of ``layer``; Opaque for a type that core has no use for.

    Args:
        layer: the layer.
        spatial_axes: over how many axes a convolution works, where that is known from its weights;
            None: over as many as it has kernel sizes, and two if it has one.

    Raises:
        ModelError: a required parameter is missing, or a size is given in a way that Caffe refuses.
    """
    if layer.type in ("Convolution", "Deconvolution"):
        return _convolution(layer, spatial_axes)
    read = _READERS.get(layer.type)
    if read is not None:
        return read(layer)
    if is_data(layer):
        return a.Data(data_shapes(layer))
    return a.Opaque()


def _convolution(layer: Layer, spatial_axes: Optional[int]) -> a.Attributes:
    parameters = Parameters(layer, "convolution_param")
    sizes = len(parameters.integers("kernel_size"))
    axes = spatial_axes or (sizes if sizes > 1 else _DEFAULT_SPATIAL_AXES)
    return a.Convolution(
        num_output=parameters.integer("num_output"),
        kernel=_per_axis(parameters, "kernel_size", "kernel", axes, None),
        stride=_per_axis(parameters, "stride", "stride", axes, 1),
        pad=_per_axis(parameters, "pad", "pad", axes, 0),
        dilation=_per_axis(parameters, "dilation", None, axes, 1),
        group=parameters.integer("group"),
        bias_term=parameters.boolean("bias_term"),
        axis=parameters.integer("axis"),
    )


def _per_axis(
    parameters: Parameters, field: str, prefix: Optional[str], axes: int, default: Optional[int]
) -> Tuple[int, ...]:
    """Return one value per spatial axis from ``field`` (repeated) or ``<prefix>_h`` and ``_w``.

    Source: BVLC Caffe, ``BaseConvolutionLayer::LayerSetUp``.
    """
    if prefix is not None and parameters.has(f"{prefix}_h", f"{prefix}_w"):
        return _height_and_width(parameters, field, prefix)
    values = parameters.integers(field)
    if not values and default is not None:
        values = [default]
    if len(values) not in (1, axes):
        raise parameters.error(
            field,
            f"it has {len(values)} values; expected one, or one for each of {axes} axes.",
            f"Give '{field}' once.",
        )
    return tuple(values * axes if len(values) == 1 else values)


def _height_and_width(parameters: Parameters, field: str, prefix: str) -> Tuple[int, int]:
    sides = (f"{prefix}_h", f"{prefix}_w")
    if parameters.has(field) or not all(parameters.has(side) for side in sides):
        raise parameters.error(
            sides[0],
            f"expected either '{field}', or both '{sides[0]}' and '{sides[1]}'.",
            f"Give '{sides[0]}' and '{sides[1]}' alone.",
        )
    return parameters.integer(sides[0]), parameters.integer(sides[1])


def _inner_product(layer: Layer) -> a.Attributes:
    parameters = Parameters(layer, "inner_product_param")
    return a.InnerProduct(
        num_output=parameters.integer("num_output"),
        bias_term=parameters.boolean("bias_term"),
        axis=parameters.integer("axis"),
        transpose=parameters.boolean("transpose"),
    )


def _pooling(layer: Layer) -> a.Attributes:
    parameters = Parameters(layer, "pooling_param")
    is_global = parameters.boolean("global_pooling")
    return a.Pooling(
        method=parameters.enum("pool"),
        kernel=None if is_global else _pair(parameters, "kernel_size", "kernel"),
        stride=_pair(parameters, "stride", "stride"),
        pad=_pair(parameters, "pad", "pad"),
        global_pooling=is_global,
        ceil_mode=_rounds_up(parameters),
    )


def _rounds_up(parameters: Parameters) -> bool:
    # BVLC has round_mode; Ascend's and some other Caffes have ceil_mode as well.
    if parameters.has("round_mode"):
        return parameters.enum("round_mode") == "CEIL"
    return bool(parameters.message.boolean("ceil_mode", True))


def _pair(parameters: Parameters, field: str, prefix: str) -> Tuple[int, int]:
    if parameters.has(f"{prefix}_h", f"{prefix}_w"):
        return _height_and_width(parameters, field, prefix)
    value = parameters.integer(field)
    return value, value


def _relu(layer: Layer) -> a.Attributes:
    return a.ReLU(Parameters(layer, "relu_param").number("negative_slope"))


def _eltwise(layer: Layer) -> a.Attributes:
    parameters = Parameters(layer, "eltwise_param")
    return a.Eltwise(parameters.enum("operation"), tuple(parameters.numbers("coeff")))


def _concat(layer: Layer) -> a.Attributes:
    return a.Concat(_axis(Parameters(layer, "concat_param"), "concat_dim"))


def _slice(layer: Layer) -> a.Attributes:
    parameters = Parameters(layer, "slice_param")
    return a.Slice(_axis(parameters, "slice_dim"), tuple(parameters.integers("slice_point")))


def _axis(parameters: Parameters, old_name: str) -> int:
    return parameters.integer(old_name if parameters.has(old_name) else "axis")


def _softmax(layer: Layer) -> a.Attributes:
    return a.Softmax(Parameters(layer, "softmax_param").integer("axis"))


def _softmax_with_loss(layer: Layer) -> a.Attributes:
    return a.SoftmaxWithLoss(Parameters(layer, "softmax_param").integer("axis"))


def _flatten(layer: Layer) -> a.Attributes:
    parameters = Parameters(layer, "flatten_param")
    return a.Flatten(parameters.integer("axis"), parameters.integer("end_axis"))


def _reshape(layer: Layer) -> a.Attributes:
    parameters = Parameters(layer, "reshape_param")
    shape = parameters.message.message("shape")
    dims = tuple(shape.integers("dim")) if shape is not None else ()
    return a.Reshape(dims, parameters.integer("axis"), parameters.integer("num_axes"))


def _batch_norm(layer: Layer) -> a.Attributes:
    parameters = Parameters(layer, "batch_norm_param")
    # Caffe's default depends on the phase, so "not said" is a value of its own.
    use_global_stats = parameters.message.boolean("use_global_stats")
    return a.BatchNorm(parameters.number("eps"), use_global_stats)


def _scale(layer: Layer) -> a.Attributes:
    parameters = Parameters(layer, "scale_param")
    return a.Scale(
        axis=parameters.integer("axis"),
        num_axes=parameters.integer("num_axes"),
        bias_term=parameters.boolean("bias_term"),
    )


def _lrn(layer: Layer) -> a.Attributes:
    parameters = Parameters(layer, "lrn_param")
    return a.LRN(
        local_size=parameters.integer("local_size"),
        alpha=parameters.number("alpha"),
        beta=parameters.number("beta"),
        k=parameters.number("k"),
        region=parameters.enum("norm_region"),
    )


def _power(layer: Layer) -> a.Attributes:
    parameters = Parameters(layer, "power_param")
    return a.Power(
        parameters.number("power"), parameters.number("scale"), parameters.number("shift")
    )


def _input(layer: Layer) -> a.Attributes:
    found = Parameters(layer, "input_param").message.messages("shape")
    shapes: List[Tuple[int, ...]] = [tuple(shape.integers("dim")) for shape in found]
    if len(shapes) == 1:
        shapes *= len(layer.tops)
    return a.Input(tuple(shapes))


def _quant(layer: Layer) -> a.Attributes:
    parameters = Parameters(layer, "quant_param")
    offsets = parameters.message.blobs("offset")
    if not offsets or len(offsets[-1]) != 1:
        raise parameters.error(
            "offset",
            f"found {len(offsets[-1]) if offsets else 'no'} bytes; expected one.",
            "Save the deployable model again.",
        )
    signed = int.from_bytes(offsets[-1], "big", signed=True)
    return a.Quant(parameters.number("scale"), signed)


def _dequant(layer: Layer) -> a.Attributes:
    return a.DeQuant()


_READERS: Dict[str, Callable[[Layer], a.Attributes]] = {
    "BatchNorm": _batch_norm,
    "Concat": _concat,
    "DeQuant": _dequant,
    "Eltwise": _eltwise,
    "Flatten": _flatten,
    "InnerProduct": _inner_product,
    "Input": _input,
    "LRN": _lrn,
    "Pooling": _pooling,
    "Power": _power,
    "Quant": _quant,
    "ReLU": _relu,
    "Reshape": _reshape,
    "Scale": _scale,
    "Slice": _slice,
    "Softmax": _softmax,
    "SoftmaxWithLoss": _softmax_with_loss,
}
