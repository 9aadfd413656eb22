"""What training has learned, in framework-neutral form: the input of saving."""

from __future__ import annotations

from typing import Any, Mapping, Optional, Tuple

import attrs
import numpy as np
from numpy.typing import NDArray

from amct_core.float_model import FloatModel
from amct_core.graph import Graph


@attrs.frozen
class RetrainedLayer:
    """What one quantized layer learned.

    Attributes:
        name: the layer.
        clip_max, clip_min: the learned bounds of its input, valid (``clip_min <= 0 <= clip_max``,
            not equal) and with ``fixed_min`` applied; float32 values.
        fixed_min: whether ``clip_min`` was pinned at 0.
        activation_algorithm: registered name.
        weight_algorithm: registered name; None for a layer type without weights.
        channel_wise: one weight scale per output channel, or one for all.
        folded: names of the BatchNorm and Scale behind it that are to be folded into it.
        activation_parameters, weight_parameters: what the two algorithms have of their own, by
            name, as JSON holds it.
        values: what the activation algorithm has learned or kept beside the bounds, by name;
            float32 of the declared shapes, finite.
        learned_scales: float32 ``[C]``, or ``[1]``: the weight scales as training left them; None:
            they follow from the weights.
    """

    name: str
    clip_max: float
    clip_min: float
    fixed_min: bool
    activation_algorithm: str
    weight_algorithm: Optional[str]
    channel_wise: bool
    folded: Tuple[str, ...] = ()
    activation_parameters: Mapping[str, Any] = attrs.field(factory=dict)
    weight_parameters: Mapping[str, Any] = attrs.field(factory=dict)
    values: Mapping[str, NDArray[np.float32]] = attrs.field(factory=dict, eq=False)
    learned_scales: Optional[NDArray[np.float32]] = attrs.field(default=None, eq=False)


@attrs.frozen
class ShapeRecord:
    """Where training has recorded the shape of a network input.

    Attributes:
        blob: the input.
        entry: name of the entry in the record.
        batch_size: of the deployed network; the record does not tell it.
    """

    blob: str
    entry: str
    batch_size: int


@attrs.frozen
class RetrainedNetwork:
    """A network after training.

    Attributes:
        graph: the user's network as it is in testing, without the layers that insertion added;
            the weights of quantized layers are the float32 master weights.
        layers: the quantized layers in network order.
        shift_n_algo: the search for N that was inserted.
        record_file: where the layers of this model write their factors.
        weights_file: the snapshot, for messages.
        input_shapes: the shapes of network inputs that insertion knew, by blob, batch size first.
        shape_records: the inputs whose shape training has recorded.
        float_model: what fake quantization was inserted into; None: the modified model does not
            tell, because an earlier version made it.
    """

    graph: Graph
    layers: Tuple[RetrainedLayer, ...]
    shift_n_algo: str
    record_file: str
    weights_file: str
    input_shapes: Mapping[str, Tuple[int, ...]] = attrs.field(factory=dict)
    shape_records: Tuple[ShapeRecord, ...] = ()
    float_model: Optional[FloatModel] = None
