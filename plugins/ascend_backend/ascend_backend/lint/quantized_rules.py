"""Rules on the layers between Quant and DeQuant."""

from __future__ import annotations

from typing import Iterator, List

from amct_caffe.model.formats.prototxt.layer import Layer
from ascend_backend.lint.model import DeployModel
from ascend_backend.lint.quantized import (
    WEIGHTED_TYPES,
    is_average_pooling,
    makes_accumulators,
    quantized_groups,
)
from ascend_backend.lint.rule import ERROR, WARNING, Problem, Rule


def _quantized(model: DeployModel, *types: str) -> List[Layer]:
    layers = [group.layer for group in quantized_groups(model)]
    return [layer for layer in layers if not types or layer.type in types]


def check_dequant_follows(model: DeployModel) -> Iterator[Problem]:
    """Find quantized layers whose accumulators something else than one DeQuant reads."""
    for group in quantized_groups(model):
        if group.dequant is None:
            readers = [f"'{r.name}' ({r.type})" for r in model.wiring.consumers(group.layer)]
            yield Problem(
                f"it reads '{group.quant.name}', and is read by {', '.join(readers) or 'nothing'}; "
                "expected one DeQuant.",
                group.layer.name,
                "top",
            )


def check_dequant_reads(model: DeployModel) -> Iterator[Problem]:
    """Find DeQuants on something else than accumulators."""
    for dequant in model.of_type("DeQuant"):
        layer = model.wiring.producer(dequant)
        if layer is None:
            continue
        quant = model.wiring.producer(layer)
        if not makes_accumulators(layer) or quant is None or quant.type != "Quant":
            yield Problem(
                f"it reads '{layer.name}' ({layer.type}), which is not quantized.",
                dequant.name,
                "bottom",
            )


def check_quant_precedes(model: DeployModel) -> Iterator[Problem]:
    """Find layers with integer weights and a float input."""
    for layer in model.of_type(*WEIGHTED_TYPES):
        quant = model.wiring.producer(layer)
        if quant is None or quant.type == "Quant":
            continue
        if any(blob.field == "int8_data" for blob in model.blobs(layer)):
            yield Problem(
                f"its weights are int8, and its input comes from '{quant.name}' ({quant.type}); "
                "expected a Quant.",
                layer.name,
                "bottom",
            )


def check_weights(model: DeployModel) -> Iterator[Problem]:
    """Find quantized layers whose weights are not int8."""
    for layer in _quantized(model, *WEIGHTED_TYPES):
        for blob in model.blobs(layer)[:1]:
            if blob.field != "int8_data":
                yield Problem(
                    f"it reads a Quant, and its weights are in {blob.field}; expected int8_data.",
                    layer.name,
                    "blobs[0]",
                )


def check_bias(model: DeployModel) -> Iterator[Problem]:
    """Find quantized layers whose bias is not int32."""
    for layer in _quantized(model, *WEIGHTED_TYPES):
        for blob in model.blobs(layer)[1:2]:
            if blob.field != "int32_data":
                yield Problem(
                    f"it reads a Quant, and its bias is in {blob.field}; expected int32_data.",
                    layer.name,
                    "blobs[1]",
                )


def check_inner_product(model: DeployModel) -> Iterator[Problem]:
    """Find quantized InnerProducts with transposed weights or another axis."""
    for layer in _quantized(model, "InnerProduct"):
        parameters = layer.parameters("inner_product_param")
        transpose, axis = parameters.boolean("transpose", False), parameters.integer("axis", 1)
        if transpose or axis != 1:
            yield Problem(
                f"transpose is {str(bool(transpose)).lower()} and axis {axis}; expected false "
                "and 1.",
                layer.name,
                "inner_product_param",
            )


def check_filter(model: DeployModel) -> Iterator[Problem]:
    """Find quantized convolutions whose filter is not 4-D."""
    for layer in _quantized(model, "Convolution", "Deconvolution"):
        for blob in model.blobs(layer)[:1]:
            if len(blob.shape) != 4:
                yield Problem(
                    f"its filter has the shape {list(blob.shape)}; expected 4 dimensions.",
                    layer.name,
                    "blobs[0]",
                )


def check_dilation(model: DeployModel) -> Iterator[Problem]:
    """Find quantized Deconvolutions with a dilation."""
    for layer in _quantized(model, "Deconvolution"):
        dilation = layer.parameters("convolution_param").integers("dilation")
        if any(each != 1 for each in dilation):
            yield Problem(
                f"its dilation is {dilation}; expected 1.",
                layer.name,
                "convolution_param.dilation",
            )


def check_group(model: DeployModel) -> Iterator[Problem]:
    """Find quantized Deconvolutions with groups."""
    for layer in _quantized(model, "Deconvolution"):
        group = layer.parameters("convolution_param").integer("group", 1)
        if group != 1:
            yield Problem(
                f"its group is {group}; expected 1.", layer.name, "convolution_param.group"
            )


def check_global_pooling(model: DeployModel) -> Iterator[Problem]:
    """Find quantized Poolings over the whole input."""
    for layer in _quantized(model, "Pooling"):
        if layer.parameters("pooling_param").boolean("global_pooling", False):
            yield Problem(
                "global_pooling is true; expected false.",
                layer.name,
                "pooling_param.global_pooling",
            )


def check_eltwise(model: DeployModel) -> Iterator[Problem]:
    """Find quantized Eltwises that do not add."""
    for layer in model.of_type("Eltwise"):
        operation = layer.parameters("eltwise_param").enum("operation", "SUM")
        producers = [model.wiring.producer(layer, index) for index in range(len(layer.bottoms))]
        quants = [each.name for each in producers if each is not None and each.type == "Quant"]
        if quants and operation not in ("SUM", "1"):
            yield Problem(
                f"it reads the Quant '{quants[0]}', and its operation is {operation}; expected "
                "SUM.",
                layer.name,
                "eltwise_param.operation",
            )


def check_shift_of_pooling(model: DeployModel) -> Iterator[Problem]:
    """Find a shift N on AVE Pooling."""
    for group in quantized_groups(model):
        words = None if group.dequant is None else model.words(group.dequant)
        if group.dequant is None or words is None or not is_average_pooling(group.layer):
            continue
        if ((words >> 32) & 0xFF).any():
            yield Problem(
                f"it dequantizes the Pooling '{group.layer.name}' with a shift N; expected 0.",
                group.dequant.name,
                "blobs[0]",
            )


RULES = (
    Rule(
        "A060",
        ERROR,
        "A quantized layer is not followed by one DeQuant",
        "Let a DeQuant read the layer, and everything else read the DeQuant.",
        check_dequant_follows,
    ),
    Rule(
        "A061",
        ERROR,
        "A DeQuant does not follow a quantized layer",
        "Take the DeQuant out, or put the Quant in before the layer.",
        check_dequant_reads,
    ),
    Rule(
        "A062",
        ERROR,
        "A layer has integer weights and a float input",
        "Put the Quant in before the layer, or give it float weights.",
        check_quant_precedes,
    ),
    Rule(
        "A063",
        ERROR,
        "The weights of a quantized layer are not int8",
        "Save the weights as int8_data.",
        check_weights,
    ),
    Rule(
        "A064",
        ERROR,
        "The bias of a quantized layer is not int32",
        "Save the bias as int32_data: round(bias / deq_scale).",
        check_bias,
    ),
    Rule(
        "A065",
        ERROR,
        "A quantized InnerProduct has transpose or another axis than 1",
        "Transpose the weights, or leave the layer unquantized.",
        check_inner_product,
    ),
    Rule(
        "A066",
        ERROR,
        "The filter of a quantized convolution is not 4-D",
        "Leave the layer unquantized.",
        check_filter,
    ),
    Rule(
        "A067",
        ERROR,
        "A quantized Deconvolution has a dilation",
        "Leave the layer unquantized.",
        check_dilation,
    ),
    Rule(
        "A068",
        WARNING,
        "A quantized Deconvolution has groups",
        "Leave the layer unquantized, or split it into one layer per group.",
        check_group,
    ),
    Rule(
        "A069",
        ERROR,
        "A global Pooling is quantized",
        "Leave the layer unquantized.",
        check_global_pooling,
    ),
    Rule(
        "A070",
        ERROR,
        "A quantized AVE Pooling has a shift N",
        "Save the layer with N = 0.",
        check_shift_of_pooling,
    ),
    Rule(
        "A071",
        ERROR,
        "A quantized Eltwise does not add",
        "Leave the layer unquantized.",
        check_eltwise,
    ),
)
