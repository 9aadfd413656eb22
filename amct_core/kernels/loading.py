"""The one place that chooses between compiled kernels and the definitions in NumPy."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import logging
import time
from typing import Any, Optional

_log = logging.getLogger("amct_core.kernels")

_WORTH_TELLING = 1.0
"""Seconds."""


@functools.cache
def load(name: str) -> Optional[Any]:
    """Return the module ``amct_core.kernels.<name>_compiled``, or None where numba is missing.

    The first time on a machine this compiles for some seconds, which is logged; after that the
    machine code is read from a file.  Training loads what it needs before its first iteration.
    """
    if importlib.util.find_spec("numba") is None:
        return None
    start = time.perf_counter()
    module = importlib.import_module(f"amct_core.kernels.{name}_compiled")
    seconds = time.perf_counter() - start
    if seconds > _WORTH_TELLING:
        _log.info(
            "compiling the %s kernels took %.1f s; they are kept for the next time", name, seconds
        )
    return module
