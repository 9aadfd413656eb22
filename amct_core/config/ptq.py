"""The configuration of post-training quantization as data.

Keys and defaults are AMCT's and are said here and nowhere else.
"""

from __future__ import annotations

from typing import Any, Dict, Mapping, Optional, Tuple

import attrs

from amct_core.config.model import VERSION, LayerFacts

ARQ = "arq_quantize"
"""AMCT's word for the weight algorithm that the QAT configuration calls ``arq_retrain``."""

NUQ = "nuq_quantize"
NUQ_REASON = (
    "non-uniform quantization is not offered: AMCT's documentation promises no gain in performance "
    "from it, and its algorithm is not public."
)

HFMG = "hfmg"
IFMR = "ifmr"

PARAMETERS: Mapping[str, Tuple[str, ...]] = {
    IFMR: ("max_percentile", "min_percentile", "search_range", "search_step"),
    HFMG: ("num_of_bins",),
}
"""The parameters of AMCT's calibrators; any other has its own."""


@attrs.frozen
class PtqActivation:
    """``activation_quant_params``: how the factors of a layer's input are found.

    Attributes:
        act_algo: registered calibrator.
        max_percentile, min_percentile: share of the values below the first upper bound, and above
            the lower one; in (0.5, 1] (``ifmr``).
        search_range: first and last factor by which the first upper bound is multiplied;
            0 < first < last (``ifmr``).
        search_step: of that factor; above 0, at most the width of the range (``ifmr``).
        num_of_bins: bins of the histogram; 1024, 2048, 4096 or 8192 (``hfmg``).
        others: parameters of any other calibrator, as pairs of name and number.
    """

    act_algo: str = IFMR
    max_percentile: float = 0.999999
    min_percentile: float = 0.999999
    search_range: Tuple[float, float] = (0.7, 1.3)
    search_step: float = 0.01
    num_of_bins: int = 4096
    others: Tuple[Tuple[str, float], ...] = ()

    @property
    def parameters(self) -> Dict[str, Any]:
        """What the calibrator is given by keyword; what is missing is its own default."""
        keys = PARAMETERS.get(self.act_algo)
        return dict(self.others) if keys is None else {key: getattr(self, key) for key in keys}


@attrs.frozen
class PtqWeight:
    """``weight_quant_params``: how a layer's weights are quantized.

    Attributes:
        wts_algo: :data:`ARQ`, or a registered weight algorithm.
        channel_wise: one scale per output channel; None: the layer type's default.
    """

    wts_algo: str = ARQ
    channel_wise: Optional[bool] = None

    @property
    def algorithm(self) -> str:
        """The registered name of the weight algorithm."""
        return "arq_retrain" if self.wts_algo == ARQ else self.wts_algo


@attrs.frozen
class PtqLayer:
    """One layer's entry; ``weight`` is None for a layer type without weights.

    Attributes:
        enabled: whether the layer is quantized; in a file, a layer without this key is not.
        activation: how its input is quantized.
        weight: how its weights are quantized.
    """

    enabled: bool = True
    activation: PtqActivation = attrs.field(factory=PtqActivation)
    weight: Optional[PtqWeight] = attrs.field(factory=PtqWeight)


@attrs.frozen
class PtqConfig:
    """The whole configuration.

    Attributes:
        batch_num: forwards that calibrate the activations.
        activation_offset: whether activations have an offset; False: their ranges are symmetric.
        joint_quant: whether the inputs of an Eltwise get one pair of factors.
        do_fusion: whether BatchNorm and Scale are fused into the layers before or behind them.
        skip_fusion_layers: layers that nothing is fused with.
        layers: entries by layer name, in network order.
        version: of the format; always 1.
    """

    batch_num: int = 1
    activation_offset: bool = True
    joint_quant: bool = False
    do_fusion: bool = True
    skip_fusion_layers: Tuple[str, ...] = ()
    layers: Mapping[str, PtqLayer] = attrs.field(factory=dict)
    version: int = VERSION

    @property
    def enabled(self) -> Mapping[str, PtqLayer]:
        """The entries of the layers that are to be quantized."""
        return {name: layer for name, layer in self.layers.items() if layer.enabled}

    def with_layers(self, layers: Mapping[str, PtqLayer]) -> PtqConfig:
        """Return the configuration with other layers."""
        return attrs.evolve(self, layers=dict(layers))


def resolved_layer(layer: PtqLayer, facts: LayerFacts) -> PtqLayer:
    """Return ``layer`` with the defaults of its layer type filled in."""
    if not facts.has_weights:
        return attrs.evolve(layer, weight=None)
    weight = layer.weight if layer.weight is not None else PtqWeight()
    if weight.channel_wise is None:
        weight = attrs.evolve(weight, channel_wise=facts.default_channel_wise)
    return attrs.evolve(layer, weight=weight)
