"""What reads the mutated files: one function for each kind of file."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple, Union

import attrs
import numpy as np
from numpy.typing import NDArray

from amct_caffe.frontend import CaffeFrontend
from amct_caffe.model.formats.caffemodel import reader
from amct_caffe.model.formats.prototxt import document as documents
from amct_caffe.qat.parameters import (
    ActivationParameters,
    CalibrationParameters,
    DequantParameters,
    ShiftParameters,
    WeightParameters,
    from_param_str,
)
from amct_caffe.saving.retrained import read_retrained_network
from amct_core import record as records
from amct_core.config import advice, json_format, ptq_json, ptq_simplified, simplified
from amct_core.config.forms import PTQ, QAT
from amct_core.derive import derive
from amct_core.errors import AmctError
from amct_core.graph import Graph
from amct_core.graph.shapes import known_shapes
from amct_core.plugins import registries
from amct_core.ptq import progress
from amct_core.quantizable import find_quantizable
from ascend_backend.lint import lint
from cpu_sim_backend import NpzSource, Simulator
from cpu_sim_backend.data import preprocessing
from cpu_sim_backend.onnx_export.export import export
from tests.fuzz.mutation import Files

Arrays = Dict[str, NDArray[Any]]

SEEDS = Path(__file__).parent / "seeds"

_IN_ONNX = (1, 4)
"""The seeds whose layers all have a form in ONNX."""
_MOST_VALUES = 2**18
_MOST_PRODUCTS = 2**24


@attrs.frozen
class Target:
    """A reader, and files that it accepts.

    Attributes:
        name: of the target.
        run: ``(files, folder)``: reads the files, by their contents or, after it has written them
            to the folder, by their paths.
        seeds: one or more files each.
        kinds: of each of these files: ``text``, ``binary`` or ``zip``.
    """

    name: str
    run: Callable[[Files, Path], None]
    seeds: Tuple[Files, ...]
    kinds: Tuple[str, ...]


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def _prototxt(files: Files, folder: Path) -> None:
    document = documents.from_text(_text(files[0]), "net.prototxt")
    for phase in ("TRAIN", "TEST"):
        document.layers_in(phase)
    document.format()


def _network(files: Files, folder: Path) -> None:
    """The network in both phases, its shapes, and what can be quantized."""
    path = folder / "net.prototxt"
    path.write_bytes(files[0])
    frontend = CaffeFrontend()
    views = frontend.read(str(path))
    known_shapes(views.train)
    known_shapes(views.test)
    find_quantizable(views)
    frontend.check(views)
    frontend.input_shapes(views.test)


def _caffemodel(files: Files, folder: Path) -> None:
    for layer in reader.parse(files[0], "net.caffemodel").layers:
        for blob in layer.blobs:
            blob.sum()


def _qat_config(files: Files, folder: Path) -> None:
    json_format.format_config(json_format.parse(_text(files[0]), "config.json"))


def _ptq_config(files: Files, folder: Path) -> None:
    ptq_json.format_config(ptq_json.parse(_text(files[0]), "config.json"))


def _advice(files: Files, folder: Path) -> None:
    """The file, and its keys as those of either form of configuration."""
    found = advice.parse(_text(files[0]), "advice.json")
    for form in (QAT, PTQ):
        found.not_applied(form.name)
        for entry in found.entries:
            cure = entry.cure(form.name)
            for key in {} if cure is None else cure.values:
                form.keys.path(key, found.file)


def _qat_simplified(files: Files, folder: Path) -> None:
    simplified.from_text(_text(files[0]), "quant.cfg")


def _ptq_simplified(files: Files, folder: Path) -> None:
    ptq_simplified.from_text(_text(files[0]), "quant.cfg")


def _record(files: Files, folder: Path) -> None:
    path = folder / "record.txt"
    path.write_bytes(files[0])
    records.format(records.read(str(path)))


def _npz(files: Files, folder: Path) -> None:
    path = folder / "data.npz"
    path.write_bytes(files[0])
    for _ in NpzSource(str(path)).read(2):
        pass


def _preprocess(files: Files, folder: Path) -> None:
    declared = preprocessing.parse(_text(files[0]), "preprocess.json")
    width, height = declared.size(8, 6)
    if width * height < _MOST_VALUES:
        channels = preprocessing.CHANNELS[declared.channels]
        declared.normalized(np.zeros((channels, height, width), np.uint8))


_PARAMETERS = (
    ActivationParameters,
    WeightParameters,
    ShiftParameters,
    CalibrationParameters,
    DequantParameters,
)


def _param_str(files: Files, folder: Path) -> None:
    """The JSON of inserted layers, and that of the notes of a calibration."""
    (folder / "record.txt.calibration.json").write_bytes(files[0])
    errors: List[AmctError] = []
    for kind in _PARAMETERS:
        try:
            from_param_str(kind, _text(files[0]))
        except AmctError as error:
            errors.append(error)
    try:
        progress.read(str(folder / "record.txt"))
    except AmctError as error:
        errors.append(error)
    if len(errors) > len(_PARAMETERS):
        raise errors[0]


def _modified(files: Files, folder: Path) -> None:
    """What training has learned, and the quantized model that saving makes of it."""
    model, weights, record = _written(files, folder, "prototxt", "caffemodel", "txt")
    network = read_retrained_network(model, weights)
    derive(network, records.read(record), registries())


def _lint(files: Files, folder: Path) -> None:
    model, weights = _written(files, folder, "prototxt", "caffemodel")
    lint(model, weights)


def _simulator(files: Files, folder: Path) -> None:
    """Both engines agree on whether a network can be computed, and on what comes out."""
    model, weights = _written(files, folder, "prototxt", "caffemodel")
    reference = _outcome(model, weights, "reference")
    fast = _outcome(model, weights, "auto")
    if isinstance(reference, AmctError) or isinstance(fast, AmctError):
        assert isinstance(reference, AmctError) and isinstance(fast, AmctError), (reference, fast)
        raise reference
    if reference is not None and fast is not None:
        for blob, array in reference.items():
            np.testing.assert_array_equal(fast[blob], array, blob)


def _outcome(model: str, weights: str, engine: str) -> Union[Arrays, AmctError, None]:
    """Return the outputs, the error, or None where computing them would take too long."""
    try:
        simulator = Simulator(model, weights, engine, threads=1)
        if _is_large(simulator.graph):
            return None
        random = np.random.default_rng(0)
        inputs = {
            blob: random.standard_normal(shape).astype(np.float32)
            for blob, shape in simulator.inputs.items()
        }
        with np.errstate(all="ignore"):
            return simulator.run(inputs)
    except AmctError as error:
        return error


def _onnx(files: Files, folder: Path) -> None:
    model, weights = _written(files, folder, "prototxt", "caffemodel")
    graph = Simulator(model, weights, "reference").graph
    if not _is_large(graph):
        with np.errstate(all="ignore"):
            export(graph)


def _is_large(graph: Graph) -> bool:
    """Return whether the network itself says that it takes more than a second or a GiB.

    A few bytes can say that a tensor has 2**31 values; then that is what was asked for.
    """
    shapes = known_shapes(graph)
    values = products = 0
    for node in graph.nodes:
        made = sum(int(np.prod(shapes[each])) for each in node.outputs if each in shapes)
        values += made
        if node.weights and node.type.weights is not None:
            products += made * max(1, node.weights[0].size)
    read = (shapes[each] for each in graph.inputs if each in shapes)
    values += sum(int(np.prod(each)) for each in read)
    return values > _MOST_VALUES or products > _MOST_PRODUCTS


def _written(files: Files, folder: Path, *extensions: str) -> List[str]:
    paths = [folder / f"net.{extension}" for extension in extensions]
    for path, data in zip(paths, files):
        # A new file: the old one may still be mapped.
        path.unlink(missing_ok=True)
        path.write_bytes(data)
    return [str(path) for path in paths]


def _seeds(folder: str, *extensions: str) -> Tuple[Files, ...]:
    """Return the seeds of ``folder``; of several extensions, files of one name belong together."""
    first, *others = extensions
    return tuple(
        (path.read_bytes(), *(path.with_suffix(f".{e}").read_bytes() for e in others))
        for path in sorted((SEEDS / folder).glob(f"*.{first}"))
    )


def targets() -> Dict[str, Target]:
    """Return all targets by name."""
    deployed = _seeds("graph", "prototxt", "caffemodel")
    networks = tuple((each[0],) for each in deployed if b'"Quant"' not in each[0])
    weights = tuple((each[1],) for each in deployed)
    pair = ("text", "binary")
    found = (
        Target("prototxt", _prototxt, (*_seeds("prototxt", "prototxt"), *networks), ("text",)),
        Target("network", _network, (*_seeds("prototxt", "prototxt"), *networks), ("text",)),
        Target(
            "caffemodel",
            _caffemodel,
            (*_seeds("caffemodel", "caffemodel"), *weights),
            ("binary",),
        ),
        Target("qat-config", _qat_config, _seeds("qat_config", "json"), ("text",)),
        Target("ptq-config", _ptq_config, _seeds("ptq_config", "json"), ("text",)),
        Target("advice", _advice, _seeds("advice", "json"), ("text",)),
        Target("record", _record, _seeds("record", "txt"), ("text",)),
        Target("qat-quant.cfg", _qat_simplified, _seeds("qat_simplified", "cfg"), ("text",)),
        Target("ptq-quant.cfg", _ptq_simplified, _seeds("ptq_simplified", "cfg"), ("text",)),
        Target("npz", _npz, _seeds("npz", "npz"), ("zip",)),
        Target("preprocess", _preprocess, _seeds("preprocess", "json"), ("text",)),
        Target("param-str", _param_str, _seeds("param_str", "json"), ("text",)),
        Target(
            "modified",
            _modified,
            _seeds("modified", "prototxt", "caffemodel", "txt"),
            ("text", "binary", "text"),
        ),
        Target("simulator", _simulator, deployed, pair),
        Target("onnx", _onnx, tuple(map(deployed.__getitem__, _IN_ONNX)), pair),
        Target("lint", _lint, deployed, pair),
    )
    return {target.name: target for target in found}


def chosen(names: Optional[Sequence[str]]) -> List[Target]:
    """Return the targets of these names; all, if there are none."""
    known = targets()
    return [known[name] for name in names or known]
