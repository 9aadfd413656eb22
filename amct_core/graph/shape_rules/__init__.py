"""How each layer type shapes its outputs, one file per family.

The rules are Caffe's (``Layer::Reshape`` of BVLC Caffe).
"""

from __future__ import annotations

from typing import Dict, FrozenSet

from amct_core.graph.shape_rules import layout, reductions, windows
from amct_core.graph.shape_rules.rule import Rule, Shape, same, with_four_axes

_KEEP_SHAPE = (
    "AbsVal",
    "BNLL",
    "BatchNorm",
    "Bias",
    "Clip",
    "DeQuant",
    "Dropout",
    "ELU",
    "Eltwise",
    "Exp",
    "Float16",
    "LRN",
    "Log",
    "PReLU",
    "Power",
    "Quant",
    "ReLU",
    "ReLU6",
    "Scale",
    "Sigmoid",
    "Softmax",
    "Split",
    "Swish",
    "TanH",
    "Threshold",
)

RULES: Dict[str, Rule] = {
    **dict.fromkeys(_KEEP_SHAPE, same),
    "Accuracy": reductions.accuracy,
    "ArgMax": reductions.arg_max,
    "BatchReindex": layout.batch_reindex,
    "Concat": layout.concat,
    "ContrastiveLoss": reductions.loss,
    "Convolution": windows.convolution,
    "Crop": layout.crop,
    "Deconvolution": windows.deconvolution,
    "EuclideanLoss": reductions.loss,
    "Flatten": layout.flatten,
    "HingeLoss": reductions.loss,
    "InnerProduct": windows.inner_product,
    "MVN": with_four_axes,
    "Permute": layout.permute,
    "Pooling": windows.pooling,
    "Reduction": reductions.reduction,
    "Reshape": layout.reshape,
    "SigmoidCrossEntropyLoss": reductions.loss,
    "Slice": layout.slices,
    "SoftmaxWithLoss": reductions.loss,
    "Tile": layout.tile,
}
"""Rules by layer type; a type that is not here has outputs of unknown shape."""

NEED_EVERY_INPUT: FrozenSet[str] = frozenset(("BatchReindex", "Concat", "Crop"))
"""Types whose outputs depend on all inputs; for others the first one's shape is enough."""

__all__ = ["NEED_EVERY_INPUT", "RULES", "Rule", "Shape"]
