"""What the machine has that is to train."""

from __future__ import annotations

import importlib
import importlib.util
from typing import AbstractSet, Callable, Optional

import attrs

from amct_caffe.checks.solver_probe import runs_solver
from amct_caffe.model.formats.prototxt.solver import Solver
from amct_core.errors import EnvironmentUnsuitableError


def problem_of_class(module: str, name: str) -> Optional[str]:
    """Return why the class of a Python layer cannot be imported, as Caffe will; None if it can."""
    try:
        found = importlib.import_module(module)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return None if hasattr(found, name) else f"module '{module}' has no class '{name}'"


@attrs.frozen
class Machine:
    """A machine, as far as training needs to know it.

    Attributes:
        no_caffe: why Caffe cannot be used, and what to do; None if it can.
        layer_types: those that this Caffe has; None: not known.
        reads_hdf5: whether the weights in an HDF5 file can be read here.
        runs_solver: whether Caffe runs a solver whose type or policy BVLC Caffe does not have.
        problem_of_class: ``(module, class) -> problem`` of the class of a Python layer.
    """

    no_caffe: Optional[EnvironmentUnsuitableError] = None
    layer_types: Optional[AbstractSet[str]] = None
    reads_hdf5: bool = True
    runs_solver: Callable[[Solver], bool] = runs_solver
    problem_of_class: Callable[[str, str], Optional[str]] = problem_of_class


def this_machine() -> Machine:
    """Return what this machine has; Caffe is imported for it."""
    reads_hdf5 = importlib.util.find_spec("h5py") is not None
    try:
        from amct_caffe.runtime.pycaffe import caffe
    except EnvironmentUnsuitableError as error:
        return Machine(no_caffe=error, reads_hdf5=reads_hdf5)
    except Exception as error:
        unsuitable = EnvironmentUnsuitableError(
            f"importing pycaffe fails: {type(error).__name__}: {error}.",
            remedy="Run 'amct doctor', which knows the versions of libraries that it needs.",
        )
        return Machine(no_caffe=unsuitable, reads_hdf5=reads_hdf5)
    known = getattr(caffe, "layer_type_list", None)  # Caffes before 2015 have none
    return Machine(layer_types=frozenset(known()) if known else None, reads_hdf5=reads_hdf5)
