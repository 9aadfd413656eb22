"""Runs functions of extensions, so that their errors name the plugin."""

from __future__ import annotations

from contextlib import contextmanager
from typing import Any, Iterator

from amct_core.errors import AmctError, PluginError
from amct_core.plugins import described
from amct_core.registry import Registry


@contextmanager
def using(registry: Registry[Any], name: str, function: str) -> Iterator[None]:
    """Run a function of an extension; its error comes out with the names of plugin and extension.

    Errors that are for users (:class:`AmctError`) come out as they are: they are about their files.

    Args:
        registry: has the extension.
        name: of the extension.
        function: which of its functions.

    Raises:
        PluginError: the function failed; its error is the cause.
    """
    try:
        yield
    except (AmctError, MemoryError):
        raise
    except Exception as error:  # a third party's function may raise anything
        raise failure(registry, name, f"{function} failed with {described(error)}") from error


def failure(registry: Registry[Any], name: str, problem: str) -> PluginError:
    """Return the error that ``problem`` is, such as "read gave 3; expected a Graph."."""
    return PluginError(
        f"plugin '{registry.provider(name)}', {registry.kind} '{name}': {problem}",
        remedy=f"Tell the author of the plugin, or use another {registry.kind}.",
    )
