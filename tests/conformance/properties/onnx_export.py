"""The ONNX model: checked, and run in onnxruntime to the same integers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from amct_core.errors import ModelError
from tests.conformance.runner import Saved

REFUSED = {
    "inner products that do not qualify": "along axis 3 has no form",
}
"""Cases with float layers that are not exported, and what is said."""


def onnx_runs_to_the_same_integers(saved: Saved) -> None:
    import onnx

    from cpu_sim_backend.onnx_export import export

    simulator, name = saved.reference, saved.inserted.case.name
    if "WITHIN_CHANNEL" in name:
        name = "normalisation within a channel"
    if name in REFUSED:
        with pytest.raises(ModelError, match=REFUSED[name]):
            export(simulator.graph)
        return
    model = export(simulator.graph)
    integers = list(simulator.integer_blobs)
    for blob in integers:
        model.graph.output.append(onnx.helper.make_empty_tensor_value_info(blob))
    found = run(model, saved.inputs, [*integers, *simulator.outputs])
    for blob in integers:
        values = found[blob]
        if values.dtype == np.uint8:
            values = (values.astype(np.int16) - 128).astype(np.int8)
        np.testing.assert_array_equal(values, saved.blobs[blob], blob)
    for blob in simulator.outputs:
        np.testing.assert_allclose(found[blob], saved.blobs[blob], rtol=1e-5, atol=1e-5)


def run(model: Any, inputs: dict[str, np.ndarray], names: list[str]) -> dict[str, np.ndarray]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        model.SerializeToString(),
        options,
        providers=["CPUExecutionProvider"],
    )
    read = {value.name for value in session.get_inputs()}
    fed = {name: array for name, array in inputs.items() if name in read}
    return dict(zip(names, session.run(names, fed)))
