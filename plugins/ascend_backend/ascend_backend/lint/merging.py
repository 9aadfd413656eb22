"""Which Quants ATC merges with the DeQuant before them where they should stay apart.

On processors of ISA V200 ATC makes one operator of a DeQuant and the Quants behind it if their
scales are equal.  It does not compare their offsets: the last Quant's is built in, and all readers
get what that one makes.

Source: CANN fusion engine, V200RequantFusionPass and quant_host_cpu_op_common.cc (2021).
"""

from __future__ import annotations

from typing import Iterator, List, Optional, Tuple

from amct_caffe.model.formats.prototxt.layer import Layer
from ascend_backend.lint.model import DeployModel
from ascend_backend.lint.quantized import quant_offset, quant_scale

_ISA = "v200"
_SAME = 1e-5
"""How far scales may lie apart; also what counts as no scale, and no slope, at all."""
_REMOVABLE = ("ReLU", "LeakyReLU", "RReLU")


def merges(model: DeployModel) -> bool:
    """Return whether the target is known, and is one that merges so."""
    return model.target is not None and model.target.family.isa.value == _ISA


def merged_with_another_offset(model: DeployModel) -> Iterator[Tuple[Layer, ...]]:
    """Yield groups of Quants, in order, whose offsets differ and that V200 merges nevertheless."""
    for dequant in model.of_type("DeQuant"):
        quants = _quants_behind(model, dequant)
        if len({quant_offset(quant) for quant in quants}) > 1 and _same_scale(quants):
            yield tuple(quants)


def _quants_behind(model: DeployModel, dequant: Layer) -> List[Layer]:
    """Return the Quants that ``dequant`` is merged with; none unless all of its readers are such.

    They read it all directly, or all through a ReLU of their own.
    """
    readers = model.wiring.consumers(dequant)
    relus = [layer for layer in readers if layer.type in _REMOVABLE]
    if relus and len(relus) < len(readers):
        return []
    behind = [_behind(model, relu) for relu in relus] if relus else readers
    quants = [quant for quant in behind if quant is not None and quant.type == "Quant"]
    return quants if len(quants) == len(behind) else []


def _behind(model: DeployModel, relu: Layer) -> Optional[Layer]:
    """Return the only reader of a ReLU that the merging takes in."""
    slope = relu.parameters("relu_param").number("negative_slope", 0.0) or 0.0
    readers = model.wiring.consumers(relu)
    return readers[0] if len(readers) == 1 and abs(slope) < _SAME else None


def _same_scale(quants: List[Layer]) -> bool:
    base = 0.0
    for quant in quants:
        scale = quant_scale(quant)
        scale = 1.0 if scale is None else scale
        if abs(base) < _SAME:
            base = scale
        elif not abs(scale - base) <= _SAME:
            return False
    return True
