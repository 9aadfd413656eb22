"""Calls a function once a module has been imported, whoever imports it."""

from __future__ import annotations

import importlib.abc
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Callable, Dict, Optional, Sequence

import attrs

Action = Callable[[ModuleType], None]


def when_imported(name: str, action: Action) -> None:
    """Call ``action`` with the module called ``name``: now, or once it has been imported.

    Nothing is imported by this.  A second action for one name replaces the first.
    """
    module = sys.modules.get(name)
    if module is not None:
        action(module)
        return
    finder = next((each for each in sys.meta_path if isinstance(each, _Finder)), None)
    if finder is None:
        finder = _Finder()
        sys.meta_path.insert(0, finder)
    finder.actions[name] = action


@attrs.define(eq=False)
class _Finder(importlib.abc.MetaPathFinder):
    """Finds the awaited modules as the other finders do, and wraps their loaders."""

    actions: Dict[str, Action] = attrs.field(factory=dict)

    def find_spec(
        self, name: str, path: Optional[Sequence[str]], target: Optional[ModuleType] = None
    ) -> Optional[ModuleSpec]:
        """Return the spec of an awaited module, with a loader that calls its action."""
        if name not in self.actions:
            return None
        for finder in sys.meta_path:
            if finder is self or not hasattr(finder, "find_spec"):
                continue
            spec: Optional[ModuleSpec] = finder.find_spec(name, path, target)
            if spec is not None and spec.loader is not None:
                spec.loader = _Loader(spec.loader, self.actions[name])
                return spec
        return None


@attrs.define(eq=False)
class _Loader(importlib.abc.Loader):
    """Loads as ``loader`` does, leaves that one in the module, and calls ``action``."""

    loader: importlib.abc.Loader
    action: Action

    def create_module(self, spec: ModuleSpec) -> Optional[ModuleType]:
        """Let the loader create the module."""
        return self.loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        """Let the loader run the module, then call the action."""
        module.__loader__ = self.loader
        if module.__spec__ is not None:
            module.__spec__.loader = self.loader
        self.loader.exec_module(module)
        self.action(module)
