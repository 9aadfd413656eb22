"""A solver that would not do everything that training needs is found before it runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence

import attrs
import numpy as np
import pytest

import amct_caffe
from amct_caffe.checks.machine import Machine
from amct_caffe.checks.solver_for_qat import TrainingNeeds
from amct_caffe.model.formats.caffemodel import writer as caffemodel
from amct_caffe.model.formats.prototxt import document as documents
from amct_caffe.passes.inserted import read_inserted
from amct_caffe.training import solver_check
from amct_core import workflow
from amct_core.config import json_format
from amct_core.errors import ConfigError, FileFormatError, ModelError, TrainingError
from plugins.amct_caffe.tests.passes import networks
from plugins.amct_caffe.tests.qat import nets

BATCH_NUM = 2
MODEL, OTHER, WEIGHTS = "modified.prototxt", "original.prototxt", "original.caffemodel"
CONVOLUTION = networks.conv("conv", "data")
NAME_IT = f'Set net: "{MODEL}", and leave out train_net and test_net.'


@attrs.frozen
class Check:
    """The files of one training in the current folder, as relative paths name them."""

    folder: Path

    def config(
        self,
        data_config: Optional[Dict[str, Any]] = None,
        layers: Sequence[str] = ("conv",),
        **keys: Any,
    ) -> str:
        """Write a config for ``layers``; return its path."""
        layer = {
            "retrain_enable": True,
            "retrain_data_config": {"algo": "ulq_quantize", **(data_config or {})},
        }
        contents = {"version": 1, "batch_num": BATCH_NUM, **keys, **dict.fromkeys(layers, layer)}
        file = self.folder / "config.json"
        file.write_text(json.dumps(contents))
        return str(file)

    def __call__(self, config: Optional[str] = None, **fields: Any) -> List[str]:
        """Insert, and check a good solver with ``fields`` in it; return what is wrong with it."""
        config = config or self.config()
        insert(config)
        values = {"net": MODEL, "max_iter": 6, "test_interval": 6, "test_iter": BATCH_NUM, **fields}
        file = self.folder / "solver.prototxt"
        file.write_text(nets.solver(values.pop("net"), "snapshot", **values))
        try:
            amct_caffe.check_solver(str(file), config, MODEL)
        except TrainingError as error:
            return str(error).split("\n  - ")[1:]
        return []


def write_model(model: str, layers: str) -> None:
    """Write a network behind an input of 2 channels, with weights for a ``conv`` of 1 x 1."""
    Path(model).write_text(networks.INPUT + layers)
    with Path(WEIGHTS).open("wb") as stream:
        blobs = [np.ones(shape, np.float32) for shape in networks.CONV]
        caffemodel.write(stream, "net", [("conv", "Convolution", blobs)])


def insert(config: str) -> None:
    """Make the modified model."""
    workflow.insert(OTHER, WEIGHTS, config, MODEL, "modified.caffemodel", "r.txt")


@pytest.fixture
def check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Check:
    """Return a check in an empty folder with the modified model and another.

    What the machine has is looked at in ``checks/test_training_checks.py``.
    """
    monkeypatch.chdir(tmp_path)
    machine = Machine(
        lacks=lambda *_: iter(()),
        problem_of_class=lambda module, name: None,
        problem_of_building=lambda rehearsal: None,
    )
    monkeypatch.setattr(solver_check, "this_machine", lambda: machine)
    write_model(OTHER, CONVOLUTION)
    return Check(tmp_path)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"test_interval": 2},
        {"test_interval": 3, "test_iter": 100},
        {"net": None, "train_net": MODEL, "test_net": MODEL},
        {"net": f"./{MODEL}"},
        {"max_iter": BATCH_NUM, "test_interval": BATCH_NUM},
    ],
    ids=str,
)
def test_a_good_solver_passes(check: Check, fields: Dict[str, Any]) -> None:
    assert check(**fields) == []


def test_a_model_may_be_named_by_absolute_path_and_through_a_link(check: Check) -> None:
    insert(check.config())
    (check.folder / "link.prototxt").symlink_to(check.folder / MODEL)
    assert check(net=str(check.folder / MODEL)) == []
    assert check(net="link.prototxt") == []


@pytest.mark.parametrize(
    ("fields", "explanation"),
    [
        (
            {"test_interval": 0},
            "test_interval: it is 0, so no TEST pass runs and shift N is never searched. "
            "Set test_interval: max_iter (or a divisor of it).",
        ),
        (
            {"test_interval": None},
            "test_interval: it is 0, so no TEST pass runs and shift N is never searched. "
            "Set test_interval: max_iter (or a divisor of it).",
        ),
        (
            {"test_interval": 4},
            "test_interval: it is 4, which does not divide max_iter = 6: the last TEST pass would "
            "not be after the last iteration. Set test_interval: max_iter (or a divisor of it).",
        ),
        (
            {"test_interval": 12},
            "test_interval: it is 12, which does not divide max_iter = 6: the last TEST pass would "
            "not be after the last iteration. Set test_interval: max_iter (or a divisor of it).",
        ),
        (
            {"test_interval": 1},
            "test_interval: it is 1: the first TEST pass would come before the clip bounds are "
            "initialised, which takes batch_num = 2 iterations. Set test_interval to at least 2.",
        ),
        (
            {"test_iter": 1},
            "test_iter: it is [1], but searching shift N takes batch_num = 2 batches. "
            "Set test_iter to at least 2.",
        ),
        (
            {"test_iter": None},
            "test_iter: it is not set, but searching shift N takes batch_num = 2 batches. "
            "Set test_iter to at least 2.",
        ),
        (
            {"test_initialization": True},
            "test_initialization: it is true (Caffe's default), so a TEST pass runs before "
            "training has begun. Set test_initialization: false.",
        ),
        (
            {"test_initialization": None},
            "test_initialization: it is true (Caffe's default), so a TEST pass runs before "
            "training has begun. Set test_initialization: false.",
        ),
        (
            {"net": OTHER},
            f"net: it is '{OTHER}', not the modified model '{MODEL}'. {NAME_IT}",
        ),
        (
            {"net": None, "train_net": MODEL},
            f"test_net: it is not set; expected the modified model '{MODEL}'. {NAME_IT}",
        ),
        (
            {"net": None, "train_net": OTHER, "test_net": MODEL},
            f"train_net: it is '{OTHER}', not the modified model '{MODEL}'. {NAME_IT}",
        ),
        (
            {"net": None, "train_net": MODEL, "test_net": OTHER},
            f"test_net: it is '{OTHER}', not the modified model '{MODEL}'. {NAME_IT}",
        ),
        (
            {"test_net": OTHER},
            f"test_net: it is '{OTHER}', not the modified model '{MODEL}'. {NAME_IT}",
        ),
    ],
    ids=str,
)
def test_one_violation_is_found_alone_and_explained(
    check: Check, fields: Dict[str, Any], explanation: str
) -> None:
    assert check(**fields) == [explanation]


def test_a_solver_without_a_network_is_told(check: Check) -> None:
    violations = check(net=None)
    assert [violation.split(": it is not set")[0] for violation in violations] == [
        "train_net",
        "test_net",
    ]


def test_training_must_be_as_long_as_initialisation(check: Check) -> None:
    given = check.config({"clip_max": 1.0, "clip_min": -1.0})
    assert check(given, max_iter=1, test_interval=1) == [
        "max_iter: it is 1, but initialising the clip bounds takes batch_num = 2 iterations. "
        "Set max_iter to at least 2."
    ]


def test_the_solver_is_named(check: Check) -> None:
    insert(check.config())
    Path("solver.prototxt").write_text(nets.solver(OTHER, "snapshot"))
    with pytest.raises(
        TrainingError, match=r"^solver\.prototxt: this solver will not do"
    ) as caught:
        amct_caffe.check_solver("solver.prototxt", check.config(), MODEL)
    assert caught.value.file == "solver.prototxt"


def test_all_violations_are_told_at_once(check: Check) -> None:
    violations = check(
        net=OTHER, max_iter=5, test_interval=2, test_iter=1, test_initialization=True
    )
    fields = [violation.split(":")[0] for violation in violations]
    assert fields == ["net", "test_interval", "test_iter", "test_initialization"]


def test_without_a_search_for_n_no_test_pass_is_needed(check: Check) -> None:
    config = check.config(shift_n_algo="none")
    no_tests = {"test_interval": None, "test_iter": None, "test_initialization": None}
    assert check(config, **no_tests) == []
    assert check(config, test_interval=4) == []


def test_without_a_search_for_n_a_test_pass_still_must_not_come_too_early(check: Check) -> None:
    config = check.config(shift_n_algo="none")
    (violation,) = check(config, test_initialization=True)
    assert violation.startswith("test_initialization: it is true")
    (violation,) = check(config, test_interval=1)
    assert violation.startswith("test_interval: it is 1: the first TEST pass would come before")


def test_bounds_from_the_config_may_be_tested_from_the_first_iteration(check: Check) -> None:
    config = check.config({"clip_max": 1.0, "clip_min": -1.0})
    assert check(config, test_interval=1) == []


def test_a_network_in_place_of_a_solver_is_told(check: Check) -> None:
    insert(check.config())
    Path("net.prototxt").write_text('layer { name: "data" type: "Input" top: "data" }')
    with pytest.raises(FileFormatError, match="it is a network; expected a solver"):
        amct_caffe.check_solver("net.prototxt", check.config(), MODEL)


@attrs.frozen
class Kind:
    """A network, what the config says of its layers, and whether N is searched in it."""

    layers: str
    names: Sequence[str]
    searched: bool


POOLING = nets.pooling("pool", "data", "AVE", kernel=2, stride=1)
KINDS = {
    "convolution": Kind(CONVOLUTION, ["conv"], True),
    "pooling": Kind(CONVOLUTION + POOLING, ["pool"], False),
    "both": Kind(CONVOLUTION + POOLING, ["conv", "pool"], True),
}


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("search", ["none", "search_n", "search_n_v2"])
@pytest.mark.parametrize("bounds", [{}, {"clip_max": 1.0, "clip_min": -1.0}])
def test_config_and_modified_model_agree_on_what_training_needs(
    check: Check, kind: Kind, search: str, bounds: Dict[str, float]
) -> None:
    write_model(OTHER, kind.layers)
    file = check.config(bounds, layers=kind.names, shift_n_algo=search)
    insert(file)
    needs = TrainingNeeds(BATCH_NUM, kind.searched and search != "none", not bounds)
    assert TrainingNeeds.of_config(json_format.read(file), documents.read(OTHER)) == needs
    assert TrainingNeeds.of_model(read_inserted(documents.read(MODEL))) == needs


def test_a_network_in_which_nothing_has_an_n_needs_no_test_pass(check: Check) -> None:
    write_model(OTHER, CONVOLUTION + POOLING)
    no_tests = {"test_interval": None, "test_iter": None, "test_initialization": None}
    assert check(check.config(layers=["pool"]), **no_tests) == []
    assert check(check.config(layers=["pool"], shift_n_algo="search_n"), **no_tests) == []


@pytest.mark.parametrize(
    ("other", "difference"),
    [
        ({"shift_n_algo": "none"}, "shift_n_algo is 'none' but 'search_n_v2' was inserted"),
        ({"layers": ["pool"]}, "'pool' is enabled but was not inserted; 'conv' was inserted but"),
    ],
    ids=str,
)
def test_a_config_that_the_model_was_not_made_with_is_told(
    check: Check, other: Dict[str, Any], difference: str
) -> None:
    insert(check.config())
    config = check.config(**other)
    Path("solver.prototxt").write_text(nets.solver(MODEL, "snapshot"))
    with pytest.raises(
        ConfigError, match="is not the one the modified model was made with"
    ) as told:
        amct_caffe.check_solver("solver.prototxt", config, MODEL)
    assert difference in str(told.value)


def test_an_unmodified_model_is_told(check: Check) -> None:
    Path("solver.prototxt").write_text(nets.solver(OTHER, "snapshot"))
    with pytest.raises(ModelError, match="this model has no ActivationQAT layer"):
        amct_caffe.check_solver("solver.prototxt", check.config(), OTHER)
