"""Which engine runs a model."""

from __future__ import annotations

import importlib.util

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
    missing = [library for library in _LIBRARIES if importlib.util.find_spec(library) is None]
    if name == "fast" and missing:
        raise EnvironmentUnsuitableError(
            f"the fast engine needs {' and '.join(missing)}.",
            remedy="Install amct-cpu-sim-backend[fast], or use the reference engine.",
        )
    return "reference" if name == "reference" or missing else "fast"
