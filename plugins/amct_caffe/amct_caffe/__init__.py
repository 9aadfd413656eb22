"""AMCT's API for Caffe: quantization-aware training on unmodified Caffe.

``import amct_caffe as amct`` and ``from amct_caffe import amct`` both give these functions, with
the parameter names that AMCT has.  Importing this package imports neither Caffe nor protobuf.
"""

from __future__ import annotations

import sys

from amct_caffe.api import (
    check_solver,
    create_quant_retrain_config,
    create_quant_retrain_model,
    save_quant_retrain_model,
    set_cpu_mode,
    set_gpu_mode,
)

__version__ = "0.1.0"

amct = sys.modules[__name__]
"""This package under the name that AMCT's documentation uses."""

__all__ = [
    "amct",
    "check_solver",
    "create_quant_retrain_config",
    "create_quant_retrain_model",
    "save_quant_retrain_model",
    "set_cpu_mode",
    "set_gpu_mode",
]
