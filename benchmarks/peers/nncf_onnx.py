"""Quantizes an ONNX model with NNCF's defaults; runs in NNCF's own environment.

Usage: ``python nncf_onnx.py FLOAT.onnx IMAGES.npy QUANTIZED.onnx``.
"""

import sys

import nncf
import numpy as np
import onnx


def main() -> None:
    """Quantize with all of the images, one at a time."""
    float_model, images, quantized = sys.argv[1:]
    model = onnx.load(float_model)
    data = np.load(images)
    name = model.graph.input[0].name
    dataset = nncf.Dataset(list(data), lambda image: {name: image[None]})
    onnx.save(nncf.quantize(model, dataset, subset_size=len(data)), quantized)


if __name__ == "__main__":
    main()
