"""Reads typed values out of parsed JSON, with errors that name the place."""

from __future__ import annotations

import difflib
from typing import Any, Collection, Dict, Optional

import attrs

from amct_core.errors import ConfigError

_WORDS = {bool: "true or false", int: "an integer", float: "a number", str: "a string"}


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

    def field(self, key: str) -> str:
        """Return the full name of ``key``."""
        return f"{self.path}.{key}" if self.path else key

    def error(self, key: str, problem: str, remedy: str = "") -> ConfigError:
        """Return a ConfigError about ``key``."""
        return ConfigError(
            problem, file=self.file, layer=self.layer, field=self.field(key), remedy=remedy
        )

    def check_keys(self, known: Collection[str]) -> None:
        """Raise if there is a key that is not in ``known``."""
        for key in self.data:
            if key not in known:
                near = difflib.get_close_matches(key, known, n=1)
                raise self.error(
                    key,
                    f"unknown key; expected one of {', '.join(sorted(known))}.",
                    f"Did you mean '{near[0]}'?" if near else "Remove the key.",
                )

    def section(self, key: str, layer: Optional[str] = None) -> Section:
        """Return the object under ``key``; an empty one if it is missing."""
        value = self.data.get(key, {})
        if not isinstance(value, dict):
            raise self.error(key, f"it is {value!r}; expected an object in braces.")
        if layer is not None:
            return Section(value, self.file, layer, "")
        return Section(value, self.file, self.layer, self.field(key))

    def boolean(self, key: str, default: Optional[bool]) -> Optional[bool]:
        """Return a boolean."""
        value: Optional[bool] = self._typed(key, bool, default)
        return value

    def integer(self, key: str, default: int) -> int:
        """Return an integer (booleans are none)."""
        value: int = self._typed(key, int, default)
        return value

    def number(self, key: str, default: Optional[float]) -> Optional[float]:
        """Return a float; an integer counts as one, a boolean does not."""
        value = self._typed(key, float, default)
        return None if value is None else float(value)

    def string(self, key: str, default: str) -> str:
        """Return a string."""
        value: str = self._typed(key, str, default)
        return value

    def _typed(self, key: str, kind: type, default: Any) -> Any:
        if key not in self.data:
            return default
        value = self.data[key]
        accepted = (int, float) if kind is float else (kind,)
        if not isinstance(value, accepted) or (kind is not bool and isinstance(value, bool)):
            raise self.error(
                key,
                f"it is {value!r} ({type(value).__name__}); expected {_WORDS[kind]}.",
                "Correct the value.",
            )
        return value
