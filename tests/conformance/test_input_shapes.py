"""The shapes of network inputs, through real training, on machines that know them and that do not.

The network gets data of unknown shape from a Python layer, from files, or of known shape; the shape
of each input of the deployable model is that of the data, and simulation, ONNX and the fake-quant
model agree.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Optional

import attrs
import numpy as np
import pytest

from amct_caffe.frontend import CaffeFrontend
from amct_caffe.model.formats.prototxt import document as documents
from amct_core import record as records
from amct_core import workflow
from amct_core.errors import ModelError
from amct_core.plugins import registries
from cpu_sim_backend import Simulator
from cpu_sim_backend.verify import verify
from tests.conformance.runner import SOLVER

pytestmark = pytest.mark.caffe

BATCH = 4


@attrs.frozen
class Network:
    """Layers behind data of some shapes, batch size first."""

    layers: str
    shapes: Mapping[str, tuple[int, ...]]

    def arrays(self, samples: Optional[int] = None) -> dict[str, np.ndarray]:
        generator = np.random.default_rng(3)
        return {
            blob: generator.normal(0, 1, (samples or shape[0], *shape[1:])).astype(np.float32)
            for blob, shape in self.shapes.items()
        }

    def python_data(self) -> str:
        """Return a Python layer: nobody but Caffe knows the shapes of its tops."""
        np.savez("data.npz", **self.arrays())
        tops = list(self.shapes)
        parameters = {"file": "data.npz", "arrays": tops, "batch_size": BATCH}
        return (
            f'layer {{ name: "source" type: "Python" {_tops(tops)} python_param {{ '
            'module: "amct_caffe.layers" layer: "ArrayData" '
            f"param_str: '{json.dumps(parameters)}' }} }}"
        )

    def hdf5_data(self) -> str:
        import h5py

        with h5py.File("data.h5", "w") as file:
            for blob, array in self.arrays().items():
                file[blob] = array
        Path("files.txt").write_text("data.h5\n")
        return (
            f'layer {{ name: "source" type: "HDF5Data" {_tops(list(self.shapes))} '
            f'hdf5_data_param {{ source: "files.txt" batch_size: {BATCH} }} }}'
        )

    def dummy_data(self) -> str:
        shapes = " ".join(f"shape {{ {_dims(shape)} }}" for shape in self.shapes.values())
        fillers = ' data_filler { type: "gaussian" }' * len(self.shapes)
        return (
            f'layer {{ name: "source" type: "DummyData" {_tops(list(self.shapes))} '
            f"dummy_data_param {{ {shapes}{fillers} }} }}"
        )


def _tops(blobs: list[str]) -> str:
    return " ".join(f'top: "{blob}"' for blob in blobs)


def _dims(shape: tuple[int, ...]) -> str:
    return " ".join(f"dim: {dim}" for dim in shape)


def convolution(name: str, bottom: str, more: str = "kernel_size: 3") -> str:
    return (
        f'layer {{ name: "{name}" type: "Convolution" bottom: "{bottom}" top: "{name}" '
        f'convolution_param {{ num_output: 3 {more} weight_filler {{ type: "xavier" }} }} }}\n'
    )


def inner_product(name: str, bottom: str) -> str:
    return (
        f'layer {{ name: "{name}" type: "InnerProduct" bottom: "{bottom}" top: "{name}" '
        f'inner_product_param {{ num_output: 5 weight_filler {{ type: "xavier" }} }} }}\n'
    )


def layer(kind: str, bottoms: str, tops: str, more: str = "") -> str:
    """Return a layer called after its type and first top."""
    read = "".join(f' bottom: "{bottom}"' for bottom in bottoms.split())
    written = "".join(f' top: "{top}"' for top in tops.split())
    return f'layer {{ name: "{kind} {tops.split()[0]}" type: "{kind}"{read}{written} {more} }}\n'


def distance(*blobs: str) -> str:
    """Return a loss that trains the layers behind ``blobs``."""
    return "".join(
        f'layer {{ name: "loss_{blob}" type: "Reduction" bottom: "{blob}" top: "loss_{blob}" '
        "loss_weight: 1 include { phase: TRAIN } }\n"
        for blob in blobs
    )


def shape_keeper(kind: str) -> Network:
    layers = layer(kind, "data", "pre") + convolution("conv", "pre") + distance("conv")
    return Network(layers, {"data": (BATCH, 3, 8, 6)})


SLICE = Network(
    layer("Slice", "data", "a b")
    + convolution("one", "a")
    + convolution("two", "b")
    + distance("one", "two"),
    {"data": (BATCH, 2, 8, 6)},
)
FIVE_PARTS = Network(  # as MTCNN's det4: five patches of three channels
    layer("Slice", "data", "p1 p2 p3 p4 p5", "slice_param { slice_point: [3, 6, 9, 12] }")
    + "".join(convolution(f"conv{i}", f"p{i}") for i in range(1, 6))
    + layer("Concat", "conv1 conv2 conv3 conv4 conv5", "all")
    + inner_product("ip", "all")
    + distance("ip"),
    {"data": (BATCH, 15, 8, 6)},
)
PAIRS = Network(  # as BVLC's siamese network
    layer("Slice", "pair_data", "data data_p", "slice_param { slice_dim: 1 slice_point: 1 }")
    + convolution("conv", "data")
    + convolution("conv_p", "data_p")
    + inner_product("feat", "conv")
    + inner_product("feat_p", "conv_p")
    + distance("feat", "feat_p"),
    {"pair_data": (BATCH, 2, 8, 8)},
)
CROP = Network(
    layer("Crop", "data frame", "cut", "crop_param { axis: 2 offset: 1 }")
    + convolution("conv", "cut")
    + distance("conv"),
    {"data": (BATCH, 3, 9, 8), "frame": (BATCH, 1, 6, 7)},
)
JOINED = Network(
    layer("Concat", "left right", "both") + convolution("conv", "both") + distance("conv"),
    {"left": (BATCH, 2, 8, 6), "right": (BATCH, 1, 8, 6)},
)
FEATURES = Network(
    inner_product("ip", "data")
    + layer("ReLU", "ip", "ip")
    + inner_product("ip2", "ip")
    + distance("ip2"),
    {"data": (BATCH, 8)},
)
SEQUENCE = Network(inner_product("ip", "data") + distance("ip"), {"data": (BATCH, 4, 7)})
UNFOLDED = Network(  # a two-dimensional input that becomes images
    layer("Reshape", "data", "image", "reshape_param { shape { dim: [4, 2, 6, -1] } }")
    + convolution("conv", "image")
    + layer("Reshape", "conv", "rows", "reshape_param { shape { dim: 4 dim: 48 } }")
    + inner_product("ip", "rows")
    + distance("ip"),
    {"data": (BATCH, 72)},
)
ROWS = Network(  # the batch joined with other axes: a row for each place of each image
    convolution("conv", "data")
    + layer("Reshape", "conv", "rows", "reshape_param { shape { dim: [-1, 4] } }")
    + inner_product("ip", "rows")
    + distance("ip"),
    {"data": (BATCH, 3, 8, 6)},
)
RECORDED = {
    **{kind: shape_keeper(kind) for kind in ("AbsVal", "Sigmoid", "TanH", "BNLL", "Power")},
    "slice": SLICE,
    "five parts": FIVE_PARTS,
    "pairs": PAIRS,
    "crop": CROP,
    "joined": JOINED,
    "features": FEATURES,
    "sequence": SEQUENCE,
    "rows": ROWS,
}


def train_and_save(source: str, network: Network, **options: Any) -> None:
    """Take the network through config, insertion, training and saving in the current folder."""
    from amct_caffe.runtime.pycaffe import caffe

    Path("net.prototxt").write_text(source + network.layers)
    caffe.Net("net.prototxt", caffe.TRAIN).save("net.caffemodel")
    workflow.create_config("net.prototxt", "net.caffemodel", "c.json")
    modified = ("m.prototxt", "m.caffemodel")
    workflow.insert("net.prototxt", "net.caffemodel", "c.json", *modified, "r.txt", **options)
    Path("s.prototxt").write_text(SOLVER.format(net="m.prototxt", prefix="s"))
    solver = caffe.get_solver("s.prototxt")
    solver.net.copy_from("m.caffemodel")
    solver.solve()
    workflow.save("m.prototxt", "s_iter_1.caffemodel", "saved", "Both", "r.txt", "c.json")


def check_saved(network: Network, batch: Optional[int] = None) -> None:
    """Compare the inputs of the deployable model, and its results for another batch size."""
    deployed = Simulator("saved_deploy_model.prototxt", "saved_deploy_weights.caffemodel")
    found = {blob: tuple(shape) for blob, shape in deployed.inputs.items()}
    assert {blob: shape[1:] for blob, shape in found.items()} == {
        blob: shape[1:] for blob, shape in network.shapes.items()
    }
    assert batch is None or {shape[0] for shape in found.values()} == {batch}
    for samples in (3, 2 * BATCH):
        result = verify("saved", network.arrays(samples), batch_size=samples)
        assert not any(each.accumulator_mismatches for each in result.layers)
        assert result.samples == samples
    check_onnx(deployed, network)


def check_onnx(deployed: Simulator, network: Network) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    from cpu_sim_backend.onnx_export.export import export

    known = registries().layer_type
    if any(known(kind).onnx is None for kind in re.findall(r'type: "([A-Z]\w+)"', network.layers)):
        return

    model = export(deployed.graph).SerializeToString()
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    for samples in (1, 3, 2 * BATCH):
        inputs = network.arrays(samples)
        results = dict(zip(names, session.run(None, inputs)))
        for blob, expected in deployed.run(inputs).items():
            np.testing.assert_allclose(results[blob], expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("network", RECORDED.values(), ids=RECORDED.keys())
def test_training_records_what_only_caffe_knows(
    network: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    train_and_save(network.python_data(), network)
    record = records.read("r.txt")
    for blob, shape in network.shapes.items():
        entry = record.find(f"{blob}_input_shape") or next(iter(record.layers.values()))
        assert entry.sample_shape == shape[1:]
    check_saved(network)


@pytest.mark.parametrize(
    "network",
    [SLICE, FEATURES, SEQUENCE, UNFOLDED],
    ids=["slice", "features", "sequence", "unfolded"],
)
@pytest.mark.parametrize("kind", ["hdf5_data", "dummy_data"])
def test_insertion_knows_what_data_layers_tell(
    kind: str, network: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if kind == "hdf5_data":
        pytest.importorskip("h5py")
    monkeypatch.chdir(tmp_path)
    train_and_save(getattr(network, kind)(), network)
    assert "InputShape" not in Path("m.prototxt").read_text()
    check_saved(network, BATCH)


FIXED = Network(  # time first: four steps of the batch that training has, and of no other
    inner_product("ip", "data")
    + layer("Reshape", "ip", "steps", "reshape_param { shape { dim: 1 dim: 4 dim: 5 } }")
    + distance("steps"),
    {"data": (BATCH, 8)},
)


def test_a_batch_that_a_layer_cannot_take_is_an_error_and_no_abort(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    train_and_save(FIXED.dummy_data(), FIXED)
    assert verify("saved", FIXED.arrays(), batch_size=BATCH).samples == BATCH
    executor = CaffeFrontend().fake_quant_executor("saved")
    executor.run(FIXED.arrays(), ["steps"])
    simulators = [
        Simulator("saved_deploy_model.prototxt", "saved_deploy_weights.caffemodel", engine=engine)
        for engine in ("reference", "fast")
    ]
    for other in (3, 8):
        for run in (lambda inputs: executor.run(inputs, ["steps"]), *(s.run for s in simulators)):
            with pytest.raises(ModelError, match=r"'Reshape steps'.*values"):
                run(FIXED.arrays(other))


def test_reshapes_follow_the_batch_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    train_and_save(UNFOLDED.dummy_data(), UNFOLDED)
    for model in ("m", "saved_fake_quant_model", "saved_deploy_model"):
        layers = documents.read(f"{model}.prototxt").by_name()
        dims = {
            name: layer.parameters("reshape_param").message("shape").integers("dim")
            for name, (layer, *_) in layers.items()
            if layer.type == "Reshape"
        }
        assert dims == {"Reshape image": [0, 2, 6, -1], "Reshape rows": [0, 48]}


VIDEO = Network(
    convolution("conv3d", "data", "kernel_size: [3, 3, 3]")
    + inner_product("ip", "conv3d")
    + distance("ip"),
    {"data": (BATCH, 2, 4, 8, 6)},
)


def test_samples_of_four_axes_are_known_from_the_data_layer_or_the_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    train_and_save(VIDEO.dummy_data(), VIDEO)
    check_saved(VIDEO, BATCH)
    train_and_save(VIDEO.python_data(), VIDEO, input_shapes={"data": (2, 2, 4, 8, 6)})
    check_saved(VIDEO, 2)


def test_what_a_record_cannot_hold_is_given_to_save(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError, match=r"'source'.*'data' is not known.*--input-shape data:N"):
        train_and_save(VIDEO.python_data(), VIDEO)
    assert "save the model with --input-shape data:N,2,4,8,6" in caplog.text
    trained = ("m.prototxt", "s_iter_1.caffemodel", "saved")
    with pytest.raises(ModelError, match=r"'ip'.*1 x 3 x 2 x 6 x 5"):
        workflow.save(*trained, input_shapes={"data": (1, 2, 4, 8, 7)})
    workflow.save(*trained, input_shapes={"data": (1, 2, 4, 8, 6)})
    check_saved(VIDEO, 1)
    entries = json.loads(Path("c.json").read_text())
    Path("c.json").write_text(json.dumps({**entries, "input_shapes": {"data": [7, 2, 4, 8, 6]}}))
    workflow.save(*trained, config_file="c.json")
    check_saved(VIDEO, 7)


def test_the_batch_size_of_the_deployable_model_can_be_chosen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    train_and_save(UNFOLDED.dummy_data(), UNFOLDED, input_shapes={"data": (1, 72)})
    check_saved(UNFOLDED, 1)
    trained = ("m.prototxt", "s_iter_1.caffemodel", "saved")
    workflow.save(*trained, input_shapes={"data": (6, 72)})
    check_saved(UNFOLDED, 6)


@pytest.mark.parametrize(
    ("layers", "channels"),
    [(SLICE.layers, 2), (convolution("conv", "data") + distance("conv"), 3)],
    ids=["slice", "convolution"],
)
def test_the_shape_of_the_test_phase_is_recorded(
    layers: str, channels: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Training may see crops of another size."""
    monkeypatch.chdir(tmp_path)
    small, large = (Network(layers, {"data": (BATCH, channels, size, size)}) for size in (8, 11))
    test = large.python_data().replace('name: "source"', 'name: "test" include { phase: TEST }')
    Path("data.npz").rename("test.npz")
    train = small.python_data().replace('name: "source"', 'name: "train" include { phase: TRAIN }')
    train_and_save(train + test.replace("data.npz", "test.npz"), small)
    check_saved(large)


def test_the_command_takes_a_shape(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from amct_caffe.runtime.pycaffe import caffe

    monkeypatch.chdir(tmp_path)
    Path("net.prototxt").write_text(VIDEO.python_data() + VIDEO.layers)
    caffe.Net("net.prototxt", caffe.TRAIN).save("net.caffemodel")
    Path("s.prototxt").write_text(SOLVER.format(net="net.prototxt", prefix="s"))

    def run(shape: str) -> Any:
        files = ("net.prototxt", "net.caffemodel", "--solver", "s.prototxt", "-o", "q")
        command = ("-m", "amct_core", "qat", "run", *files, "--input-shape", shape)
        return subprocess.run([sys.executable, *command], capture_output=True, text=True)

    wrong = run("data:1,2,4,8,7")
    assert wrong.returncode == 1
    assert "layer 'ip'" in wrong.stderr and "1 x 3 x 2 x 6 x 5" in wrong.stderr
    assert not Path("q/modified_model.prototxt").exists()
    assert run("data:1,2,4,8,6").returncode == 0
    saved = [f"q/result/model_deploy_{end}" for end in ("model.prototxt", "weights.caffemodel")]
    deployed = Simulator(*saved)
    assert dict(deployed.inputs) == {"data": (1, 2, 4, 8, 6)}
