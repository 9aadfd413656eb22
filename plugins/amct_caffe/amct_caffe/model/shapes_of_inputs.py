"""Tells the shapes of a network's inputs."""

from __future__ import annotations

from typing import Dict, Optional, Sequence, Tuple

from amct_core.errors import ModelError
from amct_core.graph import Value
from amct_core.graph.input_shapes import shape_source
from amct_core.graph.shapes import known_shapes
from amct_core.quantized_model import QuantizedModel


class InputShapes:
    """Returns the shape of a data blob, batch size first, when called with its name.

    The first of these that tells it: what the model says (insertion knew it, training has recorded
    it, or the user gives it), the data layer's own parameters, what training has recorded of a
    quantized layer that reads the blob, or a blob that layers of unchanged shape made of it.
    """

    def __init__(self, model: QuantizedModel) -> None:
        self._graph = model.graph
        self._given = model.input_shapes
        self._known = known_shapes(model.graph)
        self._recorded: Dict[Value, Tuple[int, int, int]] = {}
        for layer in model.layers:
            if layer.input_shape is not None:
                source = shape_source(model.graph, layer.input_value)
                self._recorded.setdefault(source, layer.input_shape)

    def __call__(self, blob: str) -> Tuple[int, ...]:
        """Return the shape of ``blob``.

        Raises:
            ModelError: nothing tells it.
        """
        shape = self._find(blob)
        if shape is not None:
            return shape
        producer = self._graph.producer(Value(blob))
        raise ModelError(
            f"the shape of its top '{blob}' is not known: neither its parameters nor the record "
            "tell it.",
            file=self._graph.file,
            layer=producer.name if producer is not None else None,
            remedy=f"Give it to the command that saves: --input-shape {blob}:N,C,H,W. After "
            "training, input_shapes in the config tells it as well, and training again records it.",
        )

    def known(self, blobs: Sequence[str]) -> Dict[str, Tuple[int, ...]]:
        """Return the shapes of those of ``blobs`` for which something tells it."""
        found = {blob: self._find(blob) for blob in blobs}
        return {blob: shape for blob, shape in found.items() if shape is not None}

    def _find(self, blob: str) -> Optional[Tuple[int, ...]]:
        value = Value(blob)
        known = self._given.get(blob) or self._known.get(value)
        if known is not None:
            return known
        recorded = self._recorded.get(value)
        return None if recorded is None else (self._batch_size(value), *recorded)

    def _batch_size(self, value: Value) -> int:
        node = self._graph.producer(value)
        if node is None:
            return 1
        return node.source.parameters(node.type.parameters).integer("batch_size") or 1
