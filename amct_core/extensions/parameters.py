"""Parameters of their own that algorithms have: an attrs class, whose fields a config gives.

A field's annotation is its type, one that JSON holds: ``bool``, ``int``, ``float``, ``str``, a
``Tuple`` or an ``Optional`` of these.  attrs validators say its range, and its default is what the
config gets where it says nothing::

    @attrs.frozen
    class Parameters:
        decay: float = attrs.field(default=0.9, validator=[ge(0.0), lt(1.0)])
"""

from __future__ import annotations

import functools
import math
from typing import Any, Dict, Iterable, List, Mapping, Optional, Tuple, TypeVar, get_type_hints

import attrs

from amct_core.errors import ConfigError, ConfigTypeError, PluginError
from amct_core.json_types import fits, is_number, words

Algorithm = TypeVar("Algorithm")

KEY = "algo_parameters"
"""The key of a config beside ``algo``."""


@attrs.frozen
class Field:
    """One parameter: its name, the type in words, and the default as JSON holds it.

    ``required``: there is no default, and the config must say it.
    """

    name: str
    type: str
    default: Any
    required: bool


def parameters_class(instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
    """Require an attrs class whose annotations can be read, or None."""
    if value is None:
        return
    owner = f"{type(instance).__name__} '{getattr(instance, 'name', '?')}'"
    if not isinstance(value, type) or not attrs.has(value):
        raise PluginError(
            f"{owner}: {attribute.name} is {value!r}; expected an attrs class, or None."
        )
    try:
        get_type_hints(value)
    except (NameError, TypeError) as error:
        raise PluginError(
            f"{owner}: the types of {attribute.name} {value.__name__} cannot be read: {error}.",
            remedy="Annotate each field with a type that Python 3.9 knows.",
        ) from error


def fields_of(kind: Optional[type]) -> Tuple[Field, ...]:
    """Return the parameters that the class ``kind`` has; none for None."""
    if kind is None:
        return ()
    hints = get_type_hints(kind)
    found = []
    for field in _given(kind):
        required = field.default is attrs.NOTHING
        default = None if required else _as_json(_default(field))
        found.append(Field(_key(field), words(hints[field.name]), default, required))
    return tuple(found)


def read_parameters(
    kind: Optional[type],
    values: Mapping[str, Any],
    owner: str,
    *,
    file: object = None,
    layer: Optional[str] = None,
    key: str = KEY,
) -> Any:
    """Return an instance of ``kind`` with ``values``; None where ``kind`` is.

    Args:
        kind: the attrs class.
        values: what JSON holds, by name.
        owner: what has the parameters, such as ``activation algorithm 'lsq'``, for messages.
        file, layer, key: where the values stand, for messages.

    Raises:
        ConfigError: a name is unknown or missing, a value is of another type or out of range.
    """
    place = _Place(owner, file, layer, key)
    if kind is None:
        if values:
            raise place.error(None, f"the {owner} has no parameters.", "Remove the key.")
        return None
    hints = {_key(field): get_type_hints(kind)[field.name] for field in _given(kind)}
    known = ", ".join(hints) or "none"
    for name, value in values.items():
        if name not in hints:
            problem = f"the {owner} has no parameter of this name; expected one of {known}."
            raise place.error(name, problem, "Correct or remove it.")
        place.check_type(name, value, hints[name])
    for field in _given(kind):
        if field.default is attrs.NOTHING and _key(field) not in values:
            expected = words(hints[_key(field)])
            problem = f"it is missing; the {owner} needs it ({expected})."
            raise place.error(_key(field), problem, "Give it a value.")
    converted = {name: _from_json(value, hints[name]) for name, value in values.items()}
    return place.made(kind, converted)


def as_json(parameters: Any) -> Dict[str, Any]:
    """Return the values of an instance by name, as JSON holds them; nothing for None."""
    if parameters is None:
        return {}
    found = {_key(field): getattr(parameters, field.name) for field in _given(type(parameters))}
    return {name: _as_json(value) for name, value in found.items()}


def keywords(parameters: Any) -> Dict[str, Any]:
    """Return the values of an instance by name, as it has them; nothing for None."""
    if parameters is None:
        return {}
    return {_key(field): getattr(parameters, field.name) for field in _given(type(parameters))}


def with_keywords(algorithm: Algorithm, functions: Iterable[str], **given: Any) -> Algorithm:
    """Return ``algorithm`` with functions that are given more by keyword, and no parameters."""
    changes: Dict[str, Any] = {"parameters": None}
    for name in functions:
        function = getattr(algorithm, name)
        if function is not None:
            changes[name] = functools.partial(function, **given)
    return attrs.evolve(algorithm, **changes)  # type: ignore[misc]


@attrs.frozen
class _Place:
    owner: str
    file: object
    layer: Optional[str]
    key: str

    def error(self, name: Optional[str], problem: str, remedy: str) -> ConfigError:
        field = self.key if name is None else f"{self.key}.{name}"
        return ConfigError(problem, file=self.file, layer=self.layer, field=field, remedy=remedy)

    def check_type(self, name: str, value: Any, hint: Any) -> None:
        if not fits(value, hint):
            raise ConfigTypeError(
                f"it is {value!r}; the {self.owner} expects {words(hint)}.",
                file=self.file,
                layer=self.layer,
                field=f"{self.key}.{name}",
                remedy="Correct the value.",
            )
        if is_number(value) and not math.isfinite(value):
            problem = f"it is {value!r}; the {self.owner} expects a finite number."
            raise self.error(name, problem, "Correct the value.")

    def made(self, kind: type, values: Mapping[str, Any]) -> Any:
        """Return the instance; what a validator says becomes an error of its field."""
        try:
            return kind(**values)
        except (ValueError, TypeError) as error:
            name = self._refused(kind, values)
            found = "they are" if name is None else "it is"
            value = dict(values) if name is None else values[name]
            said = str(error.args[0] if error.args else error).rstrip(".")
            raise self.error(
                name,
                f"{found} {value!r}, which the {self.owner} refuses: {said}.",
                "Correct the value.",
            ) from error

    def _refused(self, kind: type, values: Mapping[str, Any]) -> Optional[str]:
        """Return the value that is refused whatever the others are; None: their combination."""
        required = {_key(f) for f in _given(kind) if f.default is attrs.NOTHING}
        # Required ones first: each of the others is tried together with these.
        for name in sorted(values, key=lambda each: each not in required):
            tried: List[str] = [*(each for each in values if each in required), name]
            try:
                kind(**{each: values[each] for each in tried})
            except (ValueError, TypeError):
                return name
        return None


def _given(kind: type) -> List[Any]:
    return [field for field in attrs.fields(kind) if field.init]


def _key(field: Any) -> str:
    return str(field.alias)


def _default(field: Any) -> Any:
    if isinstance(field.default, attrs.Factory):  # type: ignore[arg-type]
        return None if field.default.takes_self else field.default.factory()
    return field.default


def _as_json(value: Any) -> Any:
    return [_as_json(each) for each in value] if isinstance(value, (tuple, list)) else value


def _from_json(value: Any, hint: Any) -> Any:
    """Return a value of JSON as its field has it: a tuple for a list, a float for an integer."""
    if isinstance(value, list):
        inner = [each for each in getattr(hint, "__args__", ()) if each is not ...]
        hints = inner if len(inner) == len(value) else inner[:1] * len(value)
        return tuple(_from_json(each, of) for each, of in zip(value, hints))
    if hint is float or (hint is not int and _takes_float(hint) and is_number(value)):
        return float(value)
    return value


def _takes_float(hint: Any) -> bool:
    arguments = getattr(hint, "__args__", ())
    return float in arguments and int not in arguments
