"""Loads the evaluator that a user wrote for ``--evaluator``."""

from __future__ import annotations

import importlib.util
import os
import sys
from typing import Any

from amct_core.errors import ConfigError

VARIABLE = "customize_evaluator"


def load_evaluator(path: str) -> Any:
    """Run the Python file ``path`` and return its variable ``customize_evaluator``.

    The file's folder comes first in ``sys.path``, as for a script.  What the file itself raises is
    not caught.

    Raises:
        ConfigError: it is no Python file, or lacks the variable, or that has no ``calibration``.
    """
    name = os.path.splitext(os.path.basename(path))[0]
    spec = importlib.util.spec_from_file_location(name, path)
    if not os.path.isfile(path) or spec is None or spec.loader is None:
        raise _error(path, "there is no such Python file.", "Give the path of a .py file.")
    folder = os.path.dirname(os.path.realpath(path))
    if folder not in sys.path:
        sys.path.insert(0, folder)
    module = importlib.util.module_from_spec(spec)
    # Classes of the file can be pickled then, and dataclasses find their module.
    sys.modules[name] = module
    spec.loader.exec_module(module)
    evaluator = getattr(module, VARIABLE, None)
    if not callable(getattr(evaluator, "calibration", None)) or isinstance(evaluator, type):
        found = "no such variable" if evaluator is None else f"{evaluator!r}"
        raise _error(
            path,
            f"{VARIABLE}: found {found}; expected an object with calibration(model_file, "
            "weights_file).",
            f"Derive a class from AutoCalibrationEvaluatorBase and write '{VARIABLE} = "
            "YourClass()'.",
        )
    return evaluator


def _error(path: str, problem: str, remedy: str) -> ConfigError:
    return ConfigError(problem, file=path, field="evaluator", remedy=remedy)
