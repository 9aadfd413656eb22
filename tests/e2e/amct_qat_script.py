"""A training script as a user of AMCT writes it: our own, with the calls of AMCT's QAT sample.

The calls, their order and how arguments are passed are those of ``ResNet50_retrain.py`` in
Ascend/samples (python/level1_single_api/9_amct/amct_caffe/resnet50): protobuf's ``text_format``
without an import of it, layers edited by position, a solver that is written as ``str`` of a
message and names no ``snapshot_prefix``, the deployable model edited for ATC.

Usage: CAFFE_DIR MODEL WEIGHTS TRAIN_LMDB TEST_LMDB WORK_FOLDER RESULT_PREFIX
"""

import os
import sys

import google.protobuf

caffe_dir, model, weights, train_data, test_data, work, result = sys.argv[1:]
sys.path.insert(0, os.path.join(caffe_dir, "python"))

import caffe  # noqa: E402

import amct_caffe  # noqa: E402

TRAIN_BATCH, TRAIN_ITERATIONS, TEST_BATCH, TEST_ITERATIONS = 4, 4, 2, 3


def read(path):
    net = caffe.proto.caffe_pb2.NetParameter()
    with open(path) as stream:
        google.protobuf.text_format.Merge(stream.read(), net)
    return net


def write(path, net):
    with open(path, "w") as stream:
        stream.write(google.protobuf.text_format.MessageToString(net))


def accuracy(model_file, weights_file):
    net = caffe.Net(model_file, weights_file, caffe.TEST)
    scores = {"acc/top-1": 0.0, "acc/top-5": 0.0}
    for _ in range(TEST_ITERATIONS):
        for blob in scores:
            scores[blob] += net.forward()[blob]
    for blob, total in scores.items():
        print(blob, "=", total / TEST_ITERATIONS)


caffe.set_mode_cpu()

train_test = read(model)
for layer, source, batch in zip(
    train_test.layer[:2], (train_data, test_data), (TRAIN_BATCH, TEST_BATCH)
):
    layer.data_param.source = source
    layer.data_param.batch_size = batch
write(model, train_test)
accuracy(model, weights)

config = os.path.join(work, "config.json")
amct_caffe.create_quant_retrain_config(config, model, weights)

modified_model = os.path.join(work, "modified_model.prototxt")
modified_weights = os.path.join(work, "modified_model.caffemodel")
record = os.path.join(work, "record.txt")
amct_caffe.create_quant_retrain_model(
    model, weights, config, modified_model, modified_weights, record
)

parameters = caffe.proto.caffe_pb2.SolverParameter()
parameters.net = modified_model
parameters.lr_policy = "step"
parameters.base_lr = 0.0001
parameters.stepsize = 10
parameters.gamma = 0.1
parameters.momentum = 0.9
parameters.weight_decay = 0.0001
parameters.test_initialization = False
parameters.max_iter = TRAIN_ITERATIONS
parameters.test_interval = TRAIN_ITERATIONS
parameters.test_iter[:] = [TEST_ITERATIONS]
parameters.snapshot = TRAIN_ITERATIONS
solver_file = os.path.join(work, "solver.prototxt")
with open(solver_file, "w") as stream:
    stream.write(str(parameters))
solver = caffe.SGDSolver(solver_file)
solver.net.copy_from(modified_weights)
solver.solve()

snapshot = os.path.join(work, f"solver_iter_{TRAIN_ITERATIONS}.caffemodel")
amct_caffe.save_quant_retrain_model(modified_model, snapshot, "Both", result, record, config)
accuracy(f"{result}_fake_quant_model.prototxt", f"{result}_fake_quant_weights.caffemodel")

deployed = read(f"{result}_deploy_model.prototxt")
first = deployed.layer[0]
first.Clear()
first.name = "data"
first.type = "Input"
first.top[:] = ["data"]
first.input_param.shape.add().dim[:] = [1, 3, 12, 12]
for _ in range(3):
    del deployed.layer[-1]
write(f"{result}_atc_model.prototxt", deployed)
