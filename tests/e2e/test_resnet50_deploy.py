"""ResNet-50 with the scales of AMCT's own record, beside what ATC made of AMCT's own model.

``amct_caffe_resnet50_om_nodes.json`` lists the nodes of the offline model that ATC converted from a
deployable model of AMCT (Caffe).  Where ATC has not fused a layer away, its Quants and DeQuants
must be ours: names, sharing, and the shapes of every blob.
"""

from __future__ import annotations

import gzip
import json
import shutil
from collections.abc import Mapping
from pathlib import Path

import attrs
import numpy as np
import pytest

from amct_core import record as records
from amct_core import workflow
from amct_core.graph.attributes import Quant
from amct_core.record import Record
from cpu_sim_backend import Simulator
from tests.conformance.runner import pretend_training
from tests.conformance.weights import write_random_weights

Nodes = Mapping[str, Mapping[str, object]]


@attrs.frozen
class Deployed:
    """Our model, and the record that it was made with."""

    simulator: Simulator
    recorded: Record

    def quant_of(self, layer: str) -> str:
        """Return the name of the Quant that ``layer`` reads."""
        node = self.simulator.graph.node(layer)
        producer = self.simulator.graph.producer(node.inputs[0])
        assert producer is not None
        return producer.name


@pytest.fixture(scope="module")
def deployed(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Deployed:
    """Take ResNet-50 with random weights through insertion and saving, at the record's scales."""
    folder = tmp_path_factory.mktemp("resnet50")
    source = shared / "models/prototxt_only/ResNet-50-deploy.prototxt"
    model, weights = folder / "net.prototxt", folder / "net.caffemodel"
    shutil.copy(source, model)
    write_random_weights(str(model), weights)
    with gzip.open(shared / "models/amct_resnet50_record/record.txt.gz", "rt") as stream:
        (folder / "amct_record.txt").write_text(stream.read())
    recorded = records.read(str(folder / "amct_record.txt"))
    config = folder / "c.json"
    workflow.create_config(str(model), str(weights), str(config))
    modified = [str(folder / f"modified.{end}") for end in ("prototxt", "caffemodel")]
    workflow.insert(str(model), str(weights), str(config), *modified, str(folder / "record.txt"))
    pretend_training(folder, {name: _bounds(recorded, name) for name in recorded})
    arguments = [folder / name for name in ("modified.prototxt", "snapshot.caffemodel", "saved")]
    workflow.save(*map(str, arguments), "Deploy", str(folder / "record.txt"), str(config))
    files = (folder / f"saved_deploy_{end}" for end in ("model.prototxt", "weights.caffemodel"))
    return Deployed(Simulator(*map(str, files)), recorded)


def _bounds(recorded: Record, name: str) -> tuple[float, float]:
    """Return clip_max and clip_min of a layer's recorded factors."""
    entry = recorded.get(name)
    assert entry.scale_d is not None and entry.offset_d is not None
    return entry.scale_d * (127 - entry.offset_d), entry.scale_d * (-128 - entry.offset_d)


@pytest.fixture(scope="module")
def om_nodes(shared: Path) -> Nodes:
    """Return ATC's nodes, each under every original layer that it was fused from."""
    path = shared / "reference/vectors/amct_caffe_resnet50_om_nodes.json"
    nodes = json.loads(path.read_text())["nodes"]
    return {name: node for node in nodes for name in node["original_ops"] or [node["name"]]}


def test_the_record_has_an_entry_for_each_layer_that_we_quantize(deployed: Deployed) -> None:
    ours = [layer.name for layer in deployed.simulator.quantized_layers]
    assert sorted(ours) == sorted(deployed.recorded)
    assert len(ours) == 54


def test_quants_and_dequants_have_the_names_that_amct_gave_them(
    deployed: Deployed, om_nodes: Nodes
) -> None:
    theirs = {name for name in om_nodes if name.endswith(("_quant_layer", "_dequant_layer"))}
    ours = {n.name for n in deployed.simulator.graph.nodes if n.op in ("Quant", "DeQuant")}
    assert ours == theirs
    assert sum(name.endswith("_0_quant_layer") for name in ours) == 50


def test_layers_share_the_quants_that_they_shared_there(
    deployed: Deployed, om_nodes: Nodes
) -> None:
    compared = 0
    for layer in deployed.simulator.quantized_layers:
        theirs = om_nodes[layer.name]
        if theirs["in_dtypes"][0] != "DT_INT8":  # type: ignore[index]
            continue  # rolled back to fp16, its Quant is gone
        source = theirs["inputs"][0].split(":")[0]  # type: ignore[index]
        assert om_nodes[deployed.quant_of(layer.name)]["name"] == source
        compared += 1
    assert compared == 53


def test_every_blob_has_the_shape_that_it_had_there(deployed: Deployed, om_nodes: Nodes) -> None:
    graph = deployed.simulator.graph
    for node in (layer.node for layer in deployed.simulator.quantized_layers):
        weights, bias = node.weights
        shapes = om_nodes[node.name]["in_origin_shapes"]
        filter_shape, bias_shape, *rest = shapes[1:]  # type: ignore[index]
        assert list(weights.shape) + [1] * (4 - weights.ndim) == filter_shape
        assert list(bias.shape) == bias_shape
        if rest:  # none where the layer was rolled back
            (use,) = graph.uses(node.outputs[0])
            (packed,) = use.node.weights
            assert list(packed.shape) == rest[0]


def test_scales_and_offsets_are_those_of_the_record(deployed: Deployed) -> None:
    graph = deployed.simulator.graph
    for node in (layer.node for layer in deployed.simulator.quantized_layers):
        quant = graph.node(deployed.quant_of(node.name)).attributes
        assert isinstance(quant, Quant)
        entry = deployed.recorded.get(node.name)
        assert quant.offset == entry.offset_d
        # The bounds are float32, and so is what comes of them.
        np.testing.assert_allclose(quant.scale, 1 / np.float32(entry.scale_d), rtol=3e-7)
