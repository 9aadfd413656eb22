"""Decides whether BatchNorm layers are trained, or frozen and why."""

from __future__ import annotations

from typing import Optional

from amct_caffe.runtime.capabilities.asking import capabilities
from amct_core.extensions.capability import CRASHED, Capability


def reason_to_freeze() -> Optional[str]:
    """Return why BatchNorm cannot be trained here, or None if it can.

    Where there is no usable Caffe nothing can be found out.  Then it is frozen as well: frozen
    statistics cost little, and a Caffe that cannot train them explodes without an error.  Where
    names are cleared, ShiftSearch would not see statistics that move.
    """
    found = capabilities("batch_norm_trained", "batch_norm_names_kept")
    if not found:
        return "pycaffe is not installed here, so whether it could train them is not known"
    trained, named = found.values()
    if trained.answer == CRASHED:
        return f"whether Caffe could train them is not known: {_said(trained)}"
    if not trained.there:
        return f"this Caffe cannot train them ({_said(trained)})"
    if not named.there:
        return (
            "this Caffe does not keep the names of their parameters, by which the search for shift "
            f"N would see statistics that move ({_said(named)})"
        )
    return None


def _said(capability: Capability) -> str:
    return capability.sentence.rstrip(".")
