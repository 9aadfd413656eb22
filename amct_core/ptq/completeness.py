"""Checks that calibration has completed a record."""

from __future__ import annotations

import logging
from typing import List, Mapping, Sequence

from amct_core.errors import RecordError
from amct_core.graph import Graph
from amct_core.record import LayerRecord, Record

_log = logging.getLogger("amct_core.ptq")

_ACTIVATION = ("scale_d", "offset_d", "channels", "height", "width")
_WEIGHTS = ("scale_w", "offset_w")

_NAMED = 5
"""How many layers the error names; the log names all."""


def check_complete(
    record: Record,
    graph: Graph,
    layers: Sequence[str],
    batch_num: int,
    seen: Mapping[str, int],
    file: str,
) -> None:
    """Check that ``record`` has every factor of ``layers``, and no other layer.

    Args:
        record: the record.
        graph: the network.
        layers: those that are quantized, in network order.
        batch_num: how many batches complete a layer.
        seen: the batches that incomplete layers have seen.
        file: the record, for messages.

    Raises:
        RecordError: naming each incomplete layer, what it lacks, and how many batches it has seen.
    """
    missing = {
        name: _missing(record.find(name), graph.node(name).type.weights is not None)
        for name in layers
    }
    incomplete = [name for name in layers if missing[name]]
    problems = [
        f"Cannot find {','.join(missing[name])} of layer:{name} ({seen.get(name, 0)} of "
        f"{batch_num} batches seen)"
        for name in incomplete
    ]
    for problem in problems:
        _log.error("%s", problem)
    if problems:
        more = f"; and {len(problems) - _NAMED} more" if len(problems) > _NAMED else ""
        raise RecordError(
            f"{'; '.join(problems[:_NAMED])}{more}.",
            file=file,
            layer=incomplete[0],
            remedy=(
                f"Load the modified model in Caffe (caffe.TEST) and run {batch_num} forwards in "
                "one net before save_model; look into Caffe's log if it stopped."
            ),
        )
    others = [name for name in record if name not in layers]
    if others:
        raise RecordError(
            f"it has an entry for '{others[0]}', which is not quantized; expected "
            f"{', '.join(layers)}.",
            file=file,
            layer=others[0],
            field="record",
            remedy="Give each calibration a record file of its own, and start with init again.",
        )


def _missing(entry: LayerRecord | None, has_weights: bool) -> List[str]:
    wanted = (*_ACTIVATION, *_WEIGHTS) if has_weights else _ACTIVATION
    return [name for name in wanted if entry is None or getattr(entry, name) in (None, ())]
