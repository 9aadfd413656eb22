"""Decides whether BatchNorm layers are trained, or frozen and why."""

from __future__ import annotations

import importlib.util
from typing import Optional

from amct_core.errors import EnvironmentUnsuitableError


def reason_to_freeze() -> Optional[str]:
    """Return why BatchNorm cannot be trained here, or None if it can.

    Where there is no usable Caffe nothing can be found out.  Then it is frozen as well: frozen
    statistics cost little, and a Caffe that cannot train them explodes without an error.
    """
    if importlib.util.find_spec("caffe") is None:
        return "pycaffe is not installed here, so whether it could train them is not known"
    try:
        from amct_caffe.runtime.batch_norm_probe import trains_batch_norm
    except EnvironmentUnsuitableError as error:
        return f"whether Caffe could train them is not known: {error.problem.rstrip('.')}"
    if trains_batch_norm():
        return None
    return "this Caffe cannot train them (its forward ignores the statistics of the batch)"
