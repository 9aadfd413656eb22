"""Reads typed values out of parsed JSON, with errors that name the place."""

from __future__ import annotations

import difflib
import json
from typing import Any, Callable, Collection, Dict, Iterable, List, Optional, Tuple

import attrs

from amct_core.errors import ConfigError, ConfigTypeError
from amct_core.json_types import is_number

_WORDS = {bool: "true or false", int: "an integer", float: "a number", str: "a string"}


_MAX_DEPTH = 100
_INT64 = 2**63
_INT64_DIGITS = 20  # with a sign

_Pairs = Callable[[List[Tuple[str, Any]]], Dict[str, Any]]


def parse_json(text: str, pairs: Optional[_Pairs] = None) -> Any:
    """Return what JSON ``text`` holds, where no number or nesting is absurd.

    Args:
        text: of the whole file; a byte order mark in front is ignored.
        pairs: makes an object of its keys and values; None: the last of equal keys counts.

    Raises:
        ValueError: it is not valid JSON (then a ``json.JSONDecodeError``), an integer does not fit
            64 bits, or it is nested more than 100 levels deep.
    """
    try:
        data = json.loads(text.lstrip("\ufeff"), object_pairs_hook=pairs, parse_int=_int64)
    except RecursionError:
        raise _too_deep() from None
    level, depth = [data], 0
    while level:
        below = [each for each in level if isinstance(each, (dict, list))]
        if below and depth >= _MAX_DEPTH:
            raise _too_deep()
        level = [v for each in below for v in (each.values() if isinstance(each, dict) else each)]
        depth += 1
    return data


def _too_deep() -> ValueError:
    return ValueError(f"it is nested too deep; expected at most {_MAX_DEPTH} levels")


def _int64(digits: str) -> int:
    # More digits are not converted: that takes quadratic time.
    if len(digits) <= _INT64_DIGITS and -_INT64 <= int(digits) < _INT64:
        return int(digits)
    raise ValueError(f"found the integer {digits[:30]}...; expected one of 64 bits")


def given(**values: Any) -> Dict[str, Any]:
    """Return the values that are not None: for the others the data classes say the default."""
    return {key: value for key, value in values.items() if value is not None}


def suggestion(name: str, known: Iterable[str], otherwise: str) -> str:
    """Return what to do about an unknown ``name``: take the nearest known one, or ``otherwise``."""
    near = difflib.get_close_matches(name, list(known), n=1)
    return f"Did you mean '{near[0]}'?" if near else otherwise


@attrs.frozen
class Section:
    """One JSON object of a configuration and where it stands.

    Attributes:
        data: the object.
        file: the file, for messages.
        layer: the layer it belongs to, if any.
        path: key path from the layer (or the top), such as ``retrain_data_config``.
    """

    data: Dict[str, Any]
    file: Optional[str]
    layer: Optional[str] = None
    path: str = ""

    @classmethod
    def parse(cls, text: str, file: Optional[str], remedy: str = "") -> Section:
        """Return the object that JSON ``text`` holds.

        Args:
            text: of the whole file; a byte order mark in front is ignored.
            file: its path, for messages.
            remedy: what to do about a text that is not valid JSON.

        Raises:
            ConfigError: it is not valid JSON, is no object, or has a key twice.
        """
        try:
            data = parse_json(text, lambda pairs: _unique(pairs, file))
        except json.JSONDecodeError as error:
            raise ConfigError(
                f"line {error.lineno}, column {error.colno}: not valid JSON: {error.msg}.",
                file=file,
                remedy=remedy,
            ) from error
        except ValueError as error:
            if isinstance(error, ConfigError):
                raise
            raise ConfigError(f"{error}.", file=file, remedy=remedy) from error
        if not isinstance(data, dict):
            raise ConfigError(f"it holds a {type(data).__name__}; expected an object.", file=file)
        return cls(data, file)

    def field(self, key: str) -> str:
        """Return the full name of ``key``."""
        return f"{self.path}.{key}" if self.path else key

    def error(self, key: str, problem: str, remedy: str = "") -> ConfigError:
        """Return a ConfigError about ``key``."""
        return ConfigError(
            problem, file=self.file, layer=self.layer, field=self.field(key), remedy=remedy
        )

    def wrong_type(self, key: str, problem: str) -> ConfigTypeError:
        """Return a ConfigTypeError about ``key``."""
        return ConfigTypeError(
            problem,
            file=self.file,
            layer=self.layer,
            field=self.field(key),
            remedy="Correct the value.",
        )

    def check_keys(
        self,
        known: Collection[str],
        fault: str = "unknown key",
        remedy: str = "Remove the key.",
    ) -> None:
        """Raise if there is a key that is not in ``known``.

        Args:
            known: the keys that there are.
            fault: says what is wrong with another.
            remedy: what to do where it resembles none of ``known``.
        """
        for key in self.data:
            if key not in known:
                raise self.error(
                    key,
                    f"{fault}; expected one of {', '.join(sorted(known))}.",
                    suggestion(key, known, remedy),
                )

    def section(self, key: str, layer: Optional[str] = None) -> Section:
        """Return the object under ``key``; an empty one if it is missing."""
        value = self.data.get(key, {})
        if not isinstance(value, dict):
            raise self.error(key, f"it is {value!r}; expected an object in braces.")
        if layer is not None:
            return Section(value, self.file, layer, "")
        return Section(value, self.file, self.layer, self.field(key))

    def boolean(self, key: str) -> Optional[bool]:
        """Return a boolean; None if it is missing."""
        value: Optional[bool] = self._typed(key, bool)
        return value

    def integer(self, key: str) -> Optional[int]:
        """Return an integer (booleans are none); None if it is missing."""
        value: Optional[int] = self._typed(key, int)
        return value

    def number(self, key: str) -> Optional[float]:
        """Return a float, as which an integer counts, but no boolean; None if it is missing."""
        value = self._typed(key, float)
        return None if value is None else float(value)

    def string(self, key: str) -> Optional[str]:
        """Return a string; None if it is missing."""
        value: Optional[str] = self._typed(key, str)
        return value

    def strings(self, key: str) -> Tuple[str, ...]:
        """Return a list of strings; an empty one if it is missing."""
        values = self.data.get(key, [])
        if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
            raise self.wrong_type(key, f"it is {values!r}; expected a list of strings.")
        return tuple(values)

    def numbers(self, key: str) -> Optional[Tuple[float, ...]]:
        """Return a list of floats, as which integers count; None if it is missing."""
        values = self.data.get(key)
        if key not in self.data:
            return None
        if not isinstance(values, list) or not all(map(is_number, values)):
            raise self.wrong_type(key, f"it is {values!r}; expected a list of numbers.")
        return tuple(map(float, values))

    def _typed(self, key: str, kind: type) -> Any:
        if key not in self.data:
            return None
        value = self.data[key]
        accepted = (int, float) if kind is float else (kind,)
        if not isinstance(value, accepted) or (kind is not bool and isinstance(value, bool)):
            raise self.wrong_type(
                key, f"it is {value!r} ({type(value).__name__}); expected {_WORDS[kind]}."
            )
        return value


def _unique(pairs: List[Tuple[str, Any]], file: Optional[str]) -> Dict[str, Any]:
    result: Dict[str, Any] = {}
    for key, value in pairs:
        if key in result:
            raise ConfigError(
                "the key is there twice.", file=file, field=key, remedy="Remove one of the two."
            )
        result[key] = value
    return result
