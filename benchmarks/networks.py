"""The real networks that are measured: files, images, what they are trained for."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Dict, Mapping, Optional, Tuple

import attrs
import caffe
import numpy as np
from google.protobuf import text_format
from numpy.typing import NDArray
from PIL import Image

from amct_caffe.model.formats.prototxt import document as documents

Array = NDArray[np.float32]

CIFAR_MEAN = np.array([0.485, 0.456, 0.406], np.float32)
CIFAR_DEVIATION = np.array([0.229, 0.224, 0.225], np.float32)
"""What ResNet-20 was trained with: RGB in 0..1, minus the mean, over the standard deviation."""


@attrs.frozen
class Network:
    """One network and how a user would train it.

    Attributes:
        model, weights: files below ``models``; without weights, random ones are drawn.
        data: input blob.
        size: height and width of the input.
        mean: per channel, in BGR; subtracted first.
        factor: images are multiplied by it then.
        dataset: where its images come from: ``imagenet``, ``mnist`` or ``cifar10``.  The last two
            have a preprocessing of their own, that of ``lenet_mnist`` and ``resnet20_cifar``.
        resized: whether the whole image is resized to ``size``; else ``size`` is cut from its
            middle.
        logits: blobs that training pulls to the labels, or without ``labelled`` to the values that
            they had in float32.
        labelled: whether the images' labels are classes of this network.
        outputs: blobs to correlate with those of float32.
        batch_size: images per iteration, and per batch of the comparison.
        batch_num: batches from which the clip bounds are found.
        solver, base_lr: type of the solver and its learning rate.
    """

    model: str
    weights: Optional[str]
    size: Tuple[int, int]
    logits: Tuple[str, ...]
    outputs: Tuple[str, ...]
    data: str = "data"
    mean: Tuple[float, float, float] = (104, 117, 123)
    factor: float = 1.0
    dataset: str = "imagenet"
    resized: bool = False
    labelled: bool = False
    batch_size: int = 4
    batch_num: int = 2
    solver: str = "SGD"
    base_lr: float = 1e-5

    @property
    def channels(self) -> int:
        """Channels of the input."""
        return 1 if self.dataset == "mnist" else 3


NETWORKS: Dict[str, Network] = {
    "squeezenet": Network(
        model="squeezenet/SqueezeNet_deploy.prototxt",
        weights="squeezenet/squeezenet_v1.0.caffemodel",
        size=(227, 227),
        logits=("pool_final",),
        outputs=("pool_final",),
        labelled=True,
        batch_size=8,
    ),
    "open_nsfw": Network(
        model="open_nsfw/deploy.prototxt",
        weights="open_nsfw/resnet_50_1by2_nsfw.caffemodel",
        size=(224, 224),
        logits=("fc_nsfw",),
        outputs=("fc_nsfw", "prob"),
    ),
    "rfb320": Network(
        model="ultralight_face/RFB-320.prototxt",
        weights="ultralight_face/RFB-320.caffemodel",
        data="input",
        size=(240, 320),
        mean=(127, 127, 127),
        factor=1 / 128,
        resized=True,
        logits=("459", "boxes"),
        outputs=("scores", "boxes"),
        batch_size=1,  # its Reshape layers put all images into one
        batch_num=4,
        solver="Adam",
    ),
    "resnet50": Network(
        model="prototxt_only/ResNet-50-deploy.prototxt",
        weights=None,
        size=(224, 224),
        logits=("fc1000",),
        outputs=("fc1000",),
    ),
    "mobilenet_v1": Network(
        model="prototxt_only/mobilenet_v1_deploy.prototxt",
        weights=None,
        size=(224, 224),
        mean=(103.94, 116.78, 123.68),
        factor=0.017,
        logits=("fc7",),
        outputs=("fc7",),
    ),
}

SMALL_NETWORKS: Dict[str, Network] = {
    "lenet": Network(
        model="lenet/lenet.prototxt",
        weights="lenet/lenet_iter_10000.caffemodel",
        dataset="mnist",
        size=(28, 28),
        logits=("ip2",),
        outputs=("prob",),
        labelled=True,
        batch_size=100,
    ),
    "resnet20": Network(
        model="resnet20_cifar/resnet20.prototxt",
        weights="resnet20_cifar/resnet20.caffemodel",
        dataset="cifar10",
        size=(32, 32),
        logits=("fc",),
        outputs=("fc", "prob"),
        labelled=True,
        batch_size=50,
    ),
    "mobilenet_v2_cifar": Network(
        model="mobilenet_v2_cifar/mobilenet_v2_cifar.prototxt",
        weights="mobilenet_v2_cifar/mobilenet_v2_cifar.caffemodel",
        dataset="cifar10",
        size=(32, 32),
        logits=("fc",),
        outputs=("fc",),
        labelled=True,
        batch_size=50,
    ),
}
"""Those of small images."""

REAL_NETWORKS: Dict[str, Network] = {
    **SMALL_NETWORKS,
    **{name: network for name, network in NETWORKS.items() if network.weights},
}
"""Every network that has trained weights."""


def load_images(
    shared: Path, network: Network, samples: Optional[int], split: str = "test"
) -> Tuple[Array, NDArray[np.int64]]:
    """Return the first images (None: all), float32 (N, channels, height, width), and labels.

    Args:
        shared: folder of the data.
        network: says which images, and how they are preprocessed.
        samples: how many.
        split: ``test`` or ``train``; of ImageNet there is one part only.
    """
    if str(shared / "data") not in sys.path:
        sys.path.insert(0, str(shared / "data"))
    import load

    if network.dataset == "mnist":
        images, labels = load.mnist(split)
        inputs = images[:samples, None].astype(np.float32) * np.float32(0.00390625)
    elif network.dataset == "cifar10":
        images, labels = load.cifar10(split)
        normalised = (images[:samples].astype(np.float32) / 255 - CIFAR_MEAN) / CIFAR_DEVIATION
        inputs = np.ascontiguousarray(normalised.transpose(0, 3, 1, 2))
    else:
        images, labels = load.imagenet_sample()
        inputs = np.stack([_input(image, network) for image in images[:samples]])
    return inputs, np.asarray(labels[:samples], np.int64)


def _input(image: NDArray[np.uint8], network: Network) -> Array:
    height, width = network.size
    if network.resized:
        image = np.asarray(Image.fromarray(image).resize((width, height)))
    top, left = (image.shape[0] - height) // 2, (image.shape[1] - width) // 2
    cut = image[top : top + height, left : left + width, ::-1].astype(np.float32)
    return ((cut - np.float32(network.mean)) * np.float32(network.factor)).transpose(2, 0, 1)


def training_model(network: Network, model: str, targets: Mapping[str, Array]) -> str:
    """Return the prototxt ``model`` with a loss for each of ``targets``.

    It is fed through ``Input`` layers, as the definitions here are; so its shapes are known.
    """
    net = caffe.proto.caffe_pb2.NetParameter()
    text_format.Merge(documents.read(model).format(), net)  # in today's format, if it was older
    layers = [layer for layer in net.layer if layer.type != "Input"]
    for field in ("input", "input_dim", "input_shape", "layer"):
        net.ClearField(field)
    shapes = {network.data: (network.channels, *network.size)}
    shapes.update({name: target.shape[1:] for name, target in targets.items()})
    for name, shape in shapes.items():
        layer = net.layer.add(name=name, type="Input", top=[name])
        layer.input_param.shape.add(dim=(network.batch_size, *shape))
    net.layer.extend(layers)
    for blob, (name, target) in zip(network.logits, targets.items()):
        loss = net.layer.add(name=f"loss_{blob}", bottom=[blob, name], top=[f"loss_{blob}"])
        loss.type = "SoftmaxWithLoss" if network.labelled else "EuclideanLoss"
        # EuclideanLoss adds up over all values of an image; their mean leaves base_lr its meaning.
        loss.loss_weight.append(1 if network.labelled else len(target) / target.size)
    return str(text_format.MessageToString(net))


def write_random_weights(model: str, weights: str, images: Array) -> None:
    """Write random weights; BatchNorm has the statistics of ``images``, gamma both signs."""
    net = caffe.Net(model, caffe.TEST)
    net.blobs["data"].reshape(*images.shape)
    net.reshape()
    net.blobs["data"].data[...] = images
    fill_with_random_weights(net, gamma_spread=0.5)
    net.save(weights)


def fill_with_random_weights(net: Any, gamma_spread: float) -> None:
    """Give a net, whose inputs are there, weights under which values neither vanish nor explode.

    Args:
        net: runs forward, layer by layer; BatchNorm gets the statistics of what it meets.
        gamma_spread: of Scale's factors around 1.
    """
    generator = np.random.default_rng(0)
    for index, (name, layer) in enumerate(zip(net._layer_names, net.layers)):
        blobs = [blob.data for blob in net.params.get(name, ())]
        if layer.type == "BatchNorm":
            x = net.blobs[net.bottom_names[name][0]].data
            blobs[0][...], blobs[1][...], blobs[2][...] = x.mean((0, 2, 3)), x.var((0, 2, 3)), 1
        elif blobs:
            is_scale = layer.type == "Scale"
            spread = gamma_spread if is_scale else (2 / blobs[0][0].size) ** 0.5
            blobs[0][...] = generator.normal(is_scale, spread, blobs[0].shape)
            for bias in blobs[1:]:
                bias[...] = generator.normal(0, 0.1, bias.shape)
        net._forward(index, index)
