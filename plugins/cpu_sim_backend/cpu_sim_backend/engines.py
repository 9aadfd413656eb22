"""Which engine runs a model."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, Optional

from amct_core.errors import ConfigError, EnvironmentUnsuitableError

if TYPE_CHECKING:  # the command line reads this module before it needs NumPy
    from amct_core.graph import Graph

ENGINES = ("auto", "fast", "reference")
"""What a user may ask for."""

_LIBRARIES = ("numba",)


def chosen_engine(name: str, graph: Optional[Graph] = None) -> str:
    """Return ``fast`` or ``reference``.

    Args:
        name: one of :data:`ENGINES`.
        graph: what it is to run, if that is known: the fast engine does not quantize in float16.

    Raises:
        ConfigError: there is no engine of this name, or it cannot run the graph.
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
    in_float16 = graph is not None and _quantizes_in_float16(graph)
    if name == "fast" and in_float16:
        raise ConfigError(
            "the fast engine does not compute Quant in float16, which this processor does.",
            field="engine",
            remedy="Use the engine 'reference' or 'auto', or leave the soc version out.",
        )
    return "reference" if name == "reference" or missing or in_float16 else "fast"


def _quantizes_in_float16(graph: Graph) -> bool:
    from amct_core.graph.attributes import Quant

    attributes = (node.attributes for node in graph.nodes)
    return any(isinstance(a, Quant) and a.float16 for a in attributes)
