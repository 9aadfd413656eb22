"""``*_quant.json``: which deployed layer came from which original one.

Huawei's accuracy comparison tool reads it.  The schema is that of the file which AMCT (ONNX)
writes; that AMCT (Caffe) writes the same with Caffe's types and names is inferred, not verified.
"""

from __future__ import annotations

from typing import Any, Dict, List

from amct_core.lowering import DequantStep, FloatStep, IntegerStep, QuantStep, Step, lower
from amct_core.quantized_model import QuantizedModel

_STRINGS = 1
"""``val_type`` of a list of strings."""


def name_map(model: QuantizedModel) -> Dict[str, Any]:
    """Return the contents of the file."""
    operations = [_operation(step) for step in lower(model)]
    return {"name": model.graph.name, "graph": [{"op": operations}]}


def _operation(step: Step) -> Dict[str, Any]:
    if isinstance(step, FloatStep):
        return {"name": step.node.name, "type": step.node.op}
    if isinstance(step, QuantStep):
        return {"name": step.name, "type": "Quant", "attr": [_original([])]}
    name = step.layer.name
    if isinstance(step, IntegerStep):
        return {"name": name, "type": step.node.op, "attr": [_original([name])]}
    assert isinstance(step, DequantStep)
    return {
        "name": step.name,
        "type": "DeQuant",
        "attr": [_original([name])],
        "output_desc": [{"attr": _origin(name)}],
    }


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
