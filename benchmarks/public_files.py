"""Networks of public repositories with data of their shape, ready for ``amct qat run``.

Nothing of the repositories is kept here: a network is read from a clone, and only what a user has
to change is changed: where its data come from, the batch size, and the length of the training.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

import attrs
import h5py
import lmdb
import numpy as np
from networks import Array

from amct_caffe.model.formats.prototxt import document as documents
from amct_caffe.model.formats.prototxt.document import Layer, NetDocument
from amct_caffe.model.layer_type import role_of
from amct_caffe.model.schema.pool import message_class
from amct_core.extensions import Role
from amct_core.textproto import Message, format_message, parse

CAFFE = "BVLC/caffe"
MTCNN = "kpzhang93/MTCNN_face_detection_alignment"
SAMPLES = 8
"""Records of each data set; they repeat."""

SOLVER = {
    "test_interval": 4,
    "max_iter": 4,
    "snapshot": 4,
    "test_initialization": False,
    "base_lr": 1e-5,
    "lr_policy": "fixed",
    "random_seed": 1,
    "snapshot_prefix": "snap",
}
"""What is set in every solver; a field that it lacks is added."""


@attrs.frozen
class PublicNetwork:
    """A network of a repository.

    Attributes:
        repository: on GitHub.
        model: path of its prototxt there; with ``in_solver`` it is the solver's ``net_param``.
        solver: path of its solver; None: a plain one.
        weights: path of its weights; None: those of its fillers.
        shape: of one sample.
        batch: samples per batch.
        targets: of a network without training layers, the blobs that are pulled to random values.
    """

    repository: str
    model: str
    shape: Tuple[int, ...]
    solver: Optional[str] = None
    weights: Optional[str] = None
    batch: int = 2
    targets: Tuple[str, ...] = ()


_DET = "code/codes/MTCNNv2/model/det{}"


def _det(number: int, shape: Tuple[int, ...], *targets: str) -> PublicNetwork:
    files = {kind: f"{_DET.format(number)}.{kind}" for kind in ("prototxt", "caffemodel")}
    return PublicNetwork(
        MTCNN, files["prototxt"], shape, weights=files["caffemodel"], batch=8, targets=targets
    )


NETWORKS: Dict[str, PublicNetwork] = {
    "siamese": PublicNetwork(
        CAFFE,
        "examples/siamese/mnist_siamese_train_test.prototxt",
        (2, 28, 28),
        "examples/siamese/mnist_siamese_solver.prototxt",
        batch=8,
    ),
    "autoencoder": PublicNetwork(
        CAFFE,
        "examples/mnist/mnist_autoencoder.prototxt",
        (1, 28, 28),
        "examples/mnist/mnist_autoencoder_solver.prototxt",
        batch=8,
    ),
    "lenet_consolidated": PublicNetwork(
        CAFFE,
        "examples/mnist/lenet_consolidated_solver.prototxt",
        (1, 28, 28),
        "examples/mnist/lenet_consolidated_solver.prototxt",
        batch=8,
    ),
    "caffenet": PublicNetwork(
        CAFFE,
        "models/bvlc_reference_caffenet/train_val.prototxt",
        (3, 256, 256),
        "models/bvlc_reference_caffenet/solver.prototxt",
    ),
    "googlenet": PublicNetwork(
        CAFFE,
        "models/bvlc_googlenet/train_val.prototxt",
        (3, 256, 256),
        "models/bvlc_googlenet/quick_solver.prototxt",
    ),
    "det1": _det(1, (3, 12, 12), "conv4-1", "conv4-2"),
    "det2": _det(2, (3, 24, 24), "conv5-1", "conv5-2"),
    "det3": _det(3, (3, 48, 48), "conv6-1", "conv6-2", "conv6-3"),
    "det4": _det(4, (15, 24, 24), *(f"fc5_{part}" for part in range(1, 6))),
}


def stored(repositories: Path, repository: str, path: str) -> bytes:
    """Return a file of a clone: ``<repositories>/<owner>+<name>``, or its ``repo`` folder."""
    folder = repositories / repository.replace("/", "+")
    folder = folder / "repo" if (folder / "repo").is_dir() else folder
    command = ["git", "-C", str(folder), "show", f"HEAD:{path}"]
    return subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout


def prepare(repositories: Path, network: PublicNetwork, images: Array) -> None:
    """Write ``net.prototxt``, ``net.caffemodel``, ``solver.prototxt`` and data into this folder.

    Args:
        repositories: folder of the clones.
        network: what to prepare.
        images: uint8 samples of its shape.
    """
    text = stored(repositories, network.repository, network.model).decode()
    document = documents.from_text(_network_of(text))
    if network.targets:
        document = _with_targets(document, network, images)
    for layer in document.layers:
        if layer.type == "Data":
            _redirect(layer, network, images)
    Path("net.prototxt").write_text(document.format())
    Path("solver.prototxt").write_text(_solver(repositories, network))
    if network.weights is not None:
        Path("net.caffemodel").write_bytes(
            stored(repositories, network.repository, network.weights)
        )
    else:
        _fill_weights()


def _network_of(text: str) -> str:
    inside = parse(text).message("net_param")
    return text if inside is None else format_message(inside)


def _solver(repositories: Path, network: PublicNetwork) -> str:
    solver = Message()
    if network.solver is not None:
        solver = parse(stored(repositories, network.repository, network.solver).decode())
    solver.remove("net_param")
    tests = max(1, len(solver.integers("test_iter")))
    solver.set_all("test_iter", [2] * tests)
    solver.set("net", "net.prototxt")
    for field in ("solver_mode", "stepsize", "gamma", "power", "display"):
        solver.remove(field)
    for field, value in SOLVER.items():
        solver.set(field, value)
    return format_message(solver)


def _redirect(layer: Layer, network: PublicNetwork, images: Array) -> None:
    parameters = layer.message.message("data_param")
    assert parameters is not None
    source = Path(parameters.string("source") or "").name.replace("leveldb", "lmdb")
    if not Path(source).exists():
        _write_lmdb(source, images)
    parameters.set("source", source)
    parameters.set("batch_size", network.batch)
    backend = parse("backend: LMDB").entries[0].value
    parameters.set("backend", backend)
    transformation = layer.message.message("transform_param")
    if transformation is not None and transformation.has("mean_file"):
        transformation.set("mean_file", "mean.binaryproto")
        _write_mean("mean.binaryproto", images)


def _write_lmdb(path: str, images: Array) -> None:
    datum = message_class("Datum")
    environment = lmdb.open(path, map_size=1 << 28)
    with environment.begin(write=True) as transaction:
        for index, image in enumerate(images):
            channels, height, width = image.shape
            record = datum(channels=channels, height=height, width=width, label=index % 2)
            record.data = image.astype(np.uint8).tobytes()
            transaction.put(f"{index:08}".encode(), record.SerializeToString())
    environment.close()


def _write_mean(path: str, images: Array) -> None:
    mean = images.mean(0, dtype=np.float32)
    shape = dict(zip(("num", "channels", "height", "width"), (1, *mean.shape)))
    blob = message_class("BlobProto")(data=mean.ravel().tolist(), **shape)
    Path(path).write_bytes(blob.SerializeToString())


def _with_targets(document: NetDocument, network: PublicNetwork, images: Array) -> NetDocument:
    """Return a network for deployment with data and a loss for each of its heads."""
    (source,) = (layer for layer in document.layers if role_of(layer) is Role.INPUT)
    arrays = {source.tops[0]: (images.astype(np.float32) - 127.5) / 128}
    random = np.random.default_rng(0)
    for blob, shape in _shapes(network, document).items():
        arrays[f"target_{blob}"] = random.normal(size=(len(images), *shape)).astype(np.float32)
    with h5py.File("data.h5", "w") as file:
        for name, array in arrays.items():
            file[name] = array
    Path("data.txt").write_text("data.h5\n")
    data = Layer.create("data", "HDF5Data", [], list(arrays))
    data.message.set("hdf5_data_param", parse(f'source: "data.txt" batch_size: {network.batch}'))
    losses = [
        Layer.create(f"loss_{blob}", "EuclideanLoss", [blob, f"target_{blob}"], [f"loss_{blob}"])
        for blob in network.targets
    ]
    layers = [data, *(layer for layer in document.layers if layer is not source), *losses]
    return NetDocument(document.fields, layers)


def _shapes(network: PublicNetwork, document: NetDocument) -> Mapping[str, Sequence[int]]:
    """Return the shapes of one sample of the heads, as Caffe has them."""
    Path("deploy.prototxt").write_text(document.format())
    script = (
        "import caffe, json; net = caffe.Net('deploy.prototxt', caffe.TEST);"
        "print(json.dumps({name: list(blob.shape)[1:] for name, blob in net.blobs.items()}))"
    )
    return {blob: shape for blob, shape in _ask(script).items() if blob in network.targets}


def _ask(script: str) -> Any:
    command = [sys.executable, "-c", script]
    printed = subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout
    return json.loads(printed)


def _fill_weights() -> None:
    solver = "import caffe; s = caffe.get_solver('solver.prototxt'); s.net.save('net.caffemodel')"
    subprocess.run([sys.executable, "-c", solver], check=True)


def samples(shape: Tuple[int, ...], photos: List[Array], digits: Array) -> Array:
    """Return uint8 samples of a shape: photos for three channels and more, digits for fewer."""
    channels, height, width = shape
    if channels < 3:
        pairs = digits[: SAMPLES * channels].reshape(SAMPLES, channels, *digits.shape[1:])
        return np.asarray(pairs)
    chosen = []
    for index in range(SAMPLES):
        planes = [
            photos[(index * channels + part) % len(photos)][:height, :width, ::-1]
            for part in range(channels // 3)
        ]
        chosen.append(np.concatenate([plane.transpose(2, 0, 1) for plane in planes]))
    return np.stack(chosen)
