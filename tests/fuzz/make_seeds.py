"""Writes the binary seeds anew: ``python -m tests.fuzz.make_seeds``."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any, Dict, Sequence, Tuple

import numpy as np
from numpy.typing import NDArray

from amct_caffe.model.formats.caffemodel import writer
from amct_caffe.qat.bounds import BoundState
from amct_core import workflow
from amct_core.numerics import dequant

SEEDS = Path(__file__).parent / "seeds"
LARGEST = 2048

_random = np.random.default_rng(19)

Blobs = Sequence[NDArray[Any]]


def _float(*shape: int) -> NDArray[np.float32]:
    return _random.standard_normal(shape).astype(np.float32)


def _int8(*shape: int) -> NDArray[np.int8]:
    return _random.integers(-128, 128, shape).astype(np.int8)


def _words(count: int) -> NDArray[np.uint64]:
    return dequant.pack(
        _random.uniform(1e-4, 1e-2, count).astype(np.float32), np.arange(count) % 5 + 1
    )


def _networks() -> Dict[str, Dict[str, Tuple[str, Blobs]]]:
    """Return the blobs of the seeds of ``graph``, by network and layer."""
    ones = np.ones(4, np.float32)
    return {
        "quantized": {
            "conv": ("Convolution", [_int8(4, 2, 3, 3), np.arange(4, dtype=np.int32) * 1000]),
            "dq": ("DeQuant", [_words(4)]),
            "fc": ("InnerProduct", [_int8(3, 36), np.array([-5, 0, 7], np.int32)]),
            "dq2": ("DeQuant", [_words(1)]),
        },
        "averages": {
            "dq": ("DeQuant", [_words(1)]),
            "up": ("Deconvolution", [_int8(4, 2, 2, 2)]),
            "dq2": ("DeQuant", [_words(2)]),
        },
        "floats": {
            "conv": ("Convolution", [_float(4, 2, 3, 3)]),
            "bn": ("BatchNorm", [_float(4), np.abs(_float(4)), ones[:1]]),
            "scale": ("Scale", [_float(4), _float(4)]),
            "prelu": ("PReLU", [_float(4)]),
            "bias": ("Bias", [_float(4)]),
            "norm": ("Normalize", [ones]),
            "dw": ("ConvolutionDepthwise", [_float(4, 1, 3, 3), _float(4)]),
        },
        "layout": {"nothing": ("Nothing", [])},
        "activations": {"nothing": ("Nothing", [])},
        "reductions": {"nothing": ("Nothing", [])},
    }


def _write(path: Path, layers: Dict[str, Tuple[str, Blobs]]) -> None:
    with path.open("wb") as stream:
        writer.write(stream, path.stem, [(name, *each) for name, each in layers.items()])


MODIFIED = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 4 } } }
layer { name: "fc" type: "InnerProduct" bottom: "data" top: "fc"
  inner_product_param { num_output: 2 } }
"""


def _modified(folder: Path) -> None:
    """Write a modified model, a snapshot of it and the record, each as after training."""
    blobs = [_float(2, 4), _float(2)]
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        model, weights, config = (str(work / each) for each in ("n.prototxt", "n.caffemodel", "c"))
        Path(model).write_text(MODIFIED)
        _write(Path(weights), {"fc": ("InnerProduct", blobs)})
        workflow.create_config(model, weights, config)
        files = [str(work / each) for each in ("m.prototxt", "m.caffemodel")]
        record = str(work / "record.txt")
        workflow.insert(model, weights, config, files[0], files[1], record)
        folder.mkdir(exist_ok=True)
        text = Path(files[0]).read_text().replace(f"{work}/", "")
        lines = text.splitlines(keepends=True)
        (folder / "fc.prototxt").write_text("".join(line.lstrip(" ") for line in lines))
    state = BoundState(1.5, -0.5, 1, True, 1.5, -0.5).to_blobs()
    bounds = [np.array(each, np.float32, ndmin=1) for each in state]
    quantized = [blobs[0], np.full(2, 0.01, np.float32), bounds[2]]
    layers: Dict[str, Tuple[str, Blobs]] = {
        "fc_activation_qat": ("Python", bounds),
        "fc_weight_qat": ("Python", [blobs[0], *quantized]),
        "fc": ("InnerProduct", blobs),
    }
    _write(folder / "fc.caffemodel", layers)


def _arrays(folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    x = np.arange(12, dtype=np.float32).reshape(3, 4)
    np.savez(folder / "stored.npz", data=x, label=np.arange(3))
    np.savez_compressed(folder / "deflated.npz", **{"data": x, "a/b": x.astype(">i2")})


def main() -> None:
    """Write the files."""
    (SEEDS / "caffemodel").mkdir(exist_ok=True)
    for name, layers in _networks().items():
        _write(SEEDS / "graph" / f"{name}.caffemodel", layers)
    _write(SEEDS / "caffemodel" / "float.caffemodel", {"fc": ("InnerProduct", [_float(2, 3)])})
    _write(
        SEEDS / "caffemodel" / "integers.caffemodel",
        {
            "conv": ("Convolution", [_int8(2, 1, 2, 2), np.array([1, -1], np.int32)]),
            "dq": ("DeQuant", [_words(2)]),
        },
    )
    _modified(SEEDS / "modified")
    _arrays(SEEDS / "npz")
    for path in SEEDS.rglob("*.*"):
        assert path.stat().st_size <= LARGEST, path


if __name__ == "__main__":
    main()
