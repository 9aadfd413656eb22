"""Knowledge of a layer type stands in its declaration; everybody else asks for it there.

What a name of a type in quotes elsewhere is for is said here, file by file.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from amct_core.plugins import registries
from tests.core.test_import_rules import PACKAGES, ROOT

OF_OTHER_LAYERS = {"SPP", "Im2col", "Filter", "HDF5Output", "Crop", "Slice"}
"""Types of Caffe beside those that are declared."""

UPGRADE = "upgrades networks of earlier formats"
WRITES = "writes layers of this type"
OUR_CLASSES = "names the classes of our own Python layers"
ATC = "says what ATC does with layers of this type, in ATC's words"
LABELS = "finds labels before training, which nobody else looks for"
ONNX = "writes ONNX, one of whose operators has this name"

READS_SCORES = "reads what the Accuracy layer reads"
LOGITS = "compares what a Softmax at the end reads"
FEEDS_PART = "feeds a part of a network through Input layers"
ELSEWHERE = {
    "plugins/cpu_sim_backend/cpu_sim_backend/scoring/scores.py": READS_SCORES,
    "plugins/cpu_sim_backend/cpu_sim_backend/analysis/float_network.py": LOGITS,
    "plugins/cpu_sim_backend/cpu_sim_backend/analysis/measuring.py": FEEDS_PART,
    "plugins/cpu_sim_backend/cpu_sim_backend/ptq/part.py": FEEDS_PART,
    "plugins/cpu_sim_backend/cpu_sim_backend/ptq/quantized_graph.py": WRITES,
    "amct_core/cli/checks.py": "names the programming language",
    "amct_core/cli/purposes.py": "names the programming language",
    "amct_core/ptq/choice.py": WRITES,
    "plugins/amct_caffe/amct_caffe/checks/calibration.py": "imports modules of Python layers",
    "plugins/amct_caffe/amct_caffe/checks/caffe.py": "imports the modules of Python layers",
    "plugins/amct_caffe/amct_caffe/checks/label_files.py": LABELS,
    "plugins/amct_caffe/amct_caffe/checks/labels.py": LABELS,
    "plugins/amct_caffe/amct_caffe/checks/nets.py": "tells Python layers, whose code is the user's",
    "plugins/amct_caffe/amct_caffe/checks/quantized_models.py": OUR_CLASSES,
    "plugins/amct_caffe/amct_caffe/layers.py": OUR_CLASSES,
    "plugins/amct_caffe/amct_caffe/model/formats/prototxt/upgrade.py": UPGRADE,
    "plugins/amct_caffe/amct_caffe/model/formats/v1.py": UPGRADE,
    "plugins/amct_caffe/amct_caffe/model/layer_type.py": "reads names of types of other Caffes",
    "plugins/amct_caffe/amct_caffe/model/to_inference.py": WRITES,
    "plugins/amct_caffe/amct_caffe/passes/python_layers.py": WRITES,
    "plugins/amct_caffe/amct_caffe/saving/factors.py": OUR_CLASSES,
    "plugins/amct_caffe/amct_caffe/saving/fake_quant.py": WRITES,
    "plugins/amct_caffe/amct_caffe/saving/quantized_layers.py": OUR_CLASSES,
    "plugins/amct_caffe/amct_caffe/saving/fed_shapes.py": OUR_CLASSES,
    "plugins/amct_caffe/amct_caffe/saving/split_layer.py": WRITES,
    "plugins/ascend_backend/ascend_backend/eltwise_int16.py": ATC,
    "plugins/ascend_backend/ascend_backend/merging.py": ATC,
    "plugins/ascend_backend/ascend_backend/rendering.py": WRITES,
    "plugins/ascend_backend/ascend_backend/rollback.py": WRITES,
    "plugins/ascend_backend/ascend_backend/weights_entries.py": ATC,
    "plugins/cpu_sim_backend/cpu_sim_backend/device/rewriting.py": "names it in a report",
    "plugins/cpu_sim_backend/cpu_sim_backend/feeding.py": WRITES,
    "plugins/cpu_sim_backend/cpu_sim_backend/onnx_export/layers.py": ONNX,
    "plugins/cpu_sim_backend/cpu_sim_backend/simulator.py": WRITES,
}

DECLARATIONS = (
    "plugins/amct_caffe/amct_caffe/model/layer_types/",
    "plugins/cpu_sim_backend/cpu_sim_backend/device/float16_layer.py",
)
PROBES = "plugins/amct_caffe/amct_caffe/runtime/capabilities/"
"""They ask Caffe about its types, by its names."""

LINT = "plugins/ascend_backend/ascend_backend/lint/"
"""Its rules are ATC's, which knows Caffe's types by their names and nothing of our declarations."""

ASKED_ELSEWHERE = (*DECLARATIONS, LINT, PROBES)


def quoted(path: Path) -> Iterator[str]:
    """Yield the strings of a module, docstrings left out."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    documentation = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef))
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and id(node) not in documentation:
            yield from [node.value] if isinstance(node.value, str) else []


def test_a_layer_type_is_quoted_only_where_it_is_declared_or_written() -> None:
    names = {each.name for each in registries().layer_types} | OF_OTHER_LAYERS
    found = set()
    for folder in PACKAGES.values():
        for path in folder.rglob("*.py"):
            place = path.relative_to(ROOT).as_posix()
            if not place.startswith(ASKED_ELSEWHERE) and names.intersection(quoted(path)):
                found.add(place)
    assert found == set(ELSEWHERE)


def test_a_type_is_declared_in_one_file() -> None:
    names = {each.name for each in registries().layer_types}
    places: dict[str, list[str]] = {name: [] for name in names}
    for declaration in DECLARATIONS:
        place = ROOT / declaration
        for path in [place] if place.is_file() else sorted(place.rglob("*.py")):
            for name in names.intersection(_declared(path)):
                places[name].append(path.name)
    assert {name: found for name, found in places.items() if len(found) != 1} == {}


def _declared(path: Path) -> Iterator[str]:
    """Yield the first argument of each call of LayerType, and lists of names that one makes."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "LayerType":
            first = node.args[0]
            if isinstance(first, ast.Constant):
                yield first.value
        target = node.targets[0] if isinstance(node, ast.Assign) else None
        if isinstance(node, ast.Assign) and getattr(target, "id", "").startswith("_LOSSES"):
            yield from (c.value for c in ast.walk(node) if isinstance(c, ast.Constant))


def test_a_type_that_nobody_declares_is_unknown() -> None:
    unknown = registries().layer_type("NeverHeardOf")
    assert not unknown.is_known
    assert (unknown.shape, unknown.run, unknown.quantization) == (None, None, None)
    assert registries().layer_type("Convolution").is_known
