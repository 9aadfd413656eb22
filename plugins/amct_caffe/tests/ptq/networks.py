"""A network with everything that post-training quantization treats in its own way.

Two inputs through convolutions that share weights by name, each with BatchNorm and Scale behind it
(one pair in place), Concat, BatchNorm and Scale before a grouped convolution, two convolutions that
read one blob, AVE pooling, an InnerProduct with BatchNorm and Scale.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from amct_core.config.ptq import PtqConfig, PtqLayer, PtqWeight
from plugins.amct_caffe.tests.qat.nets import convolution, inner_product, layer

if TYPE_CHECKING:
    import caffe

SHAPE = (2, 3, 12, 12)
LAYERS = ("left", "right", "grouped", "first", "second", "pool", "ip")


def input_layer(name: str) -> str:
    """Return an Input of :data:`SHAPE`."""
    dims = " ".join(f"dim: {size}" for size in SHAPE)
    return layer(name, "Input", (), (), f"input_param {{ shape {{ {dims} }} }}")


def normalized(name: str, bottom: str, top: str) -> str:
    """Return a BatchNorm and, in place, a Scale."""
    return layer(
        f"{name}_bn", "BatchNorm", [bottom], [top], "batch_norm_param { use_global_stats: true }"
    ) + layer(
        f"{name}_scale",
        "Scale",
        [top],
        [top],
        'scale_param { bias_term: true filler { type: "gaussian" mean: 1 std: 0.3 } '
        'bias_filler { type: "gaussian" std: 0.3 } }',
    )


def relu(blob: str) -> str:
    """Return a ReLU in place."""
    return layer(f"{blob}_relu", "ReLU", [blob], [blob])


_SHARED = 'param { name: "w" } param { name: "b" }'

NETWORK = "".join(
    [
        'name: "net"\n',
        input_layer("data"),
        input_layer("other"),
        convolution("left", "data", 6, 3, "pad: 1", _SHARED),
        normalized("left", "left", "left"),
        relu("left"),
        convolution("right", "other", 6, 3, "pad: 1", _SHARED),
        normalized("right", "right", "right_n"),
        relu("right_n"),
        layer("both", "Concat", ["left", "right_n"]),
        normalized("before", "both", "before"),
        convolution("grouped", "before", 8, 3, "group: 2 bias_term: false"),
        relu("grouped"),
        convolution("first", "grouped", 4, 3),
        convolution("second", "grouped", 4, 3),
        layer("sum", "Eltwise", ["first", "second"]),
        layer(
            "pool", "Pooling", ["sum"], (), "pooling_param { pool: AVE kernel_size: 2 stride: 2 }"
        ),
        inner_product("ip", "pool", 5),
        normalized("ip", "ip", "ip_n"),
        layer("prob", "Softmax", ["ip_n"]),
    ]
)


def write(folder: Path, text: str = NETWORK) -> tuple[str, str]:
    """Write a network with random weights, those of layers that share them equal, as Caffe does."""
    import caffe

    model, weights = str(folder / "net.prototxt"), str(folder / "net.caffemodel")
    Path(model).write_text(text)
    caffe.set_random_seed(7)
    net = caffe.Net(model, caffe.TEST)
    generator = np.random.default_rng(7)
    for name, blobs in net.params.items():
        if name.endswith("_bn"):
            blobs[0].data[...] = generator.normal(size=blobs[0].data.shape)
            blobs[1].data[...] = generator.uniform(0.5, 2, blobs[1].data.shape)
            blobs[2].data[...] = 1
    net.save(weights)
    return model, weights


def config(batch_num: int = 2, **changes: object) -> PtqConfig:
    """Return a configuration that quantizes every layer that can be."""
    layers = {
        name: PtqLayer(weight=None if name == "pool" else PtqWeight(channel_wise=name != "ip"))
        for name in LAYERS
    }
    return PtqConfig(batch_num=batch_num, layers=layers, **changes)  # type: ignore[arg-type]


def arrays(seed: int, samples: int = 2) -> dict[str, np.ndarray]:
    """Return random inputs."""
    generator = np.random.default_rng(seed)
    shape = (samples, *SHAPE[1:])
    return {name: generator.normal(size=shape).astype(np.float32) for name in ("data", "other")}


def run(net: caffe.Net, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Run one batch of any size; return copies of all outputs."""
    for name, array in inputs.items():
        net.blobs[name].reshape(*array.shape)
    net.reshape()
    return {name: blob.copy() for name, blob in net.forward(**inputs).items()}
