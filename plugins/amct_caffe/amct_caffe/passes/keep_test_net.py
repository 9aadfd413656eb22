"""Leaves of a network what one TEST net has."""

from __future__ import annotations

from amct_caffe.model.network import CaffeNetwork
from amct_caffe.passes.state_rules import without_state_rules
from amct_core.graph import Pass


class KeepTestNet(Pass[CaffeNetwork]):
    """Choose the layers of the TEST net in the network's state.

    1. Layers that this net does not have go.
    2. The rules of the others go where they speak of stages or levels.  Whoever loads the result in
       TEST gets these layers, whatever state he names: ``caffe.Net`` sets the level to 0.
    3. Everything else in the file stays, its ``state`` included.
    """

    def run(self, state: CaffeNetwork) -> CaffeNetwork:
        """Return the network of the TEST net."""
        network = state.copy()
        document = network.document
        document.layers = [without_state_rules(layer) for layer in document.layers_in("TEST")]
        return network
