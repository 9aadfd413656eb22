"""The example of AMCT's documentation, as a user runs it.

The calls are the documentation's own; corrections are marked *corrected* (docs/user-guide.md lists
them).  Usage::

    python examples/qat_example.py MODEL.prototxt WEIGHTS.caffemodel
"""

from __future__ import annotations

import os
import sys

import caffe

import amct_caffe  # corrected: the documentation imports only the alias and then uses both names
import amct_caffe as amct

ori_model_file, ori_weights_file = sys.argv[1:3]
gpu_id = 0
use_gpu = False  # corrected: "if 'gpu':" is always true
test_iterations = 5
max_iter = 4

SOLVER = """\
test_iter: 1
test_interval: {max_iter}
base_lr: 9.999999747378752e-05
max_iter: {max_iter}
lr_policy: "step"
gamma: 0.10000000149011612
momentum: 0.8999999761581421
weight_decay: 9.999999747378752e-05
stepsize: 10
snapshot: {max_iter}
net: "{net}"
test_initialization: false
snapshot_prefix: "./tmp/solver"
"""


def user_test_model(model_file: str, weights_file: str, test_data: object, iterations: int) -> None:
    """Print the accuracy over the network's own TEST data layer."""
    net = caffe.Net(model_file, caffe.TEST, weights=weights_file)
    accuracy = [float(net.forward()["accuracy"]) for _ in range(iterations)]
    print(f"{model_file}: accuracy {sum(accuracy) / iterations:.4f}")


def user_train_model(model_file: str, weights_file: str, train_data: object) -> None:
    """Train with a solver that ends with a TEST pass."""
    with open("./tmp/solver.prototxt", "w") as stream:
        stream.write(SOLVER.format(net=model_file, max_iter=max_iter))
    amct.check_solver("./tmp/solver.prototxt", config_file, model_file)
    solver = caffe.get_solver("./tmp/solver.prototxt")
    solver.net.copy_from(weights_file)
    solver.solve()


train_data = test_data = None  # the network's data layers bring the data

if use_gpu:
    caffe.set_mode_gpu()  # corrected: set_mod_gpu
    caffe.set_device(gpu_id)
    amct.set_gpu_mode()
else:
    caffe.set_mode_cpu()

user_test_model(ori_model_file, ori_weights_file, test_data, test_iterations)

os.makedirs("./tmp", exist_ok=True)
config_file = "./tmp/config.json"
amct_caffe.create_quant_retrain_config(
    config_file=config_file, model_file=ori_model_file, weights_file=ori_weights_file
)

modified_model_file = "./tmp/modified_model.prototxt"
modified_weights_file = "./tmp/modified_model.caffemodel"
scale_offset_record_file = "./tmp/record.txt"
amct_caffe.create_quant_retrain_model(
    model_file=ori_model_file,
    weights_file=ori_weights_file,
    config_file=config_file,
    modified_model_file=modified_model_file,
    modified_weights_file=modified_weights_file,
    scale_offset_record_file=scale_offset_record_file,
)

user_train_model(modified_model_file, modified_weights_file, train_data)

quant_model_path = "./result/user_model"
amct.save_quant_retrain_model(
    retrained_model_file=modified_model_file,
    retrained_weights_file=f"./tmp/solver_iter_{max_iter}.caffemodel",  # corrected: last snapshot
    save_type="Both",
    save_path=quant_model_path,
    scale_offset_record_file=scale_offset_record_file,
    config_file=config_file,
)

fake_quant_model = "./result/user_model_fake_quant_model.prototxt"
fake_quant_weights = "./result/user_model_fake_quant_weights.caffemodel"
user_test_model(fake_quant_model, fake_quant_weights, test_data, test_iterations)
