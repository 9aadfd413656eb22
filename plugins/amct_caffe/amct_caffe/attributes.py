"""Reads the typed parameters of Caffe layers, Caffe's defaults and short forms resolved."""

from __future__ import annotations

from typing import Callable, Dict, List, Optional, Tuple

from amct_caffe.formats.prototxt.layer import Layer
from amct_caffe.passes.to_inference import is_data
from amct_core.errors import ModelError
from amct_core.graph import attributes as a
from amct_core.textproto import Message


def attributes_of(layer: Layer) -> a.Attributes:
    """Return the attributes of ``layer``; Opaque for a type that core has no use for.

    Raises:
        ModelError: a required parameter is missing.
    """
    read = _READERS.get(layer.type)
    if read is not None:
        return read(layer)
    if is_data(layer):
        return a.Data(data_shapes(layer))
    return a.Opaque()


def data_shapes(layer: Layer) -> Tuple[Optional[Tuple[int, ...]], ...]:
    """Return what a data layer's parameters say about the shape of each top, or None."""
    memory = layer.message.message("memory_data_param")
    if memory is not None:
        dims = [memory.integer(name) for name in ("batch_size", "channels", "height", "width")]
        if all(dims):
            known = tuple(dim or 0 for dim in dims)
            return (known, known[:1])
    dummy = layer.message.message("dummy_data_param")
    if dummy is not None:
        shapes = [tuple(shape.integers("dim")) for shape in dummy.messages("shape")]
        if shapes:
            return tuple(shapes[min(i, len(shapes) - 1)] for i in range(len(layer.tops)))
    return (None,) * len(layer.tops)


def _convolution(layer: Layer) -> a.Attributes:
    parameters = layer.parameters("convolution_param")
    axes = _spatial_axes(parameters)
    return a.Convolution(
        num_output=_required(layer, parameters, "num_output"),
        kernel=_sides(layer, parameters, "kernel_size", "kernel", axes, None),
        stride=_sides(layer, parameters, "stride", "stride", axes, 1),
        pad=_sides(layer, parameters, "pad", "pad", axes, 0),
        dilation=_sides(layer, parameters, "dilation", "", axes, 1),
        group=parameters.integer("group", 1) or 1,
        bias_term=bool(parameters.boolean("bias_term", True)),
        axis=parameters.integer("axis", 1) or 1,
    )


def _spatial_axes(parameters: Message) -> int:
    return max(2, len(parameters.integers("kernel_size")))


def _sides(
    layer: Layer, parameters: Message, field: str, prefix: str, axes: int, default: Optional[int]
) -> Tuple[int, ...]:
    """Return one value per spatial axis from ``field`` (repeated) or ``<prefix>_h``, ``_w``."""
    if prefix and (parameters.has(f"{prefix}_h") or parameters.has(f"{prefix}_w")):
        sides = [parameters.integer(f"{prefix}_{side}", default or 0) for side in ("h", "w")]
        return tuple(side or 0 for side in sides)
    values = parameters.integers(field)
    if not values:
        if default is None:
            raise _missing(layer, field)
        values = [default]
    if len(values) == 1:
        return tuple(values * axes)
    if len(values) != axes:
        raise ModelError(
            f"it has {len(values)} values; expected 1 or {axes}.", layer=layer.name, field=field
        )
    return tuple(values)


def _inner_product(layer: Layer) -> a.Attributes:
    parameters = layer.parameters("inner_product_param")
    axis = parameters.integer("axis", 1)
    return a.InnerProduct(
        num_output=_required(layer, parameters, "num_output"),
        bias_term=bool(parameters.boolean("bias_term", True)),
        axis=1 if axis is None else axis,
        transpose=bool(parameters.boolean("transpose", False)),
    )


def _pooling(layer: Layer) -> a.Attributes:
    parameters = layer.parameters("pooling_param")
    is_global = bool(parameters.boolean("global_pooling", False))
    methods = {"0": "MAX", "1": "AVE", "2": "STOCHASTIC"}
    method = parameters.enum("pool", "MAX") or "MAX"
    kernel = None if is_global else _pair(layer, parameters, "kernel_size", "kernel", None)
    return a.Pooling(
        method=methods.get(method, method),
        kernel=kernel,
        stride=_pair(layer, parameters, "stride", "stride", 1),
        pad=_pair(layer, parameters, "pad", "pad", 0),
        global_pooling=is_global,
        ceil_mode=_rounds_up(parameters),
    )


def _rounds_up(parameters: Message) -> bool:
    if parameters.has("round_mode"):
        return parameters.enum("round_mode") not in ("FLOOR", "1")
    return bool(parameters.boolean("ceil_mode", True))


def _pair(
    layer: Layer, parameters: Message, field: str, prefix: str, default: Optional[int]
) -> Tuple[int, int]:
    if parameters.has(f"{prefix}_h") or parameters.has(f"{prefix}_w"):
        height = parameters.integer(f"{prefix}_h", default or 0)
        width = parameters.integer(f"{prefix}_w", default or 0)
        return height or 0, width or 0
    value = parameters.integer(field, default)
    if value is None:
        raise _missing(layer, field)
    return value, value


def _relu(layer: Layer) -> a.Attributes:
    return a.ReLU(layer.parameters("relu_param").number("negative_slope", 0.0) or 0.0)


def _eltwise(layer: Layer) -> a.Attributes:
    parameters = layer.parameters("eltwise_param")
    names = {"0": "PROD", "1": "SUM", "2": "MAX"}
    operation = parameters.enum("operation", "SUM") or "SUM"
    return a.Eltwise(names.get(operation, operation), tuple(parameters.numbers("coeff")))


def _concat(layer: Layer) -> a.Attributes:
    return a.Concat(_axis(layer.parameters("concat_param"), "concat_dim"))


def _slice(layer: Layer) -> a.Attributes:
    parameters = layer.parameters("slice_param")
    return a.Slice(_axis(parameters, "slice_dim"), tuple(parameters.integers("slice_point")))


def _axis(parameters: Message, old_name: str) -> int:
    axis = parameters.integer("axis", parameters.integer(old_name, 1))
    return 1 if axis is None else axis


def _softmax(layer: Layer) -> a.Attributes:
    axis = _axis(layer.parameters("softmax_param"), "axis")
    return a.SoftmaxWithLoss(axis) if layer.type == "SoftmaxWithLoss" else a.Softmax(axis)


def _flatten(layer: Layer) -> a.Attributes:
    parameters = layer.parameters("flatten_param")
    axis, end = parameters.integer("axis", 1), parameters.integer("end_axis", -1)
    return a.Flatten(1 if axis is None else axis, -1 if end is None else end)


def _reshape(layer: Layer) -> a.Attributes:
    parameters = layer.parameters("reshape_param")
    shape = parameters.message("shape") or Message()
    num_axes = parameters.integer("num_axes", -1)
    return a.Reshape(
        tuple(shape.integers("dim")),
        parameters.integer("axis", 0) or 0,
        -1 if num_axes is None else num_axes,
    )


def _batch_norm(layer: Layer) -> a.Attributes:
    parameters = layer.parameters("batch_norm_param")
    eps = parameters.number("eps", 1e-5)
    return a.BatchNorm(1e-5 if eps is None else eps, parameters.boolean("use_global_stats"))


def _scale(layer: Layer) -> a.Attributes:
    parameters = layer.parameters("scale_param")
    axis, num_axes = parameters.integer("axis", 1), parameters.integer("num_axes", 1)
    return a.Scale(
        1 if axis is None else axis,
        1 if num_axes is None else num_axes,
        bool(parameters.boolean("bias_term", False)),
    )


def _lrn(layer: Layer) -> a.Attributes:
    parameters = layer.parameters("lrn_param")
    defaults = a.LRN()
    region = parameters.enum("norm_region", "ACROSS_CHANNELS") or "ACROSS_CHANNELS"
    return a.LRN(
        parameters.integer("local_size", defaults.local_size) or defaults.local_size,
        _number(parameters, "alpha", defaults.alpha),
        _number(parameters, "beta", defaults.beta),
        _number(parameters, "k", defaults.k),
        {"0": "ACROSS_CHANNELS", "1": "WITHIN_CHANNEL"}.get(region, region),
    )


def _power(layer: Layer) -> a.Attributes:
    parameters = layer.parameters("power_param")
    return a.Power(
        _number(parameters, "power", 1.0),
        _number(parameters, "scale", 1.0),
        _number(parameters, "shift", 0.0),
    )


def _number(parameters: Message, field: str, default: float) -> float:
    value = parameters.number(field, default)
    return default if value is None else value


def _input(layer: Layer) -> a.Attributes:
    shapes: List[Tuple[int, ...]] = [
        tuple(shape.integers("dim")) for shape in layer.parameters("input_param").messages("shape")
    ]
    if len(shapes) == 1:
        shapes *= len(layer.tops)
    return a.Input(tuple(shapes))


def _quant(layer: Layer) -> a.Attributes:
    parameters = layer.parameters("quant_param")
    offset = parameters.blobs("offset")
    if parameters.number("scale") is None or not offset or len(offset[-1]) != 1:
        raise ModelError(
            "quant_param lacks scale or an offset of one byte; expected both.",
            layer=layer.name,
            field="quant_param",
        )
    signed = int.from_bytes(offset[-1], "big", signed=True)
    return a.Quant(_number(parameters, "scale", 1.0), signed)


def _dequant(layer: Layer) -> a.Attributes:
    return a.DeQuant()


def _required(layer: Layer, parameters: Message, field: str) -> int:
    value = parameters.integer(field)
    if value is None:
        raise _missing(layer, field)
    return value


def _missing(layer: Layer, field: str) -> ModelError:
    return ModelError(
        f"line {layer.message.line}: '{field}' is missing, and {layer.type} needs it.",
        file=layer.message.file,
        layer=layer.name,
        field=field,
        remedy="Add it.",
    )


_READERS: Dict[str, Callable[[Layer], a.Attributes]] = {
    "BatchNorm": _batch_norm,
    "Concat": _concat,
    "Convolution": _convolution,
    "Deconvolution": _convolution,
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
    "SoftmaxWithLoss": _softmax,
}
