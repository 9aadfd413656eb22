"""Puts a layer on each input whose shape only training can tell."""

from __future__ import annotations

from typing import Dict, List, Mapping, Sequence

import attrs

from amct_caffe.model.formats.prototxt.document import NetDocument
from amct_caffe.model.formats.prototxt.phases import depends_on_state
from amct_caffe.model.network import CaffeNetwork
from amct_caffe.passes.python_layers import python_layer
from amct_caffe.passes.state_rules import search_rules, set_rules
from amct_caffe.qat.parameters import InputShapeParameters
from amct_caffe.qat.plan import QatPlan
from amct_core.graph import Graph, Pass, Value
from amct_core.graph.input_shapes import shape_source
from amct_core.graph.names import UniqueNames
from amct_core.textproto import Field, Identifier, Message


@attrs.frozen
class ShapeRecording:
    """Who records the shapes that only training can tell.

    Attributes:
        by_group: the inputs whose shape an ActivationQAT sees, by the name of its group.
        entries: the others, each with a name for its InputShape and that one's entry.
    """

    by_group: Mapping[str, str]
    entries: Mapping[str, str]


def shape_recording(graph: Graph, plan: QatPlan, unknown: Sequence[str]) -> ShapeRecording:
    """Return who records the shapes of the inputs ``unknown``.

    An ActivationQAT does where its layers read the input, maybe behind layers that keep the shape;
    not where rules speak of stages or levels, since it may stand in other TEST nets as well.

    Args:
        graph: the network in testing.
        plan: what is quantized.
        unknown: the inputs whose shape is not known.
    """
    several = any(depends_on_state(node.source) for node in graph.nodes)
    by_input: Dict[str, str] = {}
    for group in plan.groups:
        source = shape_source(graph, group.value)
        if source.name in unknown and source == Value(source.name) and not several:
            by_input.setdefault(source.name, group.name)
    names = UniqueNames(graph)
    return ShapeRecording(
        by_group={group: blob for blob, group in by_input.items()},
        entries={
            blob: names.unique(f"{blob}_input_shape") for blob in unknown if blob not in by_input
        },
    )


@attrs.frozen
class InsertInputShape(Pass[CaffeNetwork]):
    """Insert InputShape layers.

    1. Each of ``entries`` (inputs of the TEST phase and names) gets one layer of that name.
    2. It stands at the end of the file, and so behind the last layer that works in place on the
       blob: Caffe would split it otherwise.
    3. It is there in both phases, so that a training without a TEST pass records the shape too; for
       an input that TRAIN does not have, in TEST alone.
    4. Where rules of the network speak of stages or levels, of the TEST nets in that of the
       network's state alone.
    """

    entries: Mapping[str, str]
    record_file: str

    def run(self, state: CaffeNetwork) -> CaffeNetwork:
        """Return the network with the layers."""
        network = state.copy()
        document = network.document
        in_train = {top for layer in document.layers_in("TRAIN") for top in layer.tops}
        added = []
        for blob, name in self.entries.items():
            parameters = InputShapeParameters(blob, name, self.record_file)
            layer = python_layer(name, "InputShape", [blob], [], parameters)
            set_rules(layer, _rules(document, blob in in_train))
            added.append(layer)
        document.layers = [*document.layers, *added]
        return network


def _rules(document: NetDocument, in_train: bool) -> List[Field]:
    rules = search_rules(document)
    if in_train:
        return rules
    if rules:
        return rules[1:]
    testing = Message()
    testing.add("phase", Identifier("TEST"))
    return [Field("include", testing)]
