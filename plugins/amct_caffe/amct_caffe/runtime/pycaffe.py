"""The only place that imports Caffe.

Caffe logs through glog from the moment it is imported; that, and the process-wide CPU or GPU mode,
are the global state that Caffe forces on us.
"""

from __future__ import annotations

import os

from amct_caffe.runtime.installed import caffe_is_installed
from amct_core.errors import EnvironmentUnsuitableError
from amct_core.supervision.watch import current

if not caffe_is_installed():
    raise EnvironmentUnsuitableError(
        "pycaffe is not installed in this Python.",
        remedy=(
            "Training, the search for shift N after it and running a fake-quant model need it: on "
            'CPython 3.9, pip install "amct[caffe]", or build Caffe with Python layers and add its '
            "'python' folder to PYTHONPATH."
        ),
    )

# Caffe logs some 200 lines per net.  Where they go to a file, they say what was going on when Caffe
# ends the process.  Where they would go to the console, only its warnings show; who wants more sets
# GLOG_minloglevel=0.  A user's script imports Caffe first.
os.environ.setdefault("GLOG_minloglevel", "0" if current().is_on else "1")

import caffe

if not hasattr(caffe, "Layer"):
    raise EnvironmentUnsuitableError(
        f"this pycaffe ({caffe.__file__}) was built without Python layers.",
        remedy="Build Caffe with WITH_PYTHON_LAYER := 1, or use the kendryte-caffe package.",
    )

Layer = caffe.Layer
"""Base class of Python layers."""

TRAIN: int = caffe.TRAIN
TEST: int = caffe.TEST

__all__ = ["TEST", "TRAIN", "Layer", "caffe"]
