"""What the operators that ATC makes of layers with constants take.

Sources: the ``REG_OP`` declarations of canndev and hicann (ops built-in/op_proto/inc); which Caffe
type becomes which operator: canndev ops/built-in/framework/caffe_plugin (``REGISTER_CUSTOM_OP`` and
``OriginOpType``).
"""

from __future__ import annotations

from typing import Dict, Tuple

import attrs


@attrs.frozen
class Operator:
    """The inputs of an operator, data first and constants behind them.

    Attributes:
        name: of the operator in Ascend's IR.
        required: inputs that must be linked.
        optional: inputs that may be left out, behind the required ones.
        data: how many inputs a bottom may be linked to at the most.
    """

    name: str
    required: Tuple[str, ...]
    optional: Tuple[str, ...] = ()
    data: int = 1

    @property
    def inputs(self) -> Tuple[str, ...]:
        """The names of all inputs, in order."""
        return self.required + self.optional


OPERATORS: Dict[str, Operator] = {
    "BatchNorm": Operator(
        "BNInference", ("x", "mean", "variance", "momentum"), ("scale", "offset")
    ),
    "Bias": Operator("Bias", ("x", "bias"), data=2),
    "Convolution": Operator("Conv2D", ("x", "filter"), ("bias", "offset_w")),
    "Deconvolution": Operator("Deconvolution", ("x", "filter"), ("bias", "offset_w")),
    "DepthwiseConvolution": Operator("Conv2D", ("x", "filter"), ("bias", "offset_w")),
    "DeQuant": Operator("AscendDequant", ("x", "deq_scale")),
    "InnerProduct": Operator("FullyConnection", ("x", "w"), ("b", "offset_w")),
    "LSTM": Operator(
        "LSTM",
        ("x", "cont", "w_x", "bias", "w_h"),
        ("x_static", "h_0", "c_0", "w_x_static"),
        data=2,
    ),
    "Normalize": Operator("Normalize", ("x1", "x2")),
    "PReLU": Operator("PRelu", ("x", "weight")),
    "Requant": Operator("AscendRequant", ("x", "req_scale")),
    "Scale": Operator("Scale", ("x", "scale"), ("bias",), data=2),
}
"""By Caffe layer type.  Of other types nothing is known here, and nothing is said."""
