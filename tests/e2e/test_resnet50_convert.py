"""ResNet-50 converted with the record that AMCT wrote for it."""

from __future__ import annotations

import gzip
import os
import shutil
from pathlib import Path

import attrs
import numpy as np
import pytest

from amct_core import record as records
from amct_core.errors import RecordError
from amct_core.graph import Graph, Node
from amct_core.graph.attributes import Quant
from amct_core.numerics import dequant
from amct_core.ptq import workflow
from amct_core.record import Record
from cpu_sim_backend import Simulator
from tests.conformance.weights import write_random_weights


@attrs.frozen
class Converted:
    """The model, and the record that it was made with."""

    folder: Path
    graph: Graph
    record: Record
    text: str

    def quant_of(self, layer: str) -> Node:
        """Return the Quant that ``layer`` reads."""
        producer = self.graph.producer(self.graph.node(layer).inputs[0])
        assert producer is not None
        return producer

    def dequant_of(self, layer: str) -> Node:
        """Return the DeQuant that reads ``layer``."""
        return self.graph.uses(self.graph.node(layer).outputs[0])[0].node


@pytest.fixture(scope="module")
def converted(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Converted:
    """Convert ResNet-50 with random weights, as AMCT's sample does: the network is not fused."""
    folder = tmp_path_factory.mktemp("resnet50")
    model, weights = folder / "net.prototxt", folder / "net.caffemodel"
    shutil.copyfile(shared / "models/prototxt_only/ResNet-50-deploy.prototxt", model)
    write_random_weights(str(model), weights)
    with gzip.open(shared / "models/amct_resnet50_record/record.txt.gz", "rt") as stream:
        text = stream.read()
    (folder / "record.txt").write_text(text)
    save_path = folder / "results/convert_results/ResNet50"
    workflow.convert(str(model), str(weights), str(folder / "record.txt"), str(save_path))
    files = (f"{save_path}_deploy_{end}" for end in ("model.prototxt", "weights.caffemodel"))
    record = records.read(str(folder / "record.txt"))
    return Converted(folder, Simulator(*files).graph, record, text)


def test_the_record_is_read_and_written_byte_for_byte(converted: Converted) -> None:
    assert len(converted.record) == 54
    assert records.format(converted.record) == converted.text
    assert (converted.folder / "record.txt").read_text() == converted.text


def test_five_files_are_written(converted: Converted) -> None:
    assert sorted(os.listdir(converted.folder / "results/convert_results")) == [
        "ResNet50_deploy_model.prototxt",
        "ResNet50_deploy_weights.caffemodel",
        "ResNet50_fake_quant_model.prototxt",
        "ResNet50_fake_quant_weights.caffemodel",
        "ResNet50_quant.json",
    ]


def test_every_scale_of_the_record_is_in_the_deployable_model_bit_for_bit(
    converted: Converted,
) -> None:
    for name, entry in converted.record.layers.items():
        assert entry.scale_d is not None
        quant = converted.quant_of(name).attributes
        assert isinstance(quant, Quant)
        assert np.float32(quant.scale) == np.float32(1) / np.float32(entry.scale_d)
        assert quant.offset == entry.offset_d
        deq_scale, shift_n, _ = dequant.unpack(converted.dequant_of(name).weights[0])
        expected = np.float32(entry.scale_d) * np.asarray(entry.scale_w, np.float32)
        assert deq_scale.reshape(-1).tobytes() == expected.tobytes()
        assert not shift_n.any()


def test_batch_norm_is_fused_and_layers_without_factors_stay_in_float(
    converted: Converted,
) -> None:
    kinds = {node.op for node in converted.graph.nodes}
    assert not kinds & {"BatchNorm", "Scale"}
    quantized = {node.name for node in converted.graph.nodes if node.op == "DeQuant"}
    assert quantized == {f"{name}_dequant_layer" for name in converted.record}
    assert "pool5" in converted.graph and "pool5" not in converted.record


def test_a_layer_that_the_network_does_not_have_is_named(converted: Converted) -> None:
    folder = converted.folder
    (folder / "other.txt").write_text(converted.text.replace('"conv1"', '"conv_1"'))
    files = (str(folder / name) for name in ("net.prototxt", "net.caffemodel", "other.txt"))
    with pytest.raises(RecordError, match=r"find conv_1 failure in '.*net\.prototxt'"):
        workflow.convert(*files, str(folder / "x"))


def test_skip_fusion_keeps_the_batch_norm_of_a_layer(converted: Converted) -> None:
    folder = converted.folder
    entry = attrs.evolve(converted.record.get("conv1"), skip_fusion=True)
    changed = converted.record.with_layer("conv1", entry)
    records.write(str(folder / "skip.txt"), changed)
    files = [str(folder / name) for name in ("net.prototxt", "net.caffemodel", "skip.txt")]
    workflow.convert(*files, str(folder / "skipped"))
    ends = ("model.prototxt", "weights.caffemodel")
    graph = Simulator(*(str(folder / f"skipped_deploy_{end}") for end in ends)).graph
    assert [n.name for n in graph.nodes if n.op in ("BatchNorm", "Scale")] == [
        "bn_conv1",
        "scale_conv1",
    ]
