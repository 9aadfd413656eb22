"""The layers of a network as a configuration needs to know them."""

from __future__ import annotations

from typing import Mapping, Tuple

import attrs

from amct_core.config.model import LayerFacts
from amct_core.extensions import LayerType


@attrs.frozen
class QuantizableLayers:
    """The layers of a network, sorted by whether they can be quantized.

    Attributes:
        supported: facts about each layer that can be, in network order.
        unsupported: layers of a quantizable type that cannot be, with the reason.
        others: layers of types that nobody quantizes.
        types: the type of each of these layers.
    """

    supported: Mapping[str, LayerFacts]
    unsupported: Mapping[str, str]
    others: Tuple[str, ...]
    types: Mapping[str, LayerType]

    @property
    def reasons(self) -> Mapping[str, str]:
        """Why each layer that is not supported is not."""
        reasons = dict.fromkeys(self.others, "nothing quantizes its layer type.")
        return {**reasons, **self.unsupported}
