"""Finds out whether this Caffe runs a solver of a kind that BVLC Caffe does not have.

Another Caffe may have more solver types and policies, and no list of them; it ends the process on
what it does not know.  So a tiny network is trained for one iteration, in a process of its own.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile

from amct_caffe.model.formats.prototxt.solver import Solver, redirect

_NET = """\
layer {
  name: "data" type: "DummyData" top: "data" top: "label"
  dummy_data_param { shape { dim: 1 dim: 2 } shape { dim: 1 dim: 1 } }
}
layer {
  name: "ip" type: "InnerProduct" bottom: "data" top: "ip" inner_product_param { num_output: 1 }
}
layer { name: "loss" type: "EuclideanLoss" bottom: "ip" bottom: "label" top: "loss" }
"""
_RUN = "import caffe, sys; caffe.get_solver(sys.argv[1]).step(1)"
_LEFT_OUT = (
    *("test_iter", "test_interval", "test_initialization", "test_state", "train_state"),
    *("snapshot", "snapshot_format", "snapshot_after_train", "display", "debug_info", "max_iter"),
)
_TIMEOUT_S = 120


def runs_solver(solver: Solver) -> bool:
    """Return whether one iteration of a solver of this type and policy runs in this Caffe."""
    with tempfile.TemporaryDirectory() as folder:
        net, file = (os.path.join(folder, name) for name in ("net.prototxt", "solver.prototxt"))
        probe = redirect(solver, net, os.path.join(folder, "snapshot"), net)
        for field in _LEFT_OUT:
            probe.message.remove(field)
        probe.message.set("max_iter", 1)
        with open(net, "w", encoding="utf-8") as stream:
            stream.write(_NET)
        with open(file, "w", encoding="utf-8") as stream:
            stream.write(probe.format())
        command = [sys.executable, "-c", _RUN, file]
        try:
            done = subprocess.run(
                command, capture_output=True, timeout=_TIMEOUT_S, check=False, cwd=folder
            )
        except subprocess.TimeoutExpired:
            return False
    return done.returncode == 0
