"""The demonstration's network: LeNet's shape, for 8 x 8 digits."""

from __future__ import annotations

import json
from typing import Sequence

_TEMPLATE = """\
name: "Digits"
{train}{test}layer {{
  name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
  param {{ lr_mult: 1 }} param {{ lr_mult: 2 }}
  convolution_param {{
    num_output: 16 kernel_size: 3 pad: 1
    weight_filler {{ type: "xavier" }} bias_filler {{ type: "constant" }}
  }}
}}
layer {{ name: "relu1" type: "ReLU" bottom: "conv1" top: "conv1" }}
layer {{
  name: "pool1" type: "Pooling" bottom: "conv1" top: "pool1"
  pooling_param {{ pool: MAX kernel_size: 2 stride: 2 }}
}}
layer {{
  name: "conv2" type: "Convolution" bottom: "pool1" top: "conv2"
  param {{ lr_mult: 1 }} param {{ lr_mult: 2 }}
  convolution_param {{
    num_output: 32 kernel_size: 3 pad: 1
    weight_filler {{ type: "xavier" }} bias_filler {{ type: "constant" }}
  }}
}}
layer {{ name: "relu2" type: "ReLU" bottom: "conv2" top: "conv2" }}
layer {{
  name: "pool2" type: "Pooling" bottom: "conv2" top: "pool2"
  pooling_param {{ pool: AVE kernel_size: 2 stride: 2 }}
}}
layer {{
  name: "ip1" type: "InnerProduct" bottom: "pool2" top: "ip1"
  param {{ lr_mult: 1 }} param {{ lr_mult: 2 }}
  inner_product_param {{
    num_output: 64
    weight_filler {{ type: "xavier" }} bias_filler {{ type: "constant" }}
  }}
}}
layer {{ name: "relu3" type: "ReLU" bottom: "ip1" top: "ip1" }}
layer {{
  name: "ip2" type: "InnerProduct" bottom: "ip1" top: "ip2"
  param {{ lr_mult: 1 }} param {{ lr_mult: 2 }}
  inner_product_param {{
    num_output: 10
    weight_filler {{ type: "xavier" }} bias_filler {{ type: "constant" }}
  }}
}}
layer {{
  name: "accuracy" type: "Accuracy" bottom: "ip2" bottom: "label" top: "accuracy"
  include {{ phase: TEST }}
}}
layer {{ name: "loss" type: "SoftmaxWithLoss" bottom: "ip2" bottom: "label" top: "loss" }}
"""

_DATA = """\
layer {{
  name: "digits" type: "Python" top: "data" top: "label"
  include {{ phase: {phase} }}
  python_param {{ module: "amct_caffe.layers" layer: "ArrayData" param_str: '{parameters}' }}
}}
"""

_SOLVER = """\
net: "{net}"
test_iter: {test_iter}
test_interval: {max_iter}
test_initialization: false
base_lr: {base_lr}
lr_policy: "step"
stepsize: {stepsize}
gamma: 0.3
momentum: 0.9
weight_decay: 0.0005
max_iter: {max_iter}
snapshot: {max_iter}
snapshot_prefix: "{prefix}"
random_seed: 1
solver_mode: CPU
"""


def train_test_prototxt(
    train_file: str, test_file: str, train_batch: int = 64, test_batch: int = 100
) -> str:
    """Return the network's text, reading batches from two ``.npz`` files."""
    return _TEMPLATE.format(
        train=_data("TRAIN", train_file, train_batch), test=_data("TEST", test_file, test_batch)
    )


def solver_prototxt(
    net: str, prefix: str, max_iter: int, base_lr: float, test_iter: int = 5
) -> str:
    """Return a solver's text: three steps of the learning rate, one TEST pass at the end."""
    return _SOLVER.format(
        net=net,
        prefix=prefix,
        max_iter=max_iter,
        base_lr=base_lr,
        stepsize=max(1, max_iter // 3),
        test_iter=test_iter,
    )


def _data(phase: str, file: str, batch_size: int, arrays: Sequence[str] = ("data", "label")) -> str:
    parameters = {"file": file, "arrays": list(arrays), "batch_size": batch_size}
    return _DATA.format(phase=phase, parameters=json.dumps(parameters))
