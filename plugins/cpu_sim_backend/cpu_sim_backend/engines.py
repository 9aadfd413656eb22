"""Which engine runs a model."""

from __future__ import annotations

import importlib.util
from typing import List

from amct_core.cli.installing import how_to_install
from amct_core.errors import ConfigError, EnvironmentUnsuitableError

ENGINES = ("auto", "fast", "reference")
"""What a user may ask for."""

_LIBRARIES = ("numba",)


def chosen_engine(name: str) -> str:
    """Return ``fast`` or ``reference``.

    Args:
        name: one of :data:`ENGINES`.

    Raises:
        ConfigError: there is no engine of this name.
        EnvironmentUnsuitableError: ``fast`` is asked for, and its libraries are missing.
    """
    if name not in ENGINES:
        raise ConfigError(f"it is {name!r}; expected one of {', '.join(ENGINES)}.", field="engine")
    if name == "fast":
        require_fast(", or use the reference engine")
    return "reference" if name == "reference" or _missing() else "fast"


def require_fast(otherwise: str = "") -> None:
    """Raise unless the fast engine can run.

    Args:
        otherwise: what else helps, behind a comma; nothing where the fast engine has to run.

    Raises:
        EnvironmentUnsuitableError: its libraries are missing.
    """
    missing = _missing()
    if missing:
        raise EnvironmentUnsuitableError(
            f"the fast engine needs {' and '.join(missing)}.",
            remedy=f"Run: {how_to_install('amct[fast]')}{otherwise}.",
        )


def _missing() -> List[str]:
    return [library for library in _LIBRARIES if importlib.util.find_spec(library) is None]
