"""Checks a record against the layers that it should describe."""

from __future__ import annotations

from typing import Sequence

from amct_core.errors import RecordError
from amct_core.record.model import Record


def check_layers(
    record: Record, layers: Sequence[str], file: str, others: Sequence[str] = ()
) -> None:
    """Check that ``record`` has factors for exactly ``layers``.

    ``others`` may have entries without factors.

    Raises:
        RecordError: a layer is missing, has no factors, or is not among ``layers``.
    """
    for name in layers:
        entry = record.find(name)
        if entry is None or entry.scale_d is None:
            raise RecordError(
                f"Cannot find scale_d of layer '{name}' in record file: "
                + ("it has no entry." if entry is None else "its entry has no factors yet."),
                file=file,
                layer=name,
                field="scale_d",
                remedy=(
                    "Train for at least batch_num iterations; give the record file of that "
                    "training."
                ),
            )
    known = frozenset((*layers, *others))
    extra = [name for name in record if name not in known]
    if extra:
        raise RecordError(
            f"it has an entry for '{extra[0]}', which is not a quantized layer of the model; "
            f"expected {', '.join(layers)}.",
            file=file,
            layer=extra[0],
            field="record",
            remedy="Give the record file that was made together with the model.",
        )
