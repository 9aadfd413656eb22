"""What the machine has that is to train."""

from __future__ import annotations

import importlib
import importlib.util
from typing import Callable, Optional

import attrs

from amct_caffe.checks.capabilities import Problems, what_caffe_lacks
from amct_caffe.checks.solver_probe import runs_solver
from amct_caffe.model.formats.prototxt.document import NetDocument
from amct_caffe.model.formats.prototxt.solver import Solver
from amct_caffe.runtime.capabilities.asking import capability
from amct_caffe.runtime.rehearsal import Rehearsal, problem_of_building
from amct_core.errors import EnvironmentUnsuitableError
from amct_core.extensions.capability import CRASHED


def problem_of_class(module: str, name: str) -> Optional[str]:
    """Return why the class of a Python layer cannot be imported, as Caffe will; None if it can."""
    try:
        found = importlib.import_module(module)
    except Exception as error:  # the module is the user's: whatever it raises is the answer
        return f"{type(error).__name__}: {error}"
    return None if hasattr(found, name) else f"module '{module}' has no class '{name}'"


@attrs.frozen
class Machine:
    """A machine, as far as training needs to know it.

    Attributes:
        no_caffe: why Caffe cannot be used, and what to do; None if it can.
        reads_hdf5: whether the weights in an HDF5 file can be read here.
        lacks: ``(network, solver) -> (problem, remedy)...``: what Caffe cannot do of a training.
        runs_solver: whether Caffe runs a solver whose type or policy BVLC Caffe does not have.
        problem_of_class: ``(module, class) -> problem`` of the class of a Python layer.
        problem_of_building: ``(rehearsal) -> problem`` of the nets of a solver.
    """

    no_caffe: Optional[EnvironmentUnsuitableError] = None
    reads_hdf5: bool = True
    lacks: Callable[[NetDocument, Solver], Problems] = what_caffe_lacks
    runs_solver: Callable[[Solver], bool] = runs_solver
    problem_of_class: Callable[[str, str], Optional[str]] = problem_of_class
    problem_of_building: Callable[[Rehearsal], Optional[str]] = problem_of_building


def this_machine() -> Machine:
    """Return what this machine has; Caffe is imported, unless that would end the process."""
    reads_hdf5 = importlib.util.find_spec("h5py") is not None
    return Machine(no_caffe=_why_no_caffe(), reads_hdf5=reads_hdf5)


def _why_no_caffe() -> Optional[EnvironmentUnsuitableError]:
    asked = capability("layer_types")
    if asked is not None and asked.answer == CRASHED:
        return EnvironmentUnsuitableError(
            f"it cannot be used: {asked.sentence.rstrip('.')}.",
            remedy="Repair it, or use kendryte-caffe.",
        )
    try:
        importlib.import_module("amct_caffe.runtime.pycaffe")
    except EnvironmentUnsuitableError as error:
        return error
    except Exception as error:  # a broken library may raise anything, and that is the answer
        return EnvironmentUnsuitableError(
            f"importing pycaffe fails: {type(error).__name__}: {error}.",
            remedy="Run 'amct doctor', which knows the versions of libraries that it needs.",
        )
    return None
