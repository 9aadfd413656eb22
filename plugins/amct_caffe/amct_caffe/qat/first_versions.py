"""Reads what the first versions of this project wrote into modified models.

They gave a WeightQAT one field in place of two: ``channel_axis``, the axis of output channels, or
null for one scale.  What they trained is read as long as it means the same today.
"""

from __future__ import annotations

from typing import Any, Dict, Mapping

from amct_core.errors import FileFormatError


def weight_fields(values: Any, layer: str) -> Any:
    """Return the fields of a WeightQAT as they are written today.

    Args:
        values: what its ``param_str`` says; without ``channel_axis`` it is returned as it is.
        layer: its name, for messages.

    Raises:
        FileFormatError: the layer has been trained in a way that cannot be continued.
    """
    if not isinstance(values, Mapping) or "channel_axis" not in values:
        return values
    if values.get("folded"):
        raise _refused(
            layer,
            f"BatchNorm and Scale behind it ({', '.join(map(str, values['folded']))}) are to be "
            "folded, and such layers have been quantized in another way since",
        )
    fields: Dict[str, Any] = {key: each for key, each in values.items() if key != "channel_axis"}
    axis = values["channel_axis"]
    if axis is None and len(values.get("shape", ())) != 2:
        raise _refused(layer, "it does not say which axis of its weights counts output channels")
    return {**fields, "output_axis": 0 if axis is None else axis, "channel_wise": axis is not None}


def _refused(layer: str, reason: str) -> FileFormatError:
    return FileFormatError(
        f"a first version of this project has written it, and {reason}.",
        layer=layer,
        field="python_param.param_str",
        remedy="Save the snapshot with the version that inserted the layers, or insert them again "
        "with create_quant_retrain_model and train again.",
    )
