"""What the tests of contracts share."""

from __future__ import annotations

from typing import Any, Callable

import pytest

from amct_core.plugins import Registries, create_host
from tests import mistakes


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Registries]:
    """Return a function that registers a plugin with one hook, beside the built-in one."""

    def register(hook: str, *extensions: Any) -> Registries:
        return Registries(create_host([mistakes.entry_point(monkeypatch, hook, *extensions)]))

    return register
