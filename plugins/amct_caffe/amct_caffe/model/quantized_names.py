"""How the layers are called that quantization adds, and so what a weights file belongs to."""

from __future__ import annotations

from typing import Optional, Sequence

import attrs

MODIFIED = "a modified model, with fake quantization to train"
FAKE_QUANT = "a fake-quant model"
DEPLOYABLE = "a deployable model"

_ENDINGS = {
    "_activation_qat": MODIFIED,
    "_weight_qat": MODIFIED,
    "_dequant_layer": "a fake-quant or deployable model",
}
"""Of the layers that have weights, and are in such a model alone."""


@attrs.frozen
class QuantizedWeights:
    """A layer by which the weights of a quantized model are known, and what that model is."""

    layer: str
    kind: str


def find_quantized(names: Sequence[str]) -> Optional[QuantizedWeights]:
    """Return the first of the layers ``names`` of a weights file that a float model never has."""
    for name in names:
        for ending, kind in _ENDINGS.items():
            if name.endswith(ending):
                return QuantizedWeights(name, kind)
    return None
