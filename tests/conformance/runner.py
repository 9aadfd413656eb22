"""Takes a case through the workflow: with training in Caffe, or without Caffe."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Optional

import attrs
import numpy as np

from amct_caffe.frontend import CaffeFrontend
from amct_caffe.model.formats.caffemodel import writer
from amct_caffe.model.formats.prototxt import solver as solvers
from amct_caffe.model.network import CaffeNetwork, read_network
from amct_caffe.passes.python_layers import is_python_layer, param_str
from amct_caffe.qat.parameters import ActivationParameters, WeightParameters, from_param_str
from amct_core import record as records
from amct_core import workflow
from amct_core.graph.attributes import Input
from amct_core.record import LayerRecord
from cpu_sim_backend import Simulator
from tests import needs
from tests.conformance.case import Case
from tests.conformance.netspec import prototxt, standing_in
from tests.conformance.weights import write_random_weights

SOLVER = """\
net: "{net}"
base_lr: 0.001
lr_policy: "fixed"
momentum: 0.9
max_iter: 1
test_iter: 1
test_interval: 1
test_initialization: false
snapshot_prefix: "{prefix}"
random_seed: 1
"""

Arrays = dict[str, np.ndarray]


@attrs.frozen
class Inserted:
    """A case with fake quantization, as files in a folder."""

    case: Case
    folder: Path
    quantizable: tuple[str, ...]

    def path(self, name: str) -> str:
        """Return the path of one of its files."""
        return str(self.folder / name)

    @property
    def expected(self) -> tuple[str, ...]:
        """The layers that must be quantized, in network order."""
        return self.case.enable or self.case.quantized

    @property
    def searches(self) -> bool:
        """Whether shift N is searched."""
        return self.case.config.get("shift_n_algo") != "none"

    def save(self) -> str:
        """Save the snapshot; return the prefix of what was written."""
        prefix = self.path("saved")
        arguments = ("modified.prototxt", "snapshot.caffemodel")
        model, weights = map(self.path, arguments)
        workflow.save(model, weights, prefix, "Both", self.path("record.txt"), self.path("c.json"))
        return prefix

    def inputs(self, seed: int, spread: float = 1.0) -> Arrays:
        """Return random arrays for the inputs of the network, by blob name."""
        generator = np.random.default_rng(seed)
        frontend = CaffeFrontend()
        states = frontend.states_of(self.path("solver.prototxt"))
        graph = frontend.read(self.path("net.prototxt"), None, states).test
        arrays = {}
        for node in graph.nodes:
            if isinstance(node.attributes, Input):
                for top, shape in zip(node.tops, node.attributes.shapes):
                    arrays[top] = generator.normal(0, spread, shape).astype(np.float32)
        return arrays


@attrs.frozen
class Saved:
    """A case whose models are saved, and what the reference engine makes of its deployable model.

    Attributes:
        inserted: the case and its folder.
        prefix: of the saved files.
        inputs: wider than the bounds, so that values beyond them are met, too.
        reference: the deployable model in the reference engine.
        blobs: every blob that it computes of the inputs, by name.
    """

    inserted: Inserted
    prefix: str
    inputs: Arrays
    reference: Simulator
    blobs: Arrays

    @property
    def files(self) -> tuple[str, str]:
        """Prototxt and caffemodel of the deployable model."""
        return deployable(self.prefix)


def deployable(prefix: str) -> tuple[str, str]:
    """Return prototxt and caffemodel of a deployable model."""
    return f"{prefix}_deploy_model.prototxt", f"{prefix}_deploy_weights.caffemodel"


def save_untrained(case: Case, folder: Path) -> Saved:
    """Insert, pretend training, save and simulate: all of it without Caffe."""
    inserted = insert(case, folder)
    pretend_training(folder, searches=inserted.searches)
    prefix = inserted.save()
    inputs = inserted.inputs(seed=2, spread=1.5)
    reference = Simulator(*deployable(prefix), engine="reference")
    names = sorted({value.name for node in reference.graph.nodes for value in node.outputs})
    return Saved(inserted, prefix, inputs, reference, dict(reference.run(inputs, names)))


def insert(case: Case, folder: Path, caffe: Optional[Any] = None) -> Inserted:
    """Write the network, its weights and config, and insert."""
    if caffe is not None:
        needs.require_known(standing_in(case.build))
    (folder / "net.prototxt").write_text(case.fields + prototxt(case.build, caffe))
    solver = folder / "solver.prototxt"
    text = SOLVER.format(net=folder / "modified.prototxt", prefix=folder / "s")
    solver.write_text(text + case.solver)
    model, weights = str(folder / "net.prototxt"), str(folder / "net.caffemodel")
    write_random_weights(model, folder / "net.caffemodel", states=solvers.read(str(solver)).states)
    config = folder / "c.json"
    report = workflow.create_config(model, weights, str(config), solver_file=str(solver))
    entries = json.loads(config.read_text())
    for name in report.quantizable:
        entry = entries[name]
        entry["retrain_enable"] = not case.enable or name in case.enable
        entry["retrain_data_config"].update(case.activation)
        if case.channel_wise is not None and "retrain_weight_config" in entry:
            entry["retrain_weight_config"]["channel_wise"] = case.channel_wise
    entries.update(case.config)
    config.write_text(json.dumps(entries))
    modified = [str(folder / f"modified.{end}") for end in ("prototxt", "caffemodel")]
    workflow.insert(model, weights, str(config), *modified, str(folder / "record.txt"))
    return Inserted(case, folder, report.quantizable)


def train(inserted: Inserted, caffe: Any) -> Any:
    """Run one iteration and one TEST pass in Caffe; return the solver."""
    solver = caffe.get_solver(inserted.path("solver.prototxt"))
    solver.net.copy_from(inserted.path("modified.caffemodel"))
    for net in (solver.net, solver.test_nets[0]):
        for blob, array in inserted.inputs(seed=1).items():
            net.blobs[blob].data[...] = array
    solver.solve()
    solver.net.save(inserted.path("snapshot.caffemodel"))
    return solver


def pretend_training(
    folder: Path, bounds: Optional[Mapping[str, tuple[float, float]]] = None, searches: bool = True
) -> None:
    """Write a snapshot and a record such as training leaves them, without Caffe.

    Args:
        folder: of the modified model.
        bounds: (clip_max, clip_min) by quantized layer; (2, -2) for others.
        searches: whether there is an N for each layer with weights: 1, 2, 3, ... along the
            channels.
    """
    network = read_network(str(folder / "modified.prototxt"), str(folder / "modified.caffemodel"))
    layers = []
    for layer in network.document.layers:
        blobs = list(network.weights.get(layer.name, ()))
        if is_python_layer(layer, "ActivationQAT"):
            owner = from_param_str(ActivationParameters, param_str(layer), layer.name)
            high, low = (bounds or {}).get(owner.layers[0], (2.0, -2.0))
            blobs = [np.float32([high]), np.float32([low]), np.float32([1, 1, high, low])]
        if blobs:
            layers.append((layer.name, layer.type, blobs))
    with open(folder / "snapshot.caffemodel", "wb") as stream:
        writer.write(stream, "snapshot", layers)
    _write_record(folder / "record.txt", network, searches)


def _write_record(path: Path, network: CaffeNetwork, searches: bool) -> None:
    record = records.read(str(path))
    counts = _scale_counts(network)
    for name in record:
        count = counts.get(name, 0)
        entry = LayerRecord(
            scale_d=4 / 255,
            offset_d=0,
            scale_w=(0.01,) * count,
            offset_w=(0,) * count,
            shift_bit=tuple(1 + i % 16 for i in range(count)) if searches else (),
        )
        record = record.with_layer(name, entry)
    path.write_text(records.format(record))


def _scale_counts(network: CaffeNetwork) -> dict[str, int]:
    """Return the number of scales of each layer's weights once BatchNorm and Scale are folded."""
    counts = {}
    for layer in network.document.layers:
        if is_python_layer(layer, "WeightQAT"):
            owner = from_param_str(WeightParameters, param_str(layer), layer.name)
            per_channel = owner.channel_wise or bool(owner.folded)
            counts[owner.layer] = owner.shape[owner.output_axis] if per_channel else 1
    return counts
