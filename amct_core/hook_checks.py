"""Finds what is wrong with the hooks of a plugin before any of them is called."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Iterator
from typing import Any, Optional

import pluggy

from amct_core import hookspecs
from amct_core.errors import PluginError


def hooks() -> list[str]:
    """Return the names of all hooks."""
    return [hook for hook in vars(hookspecs) if hook.startswith("amct_")]


def wrong_arguments(
    manager: pluggy.PluginManager, plugin: object, name: str
) -> Optional[PluginError]:
    """Return the error that a hook of ``plugin`` takes other arguments than it is called with.

    Args:
        manager: knows how functions are marked.
        plugin: a module or object with hooks.
        name: what the plugin is called.

    Returns:
        None: all hooks can be called.
    """
    for function in dir(plugin):
        options = manager.parse_hookimpl_opts(plugin, function)
        hook = None if options is None else options.get("specname") or function
        if hook is None or hook not in hooks():
            continue
        expected = _arguments(getattr(hookspecs, hook))
        wrong = [each for each in _arguments(getattr(plugin, function)) if each not in expected]
        if wrong:
            return PluginError(
                f"plugin '{name}': hook {hook} takes the {_listed(wrong)}; expected "
                f"{_listed(expected)}.",
                remedy="Tell the author of the plugin.",
            )
    return None


def _arguments(function: Callable[..., Any]) -> list[str]:
    """Return the names of the arguments that ``function`` cannot be called without."""
    parameters = inspect.signature(function).parameters.values()
    return [
        each.name
        for each in parameters
        if each.default is each.empty and each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)
    ]


def _listed(names: list[str]) -> str:
    if not names:
        return "no argument"
    return f"argument{'' if len(names) == 1 else 's'} {', '.join(map(repr, names))}"


def warnings(manager: pluggy.PluginManager, plugin: object, who: str) -> Iterator[str]:
    """Yield why something of a plugin that has been registered is never called.

    Args:
        manager: the plugin is registered there.
        plugin: a module or object with hooks.
        who: name and entry point of the plugin, with which each sentence begins.
    """
    callers = manager.get_hookcallers(plugin) or ()
    for caller in callers:
        if not caller.has_spec():
            yield (
                f"{who} implements {caller.name}, which is no hook of this version and is never "
                f"called; {_meant(caller.name)}"
            )
    # Without its decorator a function is never called.
    forgotten = [
        hook
        for hook in hooks()
        if callable(getattr(plugin, hook, None))
        and manager.parse_hookimpl_opts(plugin, hook) is None
    ]
    if forgotten:
        yield (
            f"{who} has {', '.join(forgotten)} without @hookimpl, so that it is never called; put "
            "@hookimpl (from amct_core.hookspecs) before it"
        )
    elif not callers:
        yield (
            f"{who} has no hook, so that it adds nothing; it has to name the module or object with "
            "functions marked @hookimpl (from amct_core.hookspecs), such as "
            f"{', '.join(hooks())}"
        )


def _meant(name: str) -> str:
    near = difflib.get_close_matches(name, hooks(), n=1)
    return f"did you mean {near[0]}?" if near else f"hooks: {', '.join(hooks())}"
