"""Puts a layer on each input whose shape only training can tell."""

from __future__ import annotations

from typing import Dict, Mapping, Sequence

import attrs

from amct_caffe.model.input_shapes import batch_size
from amct_caffe.model.network import CaffeNetwork
from amct_caffe.passes.python_layers import python_layer
from amct_caffe.qat.parameters import InputShapeParameters
from amct_caffe.qat.plan import QatPlan
from amct_core.graph import Graph, Pass, Value
from amct_core.graph.attributes import Convolution, Pooling
from amct_core.graph.input_shapes import shape_source
from amct_core.graph.names import UniqueNames
from amct_core.textproto import Identifier, Message


def shape_entries(graph: Graph, plan: QatPlan, unknown: Sequence[str]) -> Dict[str, str]:
    """Return the inputs that need an InputShape, each with a name for it and its entry.

    An input does not, whose shape an ActivationQAT records: one that a quantized layer reads, maybe
    behind layers that keep the shape.  A record has channels, height and width of what a layer
    reads in TRAIN, so that layer must be for images, and the data of both phases come from one
    layer.

    Args:
        graph: the network in testing.
        plan: what is quantized.
        unknown: the inputs whose shape is not known.
    """
    recorded = {
        shape_source(graph, group.value).name
        for group in plan.groups
        if any(isinstance(each.node.attributes, (Convolution, Pooling)) for each in group.layers)
    }
    names = UniqueNames(graph)
    return {
        blob: names.unique(f"{blob}_input_shape")
        for blob in unknown
        if blob not in recorded or _of_one_phase(graph, blob)
    }


def _of_one_phase(graph: Graph, blob: str) -> bool:
    producer = graph.producer(Value(blob))
    return producer is not None and any(
        producer.source.message.has(rule) for rule in ("include", "exclude")
    )


@attrs.frozen
class InsertInputShape(Pass[CaffeNetwork]):
    """Insert InputShape layers.

    1. Each of ``entries`` (inputs of the TEST phase and names) gets one layer of that name.
    2. It stands at the end of the file, and so behind the last layer that works in place on the
       blob: Caffe would split it otherwise.
    3. It is there in both phases, so that a training without a TEST pass records the shape too; for
       an input that TRAIN does not have, in TEST alone.
    """

    entries: Mapping[str, str]
    record_file: str

    def run(self, state: CaffeNetwork) -> CaffeNetwork:
        """Return the network with the layers."""
        network = state.copy()
        document = network.document
        test = document.layers_in("TEST")
        in_train = {top for layer in document.layers_in("TRAIN") for top in layer.tops}
        added = []
        for blob, name in self.entries.items():
            parameters = InputShapeParameters(blob, name, batch_size(test, blob), self.record_file)
            layer = python_layer(name, "InputShape", [blob], [], parameters)
            if blob not in in_train:
                rule = Message()
                rule.set("phase", Identifier("TEST"))
                layer.message.set("include", rule)
            added.append(layer)
        document.layers = [*document.layers, *added]
        return network
