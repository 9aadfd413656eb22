"""Rules on DeQuant layers and the words of their blob."""

from __future__ import annotations

from typing import Any, Iterator, Tuple

import numpy as np
from numpy.typing import NDArray

from amct_caffe.model.formats.prototxt.layer import Layer
from ascend_backend.lint.model import DeployModel
from ascend_backend.lint.quantized import WEIGHTED_TYPES, output_channels, quantized_groups
from ascend_backend.lint.rule import ERROR, WARNING, Problem, Rule

_BLOB = "blobs[0]"
_MAX_SHIFT = 16
_EPSILON = float(np.finfo(np.float32).eps)


def _words(model: DeployModel) -> Iterator[Tuple[Layer, NDArray[Any]]]:
    for layer in model.of_type("DeQuant"):
        words = model.words(layer)
        if words is not None and words.size:
            yield layer, words


def _some(values: NDArray[Any]) -> str:
    shown = ", ".join(f"{value:g}" for value in values[:4].tolist())
    return shown + (", ..." if len(values) > 4 else "")


def check_blob(model: DeployModel) -> Iterator[Problem]:
    """Find DeQuants that have not exactly one 1-D uint64 blob."""
    for layer in model.of_type("DeQuant"):
        found = [f"{blob.field} {list(blob.shape)}" for blob in model.blobs(layer)]
        blobs = model.blobs(layer)
        if len(blobs) != 1 or blobs[0].field != "uint64_data" or len(blobs[0].shape) != 1:
            yield Problem(
                f"found {', '.join(found) or 'no blob'}; expected one blob of uint64_data with one "
                "dimension.",
                layer.name,
                "blobs",
            )


def check_count(model: DeployModel) -> Iterator[Problem]:
    """Find DeQuants whose words are neither one nor one for each channel."""
    for group in quantized_groups(model):
        if group.dequant is None or group.layer.type not in WEIGHTED_TYPES:
            continue
        words, channels = model.words(group.dequant), output_channels(group.layer)
        if words is not None and channels is not None and words.size not in (1, channels):
            yield Problem(
                f"it has {words.size} words; expected 1, or {channels}, one for each output of "
                f"'{group.layer.name}'.",
                group.dequant.name,
                _BLOB,
            )


def check_shift(model: DeployModel) -> Iterator[Problem]:
    """Find N that are neither 0 throughout nor 1 to 16 throughout."""
    for layer, words in _words(model):
        shifts = (words >> 32) & 0xFF
        if shifts.any() and not ((shifts >= 1) & (shifts <= _MAX_SHIFT)).all():
            wrong = shifts[(shifts < 1) | (shifts > _MAX_SHIFT)]
            yield Problem(
                f"found N = {_some(np.unique(wrong))} among others; expected 0 for all channels, "
                f"or 1 to {_MAX_SHIFT} for each.",
                layer.name,
                _BLOB,
            )


def check_weight_offset(model: DeployModel) -> Iterator[Problem]:
    """Find weight offsets."""
    for layer, words in _words(model):
        offsets = ((words >> 40) & 0xFF).astype(np.uint8).view(np.int8)
        if offsets.any():
            yield Problem(
                f"found the weight offset {_some(offsets[offsets != 0])} in bits 40 to 47; "
                "expected 0.",
                layer.name,
                _BLOB,
            )


def check_upper_bits(model: DeployModel) -> Iterator[Problem]:
    """Find words with bits above those that have a meaning."""
    for layer, words in _words(model):
        upper = words >> 48
        if upper.any():
            yield Problem(
                f"bits 48 to 63 of a word are {int(upper[upper != 0][0]):#x}; expected 0.",
                layer.name,
                _BLOB,
            )


def deq_scales(words: NDArray[Any]) -> NDArray[np.float32]:
    """Return deq_scale of each word."""
    return (words & 0xFFFFFFFF).astype(np.uint32).view(np.float32)


def check_scale(model: DeployModel) -> Iterator[Problem]:
    """Find deq_scales that are no positive numbers."""
    for layer, words in _words(model):
        scales = deq_scales(words)
        wrong = scales[~(np.isfinite(scales) & (scales > 0))]
        if wrong.size:
            yield Problem(
                f"found deq_scale {_some(wrong)}; expected positive numbers.", layer.name, _BLOB
            )


def check_scale_range(model: DeployModel) -> Iterator[Problem]:
    """Find deq_scales above 1 / FLT_EPSILON."""
    for layer, words in _words(model):
        scales = deq_scales(words)
        large = scales[np.isfinite(scales) & (scales > 1 / _EPSILON)]
        if large.size:
            yield Problem(
                f"found deq_scale {_some(large)}; expected at most {1 / _EPSILON:g}, which is "
                "1 / FLT_EPSILON.",
                layer.name,
                _BLOB,
            )


RULES = (
    Rule(
        "A080",
        ERROR,
        "A DeQuant does not have exactly one 1-D uint64 blob",
        "Save deq_scale, N and offset_w packed into one blob, [1] or [channels].",
        check_blob,
    ),
    Rule(
        "A081",
        ERROR,
        "A DeQuant has neither one word nor one for each channel",
        "Save one word, or one for each output channel.",
        check_count,
    ),
    Rule(
        "A082",
        ERROR,
        "N is neither 0 throughout nor 1 to 16 throughout",
        "Search N for all channels of the layer, or for none.",
        check_shift,
    ),
    Rule(
        "A083",
        ERROR,
        "A weight offset is not 0",
        "Quantize the weights without an offset.",
        check_weight_offset,
    ),
    Rule(
        "A084",
        ERROR,
        "The upper bits of a DeQuant's word are set",
        "Save the model again: its writer packs the words in another way.",
        check_upper_bits,
    ),
    Rule(
        "A085",
        ERROR,
        "deq_scale is not a positive number",
        "Calibrate the layer again, or leave it unquantized.",
        check_scale,
    ),
    Rule(
        "A086",
        WARNING,
        "deq_scale is above 1 / FLT_EPSILON",
        "Check the weights of the layer, or leave it unquantized.",
        check_scale_range,
    ),
)
