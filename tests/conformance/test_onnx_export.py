"""The ONNX model of every case: checked, and run in onnxruntime to the same integers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from amct_core.errors import ModelError
from cpu_sim_backend import Simulator
from tests.conformance.case import Case
from tests.conformance.graph_cases import CASES
from tests.conformance.layer_cases import layer_cases
from tests.conformance.runner import insert, pretend_training

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

REFUSED = {
    "a long chain in place": "'Power' has no form in ONNX",
    "a crop of an upsampled map": "'Crop' has no form in ONNX",
    "normalisation within a channel": "LRN within a channel has no form",
    "inner products that do not qualify": "along axis 3 has no form",
    "a scale by another blob is not folded": "a Scale by a blob has no form",
}
"""Cases with float layers that are not exported, and what is said."""


@pytest.mark.parametrize("case", [*layer_cases(), *CASES], ids=str)
def test_the_integers_are_the_same(case: Case, tmp_path: Path) -> None:
    from cpu_sim_backend.onnx_export import export

    inserted = insert(case, tmp_path)
    pretend_training(tmp_path, searches=inserted.searches)
    prefix = inserted.save()
    files = f"{prefix}_deploy_model.prototxt", f"{prefix}_deploy_weights.caffemodel"
    simulator = Simulator(*files, engine="reference")
    if case.name in REFUSED:
        with pytest.raises(ModelError, match=REFUSED[case.name]):
            export(simulator.graph)
        return
    model = export(simulator.graph)
    integers = list(simulator.integer_blobs)
    for name in integers:
        model.graph.output.append(onnx.helper.make_empty_tensor_value_info(name))
    inputs = inserted.inputs(seed=2, spread=1.5)
    expected = simulator.run(inputs, [*integers, *simulator.outputs])
    found = run(model, inputs, list(expected))
    for name in integers:
        values = found[name]
        if values.dtype == np.uint8:
            values = (values.astype(np.int16) - 128).astype(np.int8)
        np.testing.assert_array_equal(values, expected[name], name)
    for name in simulator.outputs:
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-5, atol=1e-5)


def run(model: object, inputs: dict[str, np.ndarray], names: list[str]) -> dict[str, np.ndarray]:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        model.SerializeToString(),  # type: ignore[attr-defined]
        options,
        providers=["CPUExecutionProvider"],
    )
    read = {value.name for value in session.get_inputs()}
    fed = {name: array for name, array in inputs.items() if name in read}
    return dict(zip(names, session.run(names, fed)))
