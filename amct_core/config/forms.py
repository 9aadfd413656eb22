"""The two forms of a configuration as one kind of thing, for what changes either of them."""

from __future__ import annotations

from typing import Callable, Generic, Iterable, Mapping, Optional, Tuple, TypeVar

import attrs

from amct_core.config import json_format, ptq_json
from amct_core.config.assignments import Keys
from amct_core.config.model import LayerConfig, QatConfig
from amct_core.config.ptq import PtqConfig, PtqLayer

C = TypeVar("C", QatConfig, PtqConfig)


@attrs.frozen
class ConfigForm(Generic[C]):
    """What there is to know of a form of configuration to change its JSON.

    Attributes:
        name: ``qat`` or ``ptq``: of the group of commands, and of the part of an advice file.
        keys: of the whole configuration and of a layer's entry.
        switch: the key of an entry that says whether the layer is quantized.
        weight: the key of an entry that a layer without weights does not have.
        calibrator: section and key whose new value makes the other keys of the section
            meaningless, as they are parameters of the old one; None: there is none.
        choices: the path of each key that names an algorithm, with the path of the parameters
            that a new value makes meaningless.
        parse: reads a configuration from its text; the second argument is the file, for messages.
        format: returns the text of a configuration.
        complete: returns a configuration with an entry for each of some layers; new ones are
            switched off.
    """

    name: str
    keys: Keys
    switch: str
    weight: str
    calibrator: Optional[Tuple[str, str]]
    parse: Callable[[str, Optional[str]], C]
    format: Callable[[C], str]
    complete: Callable[[C, Iterable[str]], C]
    choices: Mapping[Tuple[str, ...], Tuple[str, ...]] = attrs.field(factory=dict)


def _complete_qat(config: QatConfig, names: Iterable[str]) -> QatConfig:
    off = LayerConfig(retrain_enable=False)
    return config.with_layers({**dict.fromkeys(names, off), **config.layers})


def _complete_ptq(config: PtqConfig, names: Iterable[str]) -> PtqConfig:
    return config.with_layers({**dict.fromkeys(names, PtqLayer(enabled=False)), **config.layers})


QAT: ConfigForm[QatConfig] = ConfigForm(
    name="qat",
    keys=Keys(json_format.GLOBAL, json_format.LAYER),
    switch="retrain_enable",
    weight="retrain_weight_config",
    calibrator=None,
    parse=json_format.parse,
    format=json_format.format_config,
    complete=_complete_qat,
    choices={
        (*section, key): (*section, f"{key}_parameters")
        for section, key in (
            (("retrain_data_config",), "algo"),
            (("retrain_data_config",), "init_algo"),
            (("retrain_weight_config",), "algo"),
            ((), "shift_n_algo"),
        )
    },
)

PTQ: ConfigForm[PtqConfig] = ConfigForm(
    name="ptq",
    keys=Keys(ptq_json.GLOBAL, ptq_json.LAYER),
    switch="quant_enable",
    weight="weight_quant_params",
    calibrator=("activation_quant_params", "act_algo"),
    parse=ptq_json.parse,
    format=ptq_json.format_config,
    complete=_complete_ptq,
)
