"""Reference pages of modules, from their docstrings."""

from __future__ import annotations

import enum
import importlib
import inspect
import types
from pathlib import Path
from typing import Any, List

import constants
import protocols

from amct_core import extensions, hookspecs

PYTHON = "```{eval-rst}\n.. highlight:: python3\n```\n\n"
"""Blocks of docstrings that name no language are Python."""


def api(page: Path, arguments: str) -> str:
    """Return the reference of a module.

    Args:
        page: where it stands.
        arguments: the module, and names that stand elsewhere; ``HOOK_CLASSES`` are those of
            :func:`hooks`.
    """
    module_name, *elsewhere = arguments.split()
    if "HOOK_CLASSES" in elsewhere:
        elsewhere += [returned(hook).rpartition(".")[2] for hook in all_hooks().values()]
    module = importlib.import_module(module_name)
    names = [name for name in public_names(module) if name not in elsewhere]
    about = _rst([f".. automodule:: {module_name}", "   :no-members:"])
    entries = [_entry(module_name, name, getattr(module, name)) for name in names]
    return PYTHON + "\n\n".join([about, *entries])


def hooks(page: Path, arguments: str) -> str:
    """Return a section for every hook: what it says of itself, and the class of what it returns."""
    return PYTHON + "\n\n".join(_hook(name, function) for name, function in all_hooks().items())


def hook_list(page: Path, arguments: str) -> str:
    """Return a table of the hooks, with what each is for."""
    rows = [
        f"| [{name}](hooks.md#{name}) | {_first_sentence(function)} |"
        for name, function in all_hooks().items()
    ]
    return "\n".join(["| hook | what it does |", "|---|---|", *rows])


def _first_sentence(function: Any) -> str:
    return inspect.getdoc(function).partition("\n\n")[0].replace("``", "`").replace("\n", " ")


def all_hooks() -> dict[str, Any]:
    """Return the hooks by name, in the order of their module."""
    return {
        name: value
        for name, value in vars(hookspecs).items()
        if name.startswith("amct_") and callable(value)
    }


def returned(function: Any) -> str:
    """Return the path of the class of the items that a hook returns: ``Iterable[X]`` gives X."""
    name = function.__annotations__["return"].partition("[")[2].rstrip("]")
    if hasattr(extensions, name):
        return f"{extensions.__name__}.{name}"
    found = getattr(hookspecs, name)
    return f"{found.__module__}.{found.__name__}"


def public_names(module: types.ModuleType) -> List[str]:
    """Return ``__all__``, or else what the module itself defines, without modules.

    Constants stand in front.
    """
    listed = getattr(module, "__all__", None)
    if listed is not None:
        return [name for name in listed if not inspect.ismodule(getattr(module, name))]
    defined = [
        name
        for name, value in vars(module).items()
        if not name.startswith("_")
        and getattr(value, "__module__", None) == module.__name__
        and (inspect.isclass(value) or inspect.isfunction(value))
    ]
    return [each.name for each in constants.constants_of(module.__name__)] + defined


def _hook(name: str, function: Any) -> str:
    path = returned(function)
    module, _, item = path.rpartition(".")
    returns = getattr(importlib.import_module(module), item)
    said = inspect.getsource(returns)
    lines = [f".. autofunction:: {hookspecs.__name__}.{name}", "", *_class(path, returns)]
    section = f"## {name}\n\n" + _rst([*lines, *protocols.named_in(said)])
    table = constants.table(returns.__module__)
    return f"{section}\n\n{table}" if table else section


def _entry(module: str, name: str, value: Any) -> str:
    path = f"{module}.{name}"
    if inspect.isclass(value):
        return f"## {name}\n\n" + _rst(_class(path, value))
    kind = "autofunction" if callable(value) else "autodata"
    return f"## {name}\n\n" + _rst([f".. {kind}:: {path}"])


def _class(path: str, value: Any) -> List[str]:
    """Return the directive of a class; an enumeration's members have no docstrings of their own."""
    lines = [f".. autoclass:: {path}", "   :members:"]
    is_enum = inspect.isclass(value) and issubclass(value, enum.Enum)
    return [*lines, "   :undoc-members:"] if is_enum else lines


def _rst(lines: List[str]) -> str:
    return "\n".join(["```{eval-rst}", *lines, "```"])
