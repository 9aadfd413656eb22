"""The simplified configuration of post-training quantization: AMCT's
``calibration_config_caffe.proto`` in text form.

Precedence: ``override_layer_configs`` before ``override_layer_types`` before ``common_config``.  As
in AMCT, the first of them that a layer has counts alone: what it does not say is the default, not
what the next one says.  Our optional additions to a calibration configuration: ``act_algo``, for
any registered calibrator, and ``wts_algo``, for any weight algorithm.
"""

from __future__ import annotations

from typing import Dict, Mapping, Optional, Tuple

import attrs
import numpy as np

from amct_core.config.ptq import (
    HFMG,
    IFMR,
    NUQ,
    NUQ_REASON,
    PtqActivation,
    PtqConfig,
    PtqWeight,
)
from amct_core.config.ptq_ranges import check_activation, check_whole
from amct_core.config.text_fields import (
    check_fields,
    check_not_repeated,
    named_messages,
    required,
)
from amct_core.config.values import Section, given
from amct_core.errors import ConfigError
from amct_core.files import read_text
from amct_core.textproto import Message, parse

COMMON = "common_config"
BY_TYPE = "override_layer_types"
BY_LAYER = "override_layer_configs"
CONVOLUTIONS = "conv_calibration_config"
OTHERS = "fc_calibration_config"

_SKIPS = ("skip_layers", "skip_layer_types", "skip_fusion_layers")
_TOP = (
    "batch_num",
    "activation_offset",
    "joint_quant",
    "do_fusion",
    *_SKIPS,
    COMMON,
    BY_TYPE,
    BY_LAYER,
    CONVOLUTIONS,
    OTHERS,
)
_NUQ_CONFIG = "nuq_config"
_ARQ = "arq_quantize"
_IFMR = "ifmr_quantize"
_HFMG = "hfmg_quantize"
_CALIBRATION = (_ARQ, _IFMR, _HFMG, "act_algo", "wts_algo")
_IFMR_FIELDS = (
    "search_range_start",
    "search_range_end",
    "search_step",
    "max_percentile",
    "min_percentile",
)

FIELDS: Mapping[str, Tuple[str, ...]] = {
    "": _TOP,
    COMMON: _CALIBRATION,
    f"{COMMON}.{_ARQ}": ("channel_wise",),
    f"{COMMON}.{_IFMR}": _IFMR_FIELDS,
    f"{COMMON}.{_HFMG}": ("num_of_bins",),
    BY_TYPE: ("layer_type", "calibration_config"),
    BY_LAYER: ("layer_name", "calibration_config"),
}
"""The fields that are known, by the message that has them; "" is the file.  The other messages of
calibration have the fields of the common one."""


@attrs.frozen
class Calibration:
    """A ``CalibrationConfig``; None for what it does not say.

    Attributes:
        source: the field that it comes from, with the name of the type or layer.
    """

    source: str
    activation: Optional[PtqActivation] = None
    weight: Optional[PtqWeight] = None


@attrs.frozen
class SimplifiedPtqConfig:
    """A simplified configuration; ``whole`` has no layers.

    Attributes:
        file: where it comes from, for messages; None: arguments of a call.
        convolutions, others: the deprecated messages, for the types that may be quantized by
            channels and for all others.
    """

    file: Optional[str] = None
    whole: PtqConfig = attrs.field(factory=PtqConfig)
    skip_layers: Tuple[str, ...] = ()
    skip_layer_types: Tuple[str, ...] = ()
    common: Optional[Calibration] = None
    by_type: Dict[str, Calibration] = attrs.field(factory=dict)
    by_layer: Dict[str, Calibration] = attrs.field(factory=dict)
    convolutions: Optional[Calibration] = None
    others: Optional[Calibration] = None


def read(path: str) -> SimplifiedPtqConfig:
    """Read a simplified configuration.

    Raises:
        ConfigError: naming file, field, what was found and what was expected.
        FileFormatError: the file is not in text format.
    """
    return from_text(read_text(path), path)


def from_text(text: str, file: str) -> SimplifiedPtqConfig:
    """Return what ``text`` holds; errors as :func:`read`."""
    message = parse(text, file)
    if message.has(_NUQ_CONFIG):
        raise ConfigError(
            NUQ_REASON,
            file=file,
            field=_NUQ_CONFIG,
            remedy="Remove nuq_config; arq_quantize then quantizes the weights of every layer.",
        )
    check_fields(message, _TOP, file, "", (*_SKIPS, BY_TYPE, BY_LAYER))
    for field in _SKIPS:
        check_not_repeated(message.strings(field), file, field)
    whole = PtqConfig(
        **given(
            batch_num=message.integer("batch_num"),
            activation_offset=message.boolean("activation_offset"),
            joint_quant=message.boolean("joint_quant"),
            do_fusion=message.boolean("do_fusion"),
        ),
        skip_fusion_layers=tuple(message.strings("skip_fusion_layers")),
    )
    check_whole(whole, Section({}, file))
    return SimplifiedPtqConfig(
        file=file,
        whole=whole,
        skip_layers=tuple(message.strings("skip_layers")),
        skip_layer_types=tuple(message.strings("skip_layer_types")),
        common=_optional(message, COMMON, file),
        by_type=_overrides(message, BY_TYPE, "layer_type", file),
        by_layer=_overrides(message, BY_LAYER, "layer_name", file),
        convolutions=_optional(message, CONVOLUTIONS, file),
        others=_optional(message, OTHERS, file),
    )


def _optional(message: Message, field: str, file: str) -> Optional[Calibration]:
    found = message.message(field)
    return None if found is None else _calibration(found, file, field)


def _overrides(message: Message, field: str, key: str, file: str) -> Dict[str, Calibration]:
    return {
        name: _calibration(
            required(entry, "calibration_config", file, field), file, f"{field} '{name}'"
        )
        for name, entry in named_messages(message, field, key, FIELDS[field][1:], file).items()
    }


def _calibration(message: Message, file: str, source: str) -> Calibration:
    if message.has(NUQ):
        raise ConfigError(
            NUQ_REASON, file=file, field=f"{source}.{NUQ}", remedy=f"Use {_ARQ} instead."
        )
    check_fields(message, _CALIBRATION, file, source)
    _check_one_of(message, (_IFMR, _HFMG, "act_algo"), file, source)
    _check_one_of(message, (_ARQ, "wts_algo"), file, source)
    activation = _activation(message, file, source)
    if activation is not None:
        check_activation(activation, Section({}, file, None, source))
    return Calibration(source, activation, _weight(message, file, source))


def _check_one_of(message: Message, fields: Tuple[str, ...], file: str, source: str) -> None:
    found = [field for field in fields if message.has(field)]
    if len(found) > 1:
        raise ConfigError(
            f"{found[0]} and {found[1]} can not appear at same time.",
            file=file,
            field=f"{source}.{found[1]}",
            remedy="Remove one of the two.",
        )


def _activation(message: Message, file: str, source: str) -> Optional[PtqActivation]:
    hfmg, ifmr = message.message(_HFMG), message.message(_IFMR)
    if hfmg is not None:
        check_fields(hfmg, FIELDS[f"{COMMON}.{_HFMG}"], file, f"{source}.{_HFMG}")
        return PtqActivation(HFMG, **given(num_of_bins=hfmg.integer("num_of_bins")))
    if ifmr is not None:
        return _ifmr(ifmr, file, f"{source}.{_IFMR}")
    algo = message.string("act_algo")
    return None if algo is None else PtqActivation(algo)


def _ifmr(message: Message, file: str, where: str) -> PtqActivation:
    check_fields(message, _IFMR_FIELDS, file, where)
    default = PtqActivation()
    numbers = {name: _float32(message.number(name)) for name in _IFMR_FIELDS}
    start, end = numbers.pop("search_range_start"), numbers.pop("search_range_end")
    bounds = (
        default.search_range[0] if start is None else start,
        default.search_range[1] if end is None else end,
    )
    return PtqActivation(IFMR, search_range=bounds, **given(**numbers))


def _float32(value: Optional[float]) -> Optional[float]:
    """Return the decimal number that a protobuf ``float`` of this value is written as."""
    return None if value is None else float(str(np.float32(value)))


def _weight(message: Message, file: str, source: str) -> Optional[PtqWeight]:
    arq, algo = message.message(_ARQ), message.string("wts_algo")
    if arq is not None:
        check_fields(arq, FIELDS[f"{COMMON}.{_ARQ}"], file, f"{source}.{_ARQ}")
        return PtqWeight(channel_wise=arq.boolean("channel_wise"))
    return None if algo is None else PtqWeight(algo)
