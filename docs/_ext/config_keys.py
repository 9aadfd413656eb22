"""The reference of the configuration: keys, defaults and meaning as the data classes say them."""

from __future__ import annotations

import inspect
import json
import re
import sys
from pathlib import Path
from typing import Any, Iterator, List, Mapping, Tuple

import attrs

from amct_core.config.model import ActivationConfig, LayerConfig, QatConfig, WeightConfig
from amct_core.config.ptq import PtqActivation, PtqConfig, PtqLayer, PtqWeight
from amct_core.extensions.parameters import fields_of
from amct_core.plugins import KINDS, registries

CLASSES: Mapping[str, Mapping[str, Any]] = {
    "qat": {
        "": QatConfig,
        "<layer>.": LayerConfig,
        "<layer>.retrain_data_config.": ActivationConfig,
        "<layer>.retrain_weight_config.": WeightConfig,
    },
    "ptq": {
        "": PtqConfig,
        "<layer>.": PtqLayer,
        "<layer>.activation_quant_params.": PtqActivation,
        "<layer>.weight_quant_params.": PtqWeight,
    },
}
"""The data classes of each form of configuration, by prefix of their keys."""

SECTIONS = ("layers", "activation", "weight", "others")
"""Fields that hold other classes of the table, or keys of which only a calibrator knows."""

NAMES = {"enabled": "quant_enable"}
"""What a file calls a field, if not as the class does."""

_DST_TYPE = "Type of the integers; always `INT8`. Default: `INT8`."

WITHOUT_FIELD: Mapping[Any, Mapping[str, str]] = {
    ActivationConfig: {"dst_type": _DST_TYPE},
    WeightConfig: {"dst_type": _DST_TYPE},
}
"""Keys that are read and of which nothing is kept, and what there is to say of them."""

_MEANING = re.compile(r"^    (\w[\w, ]*): (.*(?:\n(?:        |\n).*)*)", re.MULTILINE)
_DATA = re.compile(r":data:`~?([\w.]+)`")
_ROLE = re.compile(r":\w+:`~?([^`]+)`")
_WHOLE = re.compile(r"\.0(?!\d)")


def keys(page: Path, form: str) -> str:
    """Return the keys of one form of configuration as a definition list."""
    return "\n\n".join(
        f"{', '.join(f'`{prefix}{NAMES.get(name, name)}`' for name in names)}\n: {words}"
        for prefix, cls in CLASSES[form].items()
        for names, words in _entries(cls)
    )


def _entries(cls: Any) -> Iterator[Tuple[List[str], str]]:
    """Yield fields that the docstring explains together, and what it says with their default."""
    explained = set(SECTIONS)
    for names, words in meanings(cls):
        kept = [name for name in names if name not in SECTIONS]
        explained.update(kept)
        defaults = {_default(attrs.fields_dict(cls)[name]) for name in kept}
        if kept:
            yield kept, " ".join([words, *sorted(defaults)]).rstrip()
    for name, words in WITHOUT_FIELD.get(cls, {}).items():
        yield [name], words
    missing = attrs.fields_dict(cls).keys() - explained
    if missing:
        raise ValueError(f"the docstring of {cls.__name__} does not say what {missing} are")


def meanings(cls: Any) -> List[Tuple[List[str], str]]:
    """Return names of attributes and what the docstring of a class says of them, in Markdown."""
    text = inspect.cleandoc(cls.__doc__ or "").partition("Attributes:\n")[2]
    return [
        (names.split(", "), _sentence(" ".join(words.split()), cls))
        for names, words in _MEANING.findall(text)
    ]


def _sentence(words: str, cls: Any) -> str:
    """Return words of a docstring as a sentence without marks of reStructuredText."""
    words = re.sub(r": :mod:`[^`]+`", "", words)
    words = _DATA.sub(lambda found: _value(found[1], cls), words)
    words = _ROLE.sub(r"`\1`", words).replace("``", "`")
    # AMCT has no such key.
    words = re.sub(r" \(ours\)", "; a key of ours", words)
    words = words.replace("None: ", "where it is missing: ")
    return words[0].upper() + words[1:].rstrip(".") + "."


def _value(name: str, cls: Any) -> str:
    value = getattr(sys.modules[cls.__module__], name)
    each = value if isinstance(value, tuple) else (value,)
    return ", ".join(f"`{item}`" for item in each)


def _default(field: Any) -> str:
    default = field.default
    if isinstance(default, attrs.Factory):  # type: ignore[arg-type]
        default = default.factory()
    if default is None or attrs.has(type(default)):
        return ""
    text = default if isinstance(default, str) else _WHOLE.sub("", json.dumps(default))
    return f"Default: `{text}`."


def registered(page: Path, arguments: str) -> str:
    """Return the names that plugins have registered, by kind, with parameters of their own."""
    return "\n\n".join(
        f"{kind.replace('_', ' ').capitalize()}\n: {_names(kind)}"
        for kind in KINDS
        if kind not in ("cli_commands", "frontends")
    )


def _names(kind: str) -> str:
    items: List[Tuple[str, Any]] = [
        (item.name, getattr(item, "parameters", None)) for item in getattr(registries(), kind)
    ]
    return ", ".join(f"`{name}`{_parameters(cls)}" for name, cls in sorted(items)) or "none"


def _parameters(cls: Any) -> str:
    if not isinstance(cls, type):  # a layer type's parameters are a field of the prototxt
        return ""
    names = ", ".join(f"`{field.name}`" for field in fields_of(cls))
    return f" ({names})" if names else ""
