"""The shape of an input that only the training knew, found through layers that keep the shape."""

from __future__ import annotations

from pathlib import Path

import attrs
import numpy as np
import pytest

from amct_caffe.frontend import CaffeFrontend
from amct_caffe.model.formats.caffemodel import writer
from amct_caffe.model.formats.prototxt.layer import Layer
from amct_caffe.model.shapes_of_inputs import InputShapes
from amct_core import record as records
from amct_core import workflow
from amct_core.extensions import LayerType
from amct_core.graph import Graph, Node, Value
from amct_core.graph.attributes import Data, Input, Opaque
from amct_core.plugins import registries
from amct_core.quantized_model import Provenance, QuantizedLayer, QuantizedModel
from tests.conformance.runner import pretend_training

SHAPE = (3, 8, 6)
TYPES = [each for each in registries().layer_types if each.keeps_shape]


def network(kind: LayerType, bottoms: tuple[str, ...]) -> QuantizedModel:
    """Return a quantized layer behind one of type ``kind`` behind a Python data layer."""
    declared = registries().layer_type
    tops = ["data", "more"]
    source = Layer.create("source", "Python", [], tops)
    nodes = [
        Node("source", declared("Python"), [], tops, Data(), source=source),
        Node("kept", kind, list(bottoms), ["kept"], Opaque()),
        Node("odd", declared("Invented"), ["kept"], ["odd"], Opaque()),
    ]
    graph = Graph("net", nodes, "net.prototxt")
    layer = QuantizedLayer(
        name="odd",
        op="Invented",
        input_value=graph.node("odd").inputs[0],
        quant_scale=np.float32(1),
        offset=0,
        weights=None,
        bias=None,
        deq_scale=np.ones(1, np.float32),
        shift_n=np.zeros(1, np.uint8),
        divisor=1,
        input_shape=SHAPE,
        provenance=Provenance(np.float32(1), None),
    )
    return QuantizedModel(graph, (layer,))


@pytest.mark.parametrize("kind", TYPES, ids=lambda kind: kind.name)
@pytest.mark.parametrize("bottoms", [("data",), ("data", "more")], ids=["alone", "two bottoms"])
def test_every_type_that_keeps_the_shape_lets_it_through(
    kind: LayerType, bottoms: tuple[str, ...]
) -> None:
    shapes = InputShapes(network(kind, bottoms))
    assert shapes("data")[1:] == SHAPE


NETWORK = """
layer { name: "source" type: "Python" top: "data" python_param { module: "mine" layer: "Images" } }
layer { name: "kept" type: "%s" bottom: "data" top: "kept" }
layer { name: "conv" type: "Convolution" bottom: "kept" top: "conv"
  convolution_param { num_output: 4 kernel_size: 3 } }
"""


@pytest.mark.parametrize("kind", ["AbsVal", "BNLL", "Dropout", "ReLU", "Sigmoid", "TanH"])
def test_the_deployable_model_has_an_input_of_the_recorded_shape(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("net.prototxt").write_text(NETWORK % kind)
    blobs = [np.ones((4, 3, 3, 3), np.float32), np.zeros(4, np.float32)]
    with open("net.caffemodel", "wb") as stream:
        writer.write(stream, "net", [("conv", "Convolution", blobs)])
    original = "net.prototxt", "net.caffemodel", "c.json"
    workflow.create_config(*original)
    workflow.insert(*original, "modified.prototxt", "modified.caffemodel", "record.txt")
    pretend_training(tmp_path)
    channels, height, width = SHAPE
    learned = records.read("record.txt")
    seen = attrs.evolve(learned.get("conv"), channels=channels, height=height, width=width)
    records.write("record.txt", learned.with_layer("conv", seen))
    workflow.save("modified.prototxt", "snapshot.caffemodel", "saved", "Deploy")
    graph = CaffeFrontend().read("saved_deploy_model.prototxt").test
    source = graph.producer(Value("data"))
    assert source is not None
    assert source.attributes == Input(((1, *SHAPE),))
