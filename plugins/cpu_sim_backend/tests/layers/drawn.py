"""One-layer networks that hypothesis draws."""

from __future__ import annotations

from typing import Any, Dict, List

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from plugins.cpu_sim_backend.tests.layers.one_layer import Case
from tests import needs

few = settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
"""Each example writes its network over the one before."""


@st.composite
def poolings(draw: Any) -> Case:
    """Draw a pooling that Caffe accepts: its padding is smaller than its kernel."""
    sides: Dict[str, int] = {}
    size: List[int] = []
    for side in "hw":
        kernel = draw(st.integers(1, 5))
        sides[f"kernel_{side}"] = kernel
        sides[f"stride_{side}"] = draw(st.integers(1, kernel))
        sides[f"pad_{side}"] = draw(st.integers(0, kernel - 1))
        size.append(draw(st.integers(kernel, 12)))
    parameters = {"pool": draw(st.integers(0, 1)), **sides}
    if needs.knows_rounding("round_mode"):
        parameters["round_mode"] = draw(st.integers(0, 1))
    return Case("Pooling", ((1, 2, *size),), {"pooling_param": parameters})


@st.composite
def convolutions(draw: Any) -> Case:
    """Draw a convolution or deconvolution whose output is not empty, over one to three axes."""
    parameters: Dict[str, List[int]] = {
        name: [] for name in ("kernel_size", "stride", "pad", "dilation")
    }
    size: List[int] = []
    for _ in range(draw(st.integers(1, 3))):
        kernel, dilation = draw(st.integers(1, 4)), draw(st.integers(1, 3))
        extent = dilation * (kernel - 1) + 1
        parameters["kernel_size"].append(kernel)
        parameters["dilation"].append(dilation)
        parameters["stride"].append(draw(st.integers(1, 3)))
        parameters["pad"].append(draw(st.integers(0, (extent - 1) // 2)))
        size.append(draw(st.integers(extent, 11)))
    kind = draw(st.sampled_from(["Convolution", "Deconvolution"]))
    parameter = {"num_output": 4, "group": draw(st.sampled_from([1, 2])), **parameters}
    return Case(kind, ((1, 2, *size),), {"convolution_param": parameter})
