"""Scripts for post-training quantization as users of AMCT write them: our own, with AMCT's calls.

The calls, their order, how arguments are passed and where files go are those of the samples in
Ascend/samples (python/level1_single_api/9_amct/amct_caffe): ``ResNet50_sample.py``,
``convert_model.py``, ``mnist_sample.py`` and ``faster_rcnn_sample.py``.

Usage: SAMPLE CAFFE_DIR [CFG], in a folder with net.prototxt, net.caffemodel and images.npz.
"""

import os
import sys

sample, caffe_dir = sys.argv[1:3]
cfg = sys.argv[3] if len(sys.argv) > 3 else None
sys.path.insert(0, os.path.join(caffe_dir, "python"))

import caffe  # noqa: E402
import numpy as np  # noqa: E402

import amct_caffe as amct  # noqa: E402

BATCH_SIZE = 8
IMAGES = np.load("images.npz")["data"]
HERE = os.path.realpath(".")


def run(model, weights, iterations):
    """Run batches of the size that the prototxt says; return the last scores."""
    net = caffe.Net(model, weights, caffe.TEST)
    for index in range(iterations):
        batch = IMAGES[index * BATCH_SIZE : (index + 1) * BATCH_SIZE]
        scores = net.forward(data=batch)["prob"]
    return scores.copy()


def run_one_by_one(model, weights, sizes):
    """Reshape the inputs for every image, as a detector does."""
    net = caffe.Net(model, weights, caffe.TEST)
    for index, (height, width) in enumerate(sizes):
        image = IMAGES[index : index + 1, :, :height, :width]
        net.blobs["data"].reshape(*image.shape)
        net.blobs["im_info"].reshape(1, 3)
        info = np.array([[height, width, 1]], np.float32)
        blobs = net.forward(data=image.astype(np.float32, copy=False), im_info=info)
    return blobs["cls_prob"].copy()


def resnet50():
    """Use absolute paths below folders that are there, and a simplified configuration or none."""
    tmp = os.path.join(HERE, "tmp")
    result = os.path.join(HERE, "results/calibration_results")
    for folder in (tmp, result):
        if not os.access(folder, os.F_OK):
            os.makedirs(folder)
    model, weights = (os.path.realpath(name) for name in ("net.prototxt", "net.caffemodel"))
    config = os.path.join(tmp, "config.json")
    skip_layers, batch_num = [], 2
    if cfg is not None:
        amct.create_quant_config(
            config, model, weights, skip_layers, batch_num, config_defination=cfg
        )
    else:
        amct.create_quant_config(config, model, weights, skip_layers, batch_num)
    graph = amct.init(config, model, weights, os.path.join(tmp, "scale_offset_record.txt"))
    modified = [os.path.join(tmp, f"modified_model.{end}") for end in ("prototxt", "caffemodel")]
    amct.quantize_model(graph, modified[0], modified[1])
    run(*modified, batch_num)
    amct.save_model(graph, "Both", os.path.join(result, "ResNet50"))
    saved = (
        os.path.join(result, "ResNet50_fake_quant_model.prototxt"),
        os.path.join(result, "ResNet50_fake_quant_weights.caffemodel"),
    )
    run(*saved, 3)
    net = caffe.Net(*saved, caffe.TEST)
    net.blobs["data"].reshape(3, *IMAGES.shape[1:])
    print("scores of 3:", net.forward(data=IMAGES[:3])["prob"].shape)


def convert():
    """Convert with the record of another run."""
    result = os.path.join(HERE, "results/convert_results")
    os.makedirs(result)
    model, weights = (os.path.realpath(name) for name in ("net.prototxt", "net.caffemodel"))
    amct.convert_model(
        model, weights, "tmp/scale_offset_record.txt", os.path.join(result, "ResNet50")
    )
    run(
        os.path.join(result, "ResNet50_fake_quant_model.prototxt"),
        os.path.join(result, "ResNet50_fake_quant_weights.caffemodel"),
        2,
    )


def mnist():
    """Name files in folders that nobody has made."""
    model, weights = (os.path.realpath(f"./{name}") for name in ("net.prototxt", "net.caffemodel"))
    before = run(model, weights, 2)
    tmp, results = os.path.join(HERE, "mnist/tmp"), os.path.join(HERE, "mnist/results")
    config = os.path.join(tmp, "config.json")
    amct.create_quant_config(config, model, weights, [], 2)
    graph = amct.init(config, model, weights, os.path.join(tmp, "record.txt"))
    modified = (
        os.path.join(tmp, "modified_model.prototxt"),
        os.path.join(tmp, "modified_model.caffemodel"),
    )
    amct.quantize_model(graph, *modified)
    run(*modified, 2)
    amct.save_model(graph, "Both", os.path.join(results, "mnist"))
    after = run(
        os.path.join(results, "mnist_fake_quant_model.prototxt"),
        os.path.join(results, "mnist_fake_quant_weights.caffemodel"),
        2,
    )
    print("largest change", np.abs(after - before).max())


def faster_rcnn():
    """Name files relative to the working folder; the image size changes with every forward."""
    sys.path.insert(0, HERE)  # for the network's own Python layers
    model, weights = "./detector.prototxt", "./detector.caffemodel"
    config, batch_num = "./config.json", 1
    amct.create_quant_config(config, model, weights, [], batch_num)
    graph = amct.init(config, model, weights, "./detector/scale_offset_record/record.txt")
    modified = [
        os.path.realpath(f"./detector/modified_model.{end}") for end in ("prototxt", "caffemodel")
    ]
    amct.quantize_model(graph, modified[0], modified[1])
    run_one_by_one(modified[0], modified[1], [(12, 10)])
    amct.save_model(graph, "Both", "./results/faster_rcnn")
    sizes = [(12, 10), (9, 12), (12, 12)]
    before = run_one_by_one(model, weights, sizes)
    after = run_one_by_one(
        "./results/faster_rcnn_fake_quant_model.prototxt",
        "./results/faster_rcnn_fake_quant_weights.caffemodel",
        sizes,
    )
    print("largest change", np.abs(after - before).max())


caffe.set_mode_cpu()
{"resnet50": resnet50, "convert": convert, "mnist": mnist, "faster_rcnn": faster_rcnn}[sample]()
print(f"{sample} with quantize success!")
