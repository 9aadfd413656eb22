"""The JSON of a configuration while it is changed."""

from __future__ import annotations

import json
from typing import Any, Callable, Dict, Generic, List, Optional, Sequence

import attrs

from amct_core.config.error_list import ConfigErrors, ErrorList
from amct_core.config.forms import C, ConfigForm
from amct_core.config.ptq import HFMG, IFMR, PARAMETERS
from amct_core.errors import ConfigError


@attrs.frozen
class _Written:
    layer: Optional[str]
    key: str
    source: str


@attrs.frozen
class Document(Generic[C]):
    """A configuration as the JSON object of its file.

    What is written is remembered with its source, so that a refusal names that.
    """

    data: Dict[str, Any]
    form: ConfigForm[C]
    _written: List[_Written] = attrs.field(factory=list)

    @classmethod
    def of(cls, config: C, form: ConfigForm[C]) -> Document[C]:
        """Return the document of ``config``."""
        return cls(json.loads(form.format(config)), form)

    def set(self, layer: Optional[str], path: Sequence[str], value: Any, source: str) -> None:
        """Set the value at ``path``, or remove it where ``value`` is None.

        Args:
            layer: in whose entry; None: of the whole configuration.
            path: the parts of the dotted key.
            value: what JSON holds.
            source: who says so, for messages.
        """
        self._written.append(_Written(layer, ".".join(path), source))
        place = self.data if layer is None else self.data[layer]
        if tuple(path) == self.form.calibrator and layer is not None:
            self._forget_parameters(place, value)
        if tuple(path) in self.form.choices:
            _forget(place, path, self.form.choices[tuple(path)], value)
        *sections, key = path
        for section in sections:
            if not isinstance(place.get(section), dict):
                place[section] = {}
            place = place[section]
        if value is None:
            place.pop(key, None)
        else:
            place[key] = value

    def _forget_parameters(self, entry: Dict[str, Any], algo: Any) -> None:
        """Remove the parameters of the calibrator that an entry has, if ``algo`` is another."""
        assert self.form.calibrator is not None
        section, key = self.form.calibrator
        params = entry.get(section)
        if isinstance(params, dict):
            implied = HFMG if any(each in params for each in PARAMETERS[HFMG]) else IFMR
            if params.get(key, implied) != algo:
                entry[section] = {}

    def read(self, check: Callable[[C], C]) -> C:
        """Return the configuration, as ``check`` returns it.

        Raises:
            ConfigError: reading or ``check`` refuses it; the file is the source of what was written
                there last.
        """
        try:
            return check(self.form.parse(json.dumps(self.data), None))
        except ConfigErrors as error:
            errors = ErrorList([self._traced(each) for each in error.errors])
        except ConfigError as error:
            raise self._traced(error) from error
        errors.raise_all()
        raise AssertionError("ConfigErrors holds errors")

    def _traced(self, error: ConfigError) -> ConfigError:
        """Return ``error`` with the source of what it is about."""
        field = error.field or ""
        here = [each for each in self._written if each.layer in (error.layer, None)]
        for related in (_same_place, _same_section):
            for each in reversed(here):
                if related(each.key, field):
                    return error.at(file=each.source)
        return error


def _forget(
    place: Dict[str, Any], chosen: Sequence[str], parameters: Sequence[str], algo: Any
) -> None:
    """Remove the parameters of an algorithm if ``algo`` is another."""
    for section in chosen[:-1]:
        place = place.get(section, {})
        if not isinstance(place, dict):
            return
    if place.get(chosen[-1]) != algo:
        place.pop(parameters[-1], None)


def _same_place(key: str, field: str) -> bool:
    first, second = f"{key}.", f"{field}."
    return first.startswith(second) or second.startswith(first)


def _same_section(key: str, field: str) -> bool:
    return key.split(".")[0] == field.split(".")[0]
