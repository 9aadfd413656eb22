"""What ATC's front end links in the deployable models of real networks."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from amct_core import workflow
from ascend_backend.lint import lint
from plugins.ascend_backend.tests.atc_linking import check_entries, check_linked
from plugins.ascend_backend.tests.text_reader import read_prototxt
from plugins.ascend_backend.tests.wire_reader import read_caffemodel
from tests.conformance.runner import pretend_training
from tests.conformance.weights import write_random_weights

ROLL_BACK = {"A092", "A095"}
"""Layers that ATC computes in float16: worth knowing, and no fault."""

NETWORKS = {
    "lenet": ("lenet/lenet.prototxt", "lenet/lenet_iter_10000.caffemodel"),
    "resnet20": ("resnet20_cifar/resnet20.prototxt", "resnet20_cifar/resnet20.caffemodel"),
    "squeezenet": (
        "squeezenet/SqueezeNet_deploy.prototxt",
        "squeezenet/squeezenet_v1.0.caffemodel",
    ),
    "rfb320": ("ultralight_face/RFB-320.prototxt", "ultralight_face/RFB-320.caffemodel"),
    "open_nsfw": ("open_nsfw/deploy.prototxt", "open_nsfw/resnet_50_1by2_nsfw.caffemodel"),
    "resnet50": ("prototxt_only/ResNet-50-deploy.prototxt", None),
}
"""Prototxt and weights; None: random ones."""


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_each_input_is_linked_once(name: str, shared: Path, tmp_path: Path) -> None:
    model, weights = NETWORKS[name]
    prefix = saved(shared / "models" / model, weights and shared / "models" / weights, tmp_path)
    text = read_prototxt(f"{prefix}_deploy_model.prototxt")
    binary = read_caffemodel(f"{prefix}_deploy_weights.caffemodel")
    assert "DeQuant" in {stored.type for stored in binary.values()}
    check_entries(text, binary)
    check_linked(text, binary)
    found = lint(f"{prefix}_deploy_model.prototxt", f"{prefix}_deploy_weights.caffemodel")
    assert {finding.rule.id for finding in found} <= ROLL_BACK


def saved(model: Path, weights: Path | None, folder: Path) -> str:
    """Take a network through the workflow without training; return the prefix of its files."""
    files = [str(folder / name) for name in ("net.prototxt", "net.caffemodel")]
    shutil.copy(model, files[0])
    if weights is None:
        write_random_weights(files[0], Path(files[1]))
    else:
        shutil.copy(weights, files[1])
    config, record = str(folder / "c.json"), str(folder / "record.txt")
    workflow.create_config(*files, config)
    modified = [str(folder / f"modified.{end}") for end in ("prototxt", "caffemodel")]
    workflow.insert(*files, config, *modified, record)
    pretend_training(folder)
    prefix = str(folder / "saved")
    snapshot = str(folder / "snapshot.caffemodel")
    workflow.save(modified[0], snapshot, prefix, "Deploy", record, config)
    return prefix
