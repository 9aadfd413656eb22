"""One small network in variations that each ask something else of Caffe."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from amct_caffe.model.formats.caffemodel import writer

BATCH, CHANNELS, SIZE, CLASSES = 4, 3, 8, 5

DATA = """
layer { name: "source" type: "DummyData" top: "data" top: "label" dummy_data_param {
  shape { dim: 4 dim: 3 dim: 8 dim: 8 } shape { dim: 4 }
  data_filler { type: "uniform" min: -1 max: 1 } data_filler { type: "constant" value: 2 } } }
"""
CONV = """
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 4 kernel_size: 3 } }
"""
BATCH_NORM = """
layer { name: "bn" type: "BatchNorm" bottom: "conv" top: "conv" }
layer { name: "scale" type: "Scale" bottom: "conv" top: "conv" scale_param { bias_term: true } }
"""
RELU = 'layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }\n'
CLASSIFIER = """
layer { name: "ip" type: "InnerProduct" bottom: "conv" top: "ip"
  inner_product_param { num_output: 5 } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }
"""

SHAPES = {
    "conv": ("Convolution", [(4, 3, 3, 3), (4,)]),
    "bn": ("BatchNorm", [(4,), (4,), (1,)]),
    "scale": ("Scale", [(4,), (4,)]),
    "ip": ("InnerProduct", [(5, 144), (5,)]),
}


def network(middle: str = RELU, data: str = DATA) -> str:
    """Return a convolution, ``middle`` on its output, and a classifier behind it."""
    return data + CONV + middle + CLASSIFIER


def write(folder: Path, text: str, inputs: int = 144, **solver: str) -> None:
    """Write ``net.prototxt``, weights for it, and ``solver.prototxt``.

    Args:
        folder: for the files.
        text: of the network.
        inputs: of the classifier, per image.
        solver: fields beyond those that quantization-aware training needs.
    """
    (folder / "net.prototxt").write_text(text)
    generator = np.random.default_rng(2)
    with (folder / "net.caffemodel").open("wb") as stream:
        layers = []
        for name, (kind, shapes) in SHAPES.items():
            if f'name: "{name}"' in text:
                shapes = [(5, inputs), (5,)] if name == "ip" else shapes
                blobs = [generator.uniform(0.5, 1, shape).astype(np.float32) for shape in shapes]
                layers.append((name, kind, blobs))
        writer.write(stream, "net", layers)
    more = "".join(f"{field}: {value}\n" for field, value in solver.items())
    (folder / "solver.prototxt").write_text(
        'net: "net.prototxt" base_lr: 0.001 lr_policy: "fixed" weight_decay: 0.01 max_iter: 3\n'
        "test_iter: 2 test_interval: 3 test_initialization: false random_seed: 3\n" + more
    )
