"""Mish in both engines, in ONNX, and in what is inferred of it."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from amct_core.graph.nonnegative import sign_of
from amct_core.graph.shapes import known_shapes
from amct_core.plugins import registries
from cpu_sim_backend import Simulator

NETWORK = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 3 dim: 5 } } }
layer { name: "mish" type: "Mish" bottom: "data" top: "mish" }
"""


def simulator(folder: Path, engine: str) -> Simulator:
    (folder / "n.prototxt").write_text(NETWORK)
    (folder / "n.caffemodel").write_bytes(b"\xa2\x06\x06\x0a\x04mish")
    return Simulator(str(folder / "n.prototxt"), str(folder / "n.caffemodel"), engine)


def exact(x: float) -> float:
    """Return Mish in Python's floats, without a step that could overflow."""
    if x > 0:
        return x * math.tanh(x + math.log1p(math.exp(-x)))
    return x * math.tanh(math.log1p(math.exp(x)))


@given(st.floats(-64, 2.0**100, width=32, allow_subnormal=False))
def test_the_value_is_that_of_the_definition(x: float) -> None:
    kind = registries().layer_type("Mish")
    assert kind.run is not None
    (found,) = kind.run(None, [np.array([x], np.float32)])  # type: ignore[arg-type]
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, [exact(x)], rtol=1e-6, atol=1e-38)


@pytest.mark.parametrize("engine", ["reference", "fast"])
def test_both_engines_run_it_and_onnx_agrees(engine: str, tmp_path: Path) -> None:
    if engine == "fast":
        pytest.importorskip("numba")
    onnxruntime = pytest.importorskip("onnxruntime")
    from cpu_sim_backend.onnx_export import export

    own = simulator(tmp_path, engine)
    x = np.random.default_rng(0).normal(0, 3, (2, 3, 5)).astype(np.float32)
    found = own.run({"data": x})["mish"]
    np.testing.assert_allclose(found, np.vectorize(exact)(x), rtol=1e-6)
    session = onnxruntime.InferenceSession(
        export(own.graph).SerializeToString(), providers=["CPUExecutionProvider"]
    )
    (theirs,) = session.run(["mish"], {"data": x})
    np.testing.assert_allclose(found, theirs, rtol=1e-5, atol=1e-7)


def test_it_keeps_the_shape_and_can_be_negative(tmp_path: Path) -> None:
    graph = simulator(tmp_path, "reference").graph
    value = graph.node("mish").outputs[0]
    assert known_shapes(graph)[value] == (2, 3, 5)
    assert not sign_of(graph, value).nonnegative
    assert graph.node("mish").type.keeps_channels
    assert not graph.node("mish").type.is_exact(graph.node("mish"))
