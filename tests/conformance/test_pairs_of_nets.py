"""A solver with ``train_net`` and ``test_net``: one modified file serves both."""

from __future__ import annotations

from pathlib import Path

import pytest

import amct_caffe as amct
from cpu_sim_backend.verify import verify
from tests.conformance.networks import named
from tests.conformance.runner import insert

pytestmark = pytest.mark.caffe

SOLVER = """\
train_net: "{net}"
test_net: "{net}"
base_lr: 0.001
lr_policy: "fixed"
max_iter: 1
test_iter: 1
test_interval: 1
test_initialization: false
snapshot_prefix: "{prefix}"
"""


@pytest.mark.parametrize("name", ["rules that exclude", "what follows differs between the phases"])
def test_training_with_a_pair(name: str, tmp_path: Path) -> None:
    from amct_caffe.runtime.pycaffe import caffe

    case = named(name)
    inserted = insert(case, tmp_path, caffe)
    solver_file = tmp_path / "solver.prototxt"
    model = inserted.path("modified.prototxt")
    solver_file.write_text(SOLVER.format(net=model, prefix=tmp_path / "s"))
    amct.check_solver(str(solver_file), inserted.path("c.json"), model)
    solver = caffe.get_solver(str(solver_file))
    solver.net.copy_from(inserted.path("modified.caffemodel"))
    for net in (solver.net, solver.test_nets[0]):
        net.blobs["data"].data[...] = inserted.inputs(seed=1)["data"]
    solver.solve()
    (tmp_path / "s_iter_1.caffemodel").rename(inserted.path("snapshot.caffemodel"))
    report = verify(inserted.save(), inserted.inputs(seed=2))
    assert tuple(layer.name for layer in report.layers) == case.quantized
    assert report.exact
