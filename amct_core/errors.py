"""Errors that a user can cause, and how they are worded.

Every error of the product derives from :class:`AmctError`, so that a caller (and the command line)
can tell "your input needs a change" from "the program is wrong".  A message answers four questions:
what was found, what was expected, where (file, layer, field), and what to do about it.

Where AMCT raises a ``ValueError`` or a ``RuntimeError``, ours is a subclass of it too, so scripts
that catch those keep working.
"""

from __future__ import annotations

from typing import Optional, TypeVar

E = TypeVar("E", bound="AmctError")


class AmctError(Exception):
    """Base of everything a user can cause.

    Args:
        problem: what was found and what was expected, one sentence or two.
        file: path of the file at fault, if there is one.
        layer: name of the layer at fault, if there is one.
        field: name of the field, config key or API parameter at fault, if there is one.
        remedy: what the user can do; empty only where ``problem`` already says it.
    """

    def __init__(
        self,
        problem: str,
        *,
        file: object = None,
        layer: Optional[str] = None,
        field: Optional[str] = None,
        remedy: str = "",
    ) -> None:
        self.problem = problem
        self.file = None if file is None else str(file)
        self.layer = layer
        self.field = field
        self.remedy = remedy
        super().__init__(self._message())

    def _message(self) -> str:
        where = []
        if self.file is not None:
            where.append(self.file)
        if self.layer is not None:
            where.append(f"layer '{self.layer}'")
        if self.field is not None:
            where.append(f"field '{self.field}'")
        message = f"{', '.join(where)}: {self.problem}" if where else self.problem
        return f"{message} {self.remedy}" if self.remedy else message

    def __str__(self) -> str:
        return self._message()

    def at(self: E, *, file: object = None, layer: Optional[str] = None) -> E:
        """Return the same error with its place, as far as whoever raised it did not know that."""
        return type(self)(
            self.problem,
            file=file if self.file is None else self.file,
            layer=layer if self.layer is None else self.layer,
            field=self.field,
            remedy=self.remedy,
        )

    def with_more(self: E, *, problem: str = "", remedy: str = "") -> E:
        """Return the same error with a sentence more, behind what it says or behind its remedy."""
        return type(self)(
            f"{self.problem} {problem}".strip(),
            file=self.file,
            layer=self.layer,
            field=self.field,
            remedy=f"{self.remedy} {remedy}".strip(),
        )


class FileFormatError(AmctError, ValueError):
    """A file (prototxt, caffemodel, record, config) cannot be read as what it should be."""


class ConfigError(AmctError, ValueError):
    """A configuration has a wrong key, type, value or combination."""


class ConfigTypeError(ConfigError, TypeError):
    """A value of a configuration, or an argument of the API, is of the wrong type."""


class NothingEnabledError(ConfigError, RuntimeError):
    """A configuration enables no layer."""


class RecordError(AmctError, RuntimeError):
    """A record file lacks a factor, repeats a layer, or holds a value out of range."""


class ModelError(AmctError, ValueError):
    """A network cannot be handled: structure, shapes, or weights that do not match it."""


class QuantizationError(AmctError, ValueError):
    """Numbers cannot be quantized: NaN, infinity, an overflowing accumulator or bias."""


class TrainingError(AmctError, RuntimeError):
    """Training has not produced what the next step needs, or a solver would not produce it."""


class AutoCalibrationError(AmctError, RuntimeError):
    """An evaluator, a strategy or a sensitivity of a user's own breaks its contract."""


class PluginError(AmctError, RuntimeError):
    """A plugin is missing, conflicts with another, failed to load, or returned nonsense."""


class EnvironmentUnsuitableError(AmctError, RuntimeError):
    """The machine lacks what a step needs, such as pycaffe or ATC."""


class FrameworkEndedError(AmctError, RuntimeError):
    """A framework, or the system, has ended the process that a command ran it in."""
