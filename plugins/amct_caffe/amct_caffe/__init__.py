"""AMCT's API for Caffe: quantization-aware training on unmodified Caffe.

``import amct_caffe as amct`` and ``from amct_caffe import amct`` both give these functions, with
the parameter names that AMCT has.  Importing this package imports neither Caffe nor protobuf.
Where a script has imported them, or once it does, they get what AMCT's users find there: see
:mod:`amct_caffe.user_modules`.  As in AMCT, importing it sets logging up; the log file appears with
its first line.
"""

from __future__ import annotations

import sys

from amct_caffe import auto_nuq
from amct_caffe.api import (
    check_solver,
    create_quant_retrain_config,
    create_quant_retrain_model,
    save_quant_retrain_model,
    set_cpu_mode,
    set_gpu_mode,
)
from amct_caffe.auto_calibration import accuracy_based_auto_calibration
from amct_caffe.ptq_api import (
    convert_model,
    create_quant_config,
    init,
    quantize_model,
    save_model,
)
from amct_caffe.user_modules import complete_user_modules
from amct_core.logging import configure_for_script

__version__ = "0.2.0"

amct = sys.modules[__name__]
"""This package under the name that AMCT's documentation uses."""

complete_user_modules()
configure_for_script()

__all__ = [
    "accuracy_based_auto_calibration",
    "amct",
    "auto_nuq",
    "check_solver",
    "convert_model",
    "create_quant_config",
    "create_quant_retrain_config",
    "create_quant_retrain_model",
    "init",
    "quantize_model",
    "save_model",
    "save_quant_retrain_model",
    "set_cpu_mode",
    "set_gpu_mode",
]
