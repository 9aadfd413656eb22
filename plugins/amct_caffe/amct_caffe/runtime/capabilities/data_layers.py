"""Which data Caffe's own layers read.

Where Caffe was built without a library, the layer type is missing, or the layer ends the process.
A database or file that is not there tells the two apart: a Caffe that can read it misses the file.
"""

from __future__ import annotations

from typing import Callable

from amct_caffe.runtime.capabilities.probe import Finding, Probe

_BMP = (
    b"BM\x46\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0\x02\0\0\0\x02\0\0\0\x01\0\x18\0\0\0\0\0\x10\0\0\0"
    + bytes(16)
    + b"\x01\x02\x03\x04\x05\x06\0\0\x07\x08\x09\x0a\x0b\x0c\0\0"
)
"""An image of 2 x 2 pixels, which every OpenCV reads."""


def _image_data() -> Finding:
    from amct_caffe.runtime.capabilities.nets import build, layer_text
    from amct_caffe.runtime.pycaffe import caffe

    if "ImageData" not in getattr(caffe, "layer_type_list", lambda: ["ImageData"])():
        return Finding(False, sentence="it has no layer type ImageData")
    with open("image.bmp", "wb") as image:
        image.write(_BMP)
    with open("images.txt", "w") as listed:
        listed.write("image.bmp 7\n")
    body = 'top: "label" image_data_param { source: "images.txt" batch_size: 1 }'
    net = build(layer_text("ImageData", [], "data", body))
    net.forward()
    label = float(net.blobs["label"].data[0])
    return Finding(label == 7, sentence="" if label == 7 else f"it read label {label:g}, not 7")


def _database(backend: str) -> Callable[[], Finding]:
    def ask() -> Finding:
        from amct_caffe.runtime.capabilities.apart import run_apart
        from amct_caffe.runtime.capabilities.nets import build, layer_text

        body = f'data_param {{ source: "no_such_database" backend: {backend} batch_size: 1 }}'
        text = layer_text("Data", [], "data", body)
        sentence = run_apart(lambda: build(text) is None).sentence
        missing = any(word in sentence for word in ("nknown", "has no field", "not compiled"))
        return Finding(not missing, sentence=sentence if missing else "")

    return ask


def _hdf5_data() -> Finding:
    from amct_caffe.runtime.capabilities.apart import run_apart
    from amct_caffe.runtime.capabilities.nets import build, layer_text

    body = 'hdf5_data_param { source: "no_such_list" batch_size: 1 }'
    text = layer_text("HDF5Data", [], "data", body)
    sentence = run_apart(lambda: build(text) is None).sentence
    there = "no_such_list" in sentence
    return Finding(there, sentence="" if there else sentence)


IMAGE_DATA = Probe("image_data", "Does it read image files (ImageData, OpenCV)?", _image_data)
LMDB = Probe("lmdb", "Does its Data layer read LMDB?", _database("LMDB"))
LEVELDB = Probe("leveldb", "Does its Data layer read LevelDB?", _database("LEVELDB"))
HDF5_DATA = Probe("hdf5_data", "Does it read HDF5 files (HDF5Data)?", _hdf5_data)
