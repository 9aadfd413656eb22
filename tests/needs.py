"""What tests need of the Caffe that is installed; where it cannot do it, they are skipped.

The suite runs on Caffes of many kinds: without OpenCV, with layers of its own, able to train
BatchNorm or not.  ``@pytest.mark.needs("image_data", "Permute")`` names capabilities, as ``amct
doctor`` does, and layer types; ``@pytest.mark.lacks(...)`` marks what a Caffe does without them.
"""

from __future__ import annotations

import re
from typing import Optional

import pytest

from amct_caffe.runtime.capabilities.asking import capabilities
from amct_caffe.runtime.capabilities.registered import PROBES
from amct_core.cli.checks import CAFFE_WHEEL, installed_version

ROUNDING = re.compile(r"\b(round_mode|ceil_mode)\b")


def missing(need: str) -> Optional[str]:
    """Return what the installed Caffe lacks: a capability or a layer type; None if it is there."""
    answers = capabilities()
    if not answers:
        return "pycaffe is not installed in this Python"
    if need in PROBES:
        answer = answers[need]
        return None if answer.there else f"this Caffe: {need}: {answer.answer}, {answer.sentence}"
    types = answers["layer_types"]
    if not types.there or need in types.found:
        return None
    return f"this Caffe has no layer type {need}"


def require(*needs: str) -> None:
    """Skip the test unless the installed Caffe has everything that is named."""
    for need in needs:
        reason = missing(need)
        if reason is not None:
            pytest.skip(reason)


def require_absent(*needs: str) -> None:
    """Skip the test unless the installed Caffe lacks everything that is named."""
    require("layer_types")
    for need in needs:
        if missing(need) is None:
            pytest.skip(f"this Caffe has {need}")


def require_known(prototxt: str) -> None:
    """Skip the test unless the installed Caffe knows the layers of a network, and their fields."""
    require(*sorted(set(re.findall(r'(?<![_\w])type:\s*"(\w+)"', prototxt)) - PLAIN))
    field = ROUNDING.search(prototxt)
    if field and not knows_rounding(field[0]):
        pytest.skip(f"this Caffe does not know {field[0]} of Pooling")


def knows_rounding(field: str) -> bool:
    """Return whether the installed Caffe knows ``round_mode`` or ``ceil_mode`` of Pooling."""
    found = capabilities().get("pooling_rounds_down")
    return found is not None and field in found.found


def require_the_packaged_caffe() -> None:
    """Skip the test unless Caffe is that of the package index, whose schema ours follows."""
    if installed_version(CAFFE_WHEEL) is None:
        pytest.skip(f"our schema is compared with that of {CAFFE_WHEEL}, which is not installed")


PLAIN = frozenset({"gaussian", "xavier", "constant", "msra", "uniform", "bilinear", "unitball"})
"""Types of fillers, not of layers."""
