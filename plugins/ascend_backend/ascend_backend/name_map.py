"""``*_quant.json``: which deployed layer came from which original one.

Huawei's accuracy comparison tool reads it.  The schema is that of the file which AMCT (ONNX)
writes; that AMCT (Caffe) writes the same with Caffe's types and names is inferred, not verified.
Beside it the file holds what is ours: ``input_shapes`` and ``digests``, of
:mod:`amct_caffe.model.recorded_shapes` and :mod:`amct_caffe.model.saved_set`.
"""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Sequence

from amct_caffe.model.formats.prototxt.document import Layer
from amct_core.lowering import DequantStep, IntegerStep, QuantStep, Step
from amct_core.quantized_model import QuantizedModel

_STRINGS = 1
"""``val_type`` of a list of strings."""


def name_map(model: QuantizedModel, layers: Sequence[Layer]) -> Dict[str, Any]:
    """Return the contents of the file.

    Args:
        model: what was rendered.
        layers: of the deployed model, in order.
    """
    steps = {_name(step): step for step in model.steps}
    operations = [_operation(layer, steps.get(layer.name)) for layer in layers]
    return {"name": model.graph.name, "graph": [{"op": operations}]}


def _name(step: Step) -> str:
    if isinstance(step, (QuantStep, DequantStep)):
        return step.name
    return step.node.name


def _operation(layer: Layer, step: Optional[Step]) -> Dict[str, Any]:
    operation: Dict[str, Any] = {"name": layer.name, "type": layer.type}
    if isinstance(step, QuantStep):
        operation["attr"] = [_original([])]
    elif isinstance(step, IntegerStep):
        operation["attr"] = [_original([layer.name])]
    elif isinstance(step, DequantStep):
        operation["attr"] = [_original([step.layer.name])]
        operation["output_desc"] = [{"attr": _origin(step.layer.name)}]
    return operation


def _original(names: List[str]) -> Dict[str, Any]:
    return {
        "key": "_datadump_original_op_names",
        "value": {"list": {"val_type": _STRINGS, "s": names}},
    }


def _origin(name: str) -> List[Dict[str, Any]]:
    return [
        {"key": "_datadump_origin_format", "value": {"s": "NCHW"}},
        {"key": "_datadump_data_type", "value": {"s": "DT_FLOAT"}},
        {"key": "_datadump_origin_output_index", "value": {"i": 0}},
        {"key": "_datadump_origin_name", "value": {"s": name}},
    ]
