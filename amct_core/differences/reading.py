"""Reads a file that may be either kind of configuration, or a record."""

from __future__ import annotations

from typing import Any

from amct_core import record as records
from amct_core.config import json_format, ptq_json
from amct_core.config.forms import PTQ, QAT
from amct_core.config.values import Section
from amct_core.differences.flat import Flat, flat_ptq, flat_qat, flat_record
from amct_core.errors import ConfigError
from amct_core.files import read_text


def read_flat(path: str) -> Flat:
    """Read a configuration or a record; its content says which it is.

    Raises:
        AmctError: it cannot be read as what it is, or is JSON and neither kind of configuration.
    """
    text = read_text(path)
    if not text.lstrip().startswith("{"):
        return flat_record(records.read(path))
    data = Section.parse(text, path, "Mend the file, or create it again.").data
    for form, flat in ((QAT, _qat), (PTQ, _ptq)):
        if _is(data, form.keys.entry, _OWN[form.name]):
            return flat(text, path)
    raise ConfigError(
        "it is JSON, but neither a QAT config nor a PTQ config: no layer's entry has a key of "
        "either.",
        file=path,
        remedy="Give a config of amct qat config or amct ptq config, or a record.",
    )


_OWN = {
    "qat": set(QAT.keys.whole) - set(PTQ.keys.whole),
    "ptq": set(PTQ.keys.whole) - set(QAT.keys.whole),
}
"""The keys that only one kind has; a configuration need not have a layer."""


def _is(data: Any, entry: Any, own: Any) -> bool:
    entries = (value for value in data.values() if isinstance(value, dict))
    return any(key in each for each in entries for key in entry) or any(key in data for key in own)


def _qat(text: str, path: str) -> Flat:
    return flat_qat(json_format.parse(text, path))


def _ptq(text: str, path: str) -> Flat:
    return flat_ptq(ptq_json.parse(text, path))
