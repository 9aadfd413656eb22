"""A Caffe network with its weights."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Sequence, Tuple

import attrs
import numpy as np
from numpy.typing import NDArray

from amct_caffe.formats.caffemodel import reader as caffemodel
from amct_caffe.formats.prototxt import document as documents
from amct_caffe.formats.prototxt.document import Layer, NetDocument
from amct_core.errors import ModelError

Blobs = List[NDArray[Any]]


@attrs.define(eq=False)
class CaffeNetwork:
    """A prototxt and the blobs of its layers.

    Attributes:
        document: the network.
        weights: blobs by layer name, in the shapes that Caffe itself gives them.
        others: what the weights file says about each layer beside its blobs.
        model_file, weights_file: where they come from.
    """

    document: NetDocument
    weights: Dict[str, Blobs] = attrs.field(factory=dict)
    others: Dict[str, bytes] = attrs.field(factory=dict)
    model_file: Optional[str] = None
    weights_file: Optional[str] = None

    def copy(self) -> CaffeNetwork:
        """Return a copy whose layers and lists of blobs can be changed; arrays are shared."""
        weights = {name: list(blobs) for name, blobs in self.weights.items()}
        return attrs.evolve(self, document=self.document.copy(), weights=weights)


def read_network(model_file: str, weights_file: Optional[str] = None) -> CaffeNetwork:
    """Read a network and, if given, its weights.

    Raises:
        FileFormatError: a file is damaged.
        ModelError: the weights are not those of the network; the message names both files, the
            layer, and the shapes.
    """
    document = documents.read(model_file)
    network = CaffeNetwork(document, model_file=model_file, weights_file=weights_file)
    if weights_file is None:
        return network
    stored = caffemodel.read(weights_file).by_name()
    for layer in document.layers:
        found = stored.get(layer.name)
        if found is not None:
            network.weights[layer.name] = _in_caffes_shapes(layer, found.blobs, network)
            network.others[layer.name] = found.other
    if stored and not network.weights:
        raise ModelError(
            f"none of its layers ({', '.join(list(stored)[:5])}, ...) is in '{model_file}'.",
            file=weights_file,
            remedy="Give the weights file of this model.",
        )
    return network


def _in_caffes_shapes(layer: Layer, blobs: Sequence[NDArray[Any]], network: CaffeNetwork) -> Blobs:
    """Return ``blobs`` in Caffe's own shapes: old files have four dimensions throughout."""
    expected = expected_shapes(layer)
    if expected is None:
        return [_without_leading_ones(blob) for blob in blobs]
    if len(blobs) != len(expected):
        raise _mismatch(layer, network, f"{len(blobs)} blobs", f"{len(expected)}")
    shaped = []
    for index, (blob, shape) in enumerate(zip(blobs, expected)):
        if not _compatible(blob.shape, shape):
            wanted = " x ".join("?" if dim is None else str(dim) for dim in shape)
            found = " x ".join(map(str, blob.shape))
            raise _mismatch(layer, network, f"blob {index} of shape {found}", wanted)
        known = [blob.shape[len(blob.shape) - len(shape) + i] for i in range(len(shape))]
        shaped.append(blob.reshape(known))
    return shaped


def _compatible(found: Tuple[int, ...], expected: Tuple[Optional[int], ...]) -> bool:
    extra = len(found) - len(expected)
    if extra < 0 or any(dim != 1 for dim in found[:extra]):
        return False
    return all(e is None or e == f for f, e in zip(found[extra:], expected))


def _without_leading_ones(blob: NDArray[Any]) -> NDArray[Any]:
    if blob.ndim == 4 and blob.shape[:3] == (1, 1, 1):
        return blob.reshape(blob.shape[3])
    return blob


def _mismatch(layer: Layer, network: CaffeNetwork, found: str, expected: str) -> ModelError:
    return ModelError(
        f"found {found}; '{network.model_file}' expects {expected}.",
        file=network.weights_file,
        layer=layer.name,
        field="blobs",
        remedy="Give the weights file of this model.",
    )


def expected_shapes(layer: Layer) -> Optional[List[Tuple[Optional[int], ...]]]:
    """Return the blob shapes that follow from the layer alone; None for types not listed here.

    A dimension that depends on the input is None.
    """
    if layer.type in ("Convolution", "Deconvolution"):
        return _convolution_shapes(layer)
    if layer.type == "InnerProduct":
        parameters = layer.parameters("inner_product_param")
        outputs = parameters.integer("num_output")
        transposed = parameters.boolean("transpose", False)
        weights = (None, outputs) if transposed else (outputs, None)
        bias = parameters.boolean("bias_term", True)
        return [weights, (outputs,)] if bias else [weights]
    return None


def _convolution_shapes(layer: Layer) -> List[Tuple[Optional[int], ...]]:
    parameters = layer.parameters("convolution_param")
    outputs = parameters.integer("num_output")
    group = parameters.integer("group", 1) or 1
    sizes = parameters.integers("kernel_size")
    sides = [parameters.integer("kernel_h"), parameters.integer("kernel_w")]
    kernel: List[Optional[int]] = [None, None]
    if sides != [None, None]:
        kernel = list(sides)
    elif len(sizes) == 1:
        kernel = [sizes[0], sizes[0]]
    elif len(sizes) > 1:
        kernel = list(sizes)
    if layer.type == "Deconvolution":
        weights = (None, None if outputs is None else outputs // group, *kernel)
    else:
        weights = (outputs, None, *kernel)
    bias = parameters.boolean("bias_term", True)
    return [weights, (outputs,)] if bias else [weights]


def float_blobs(blobs: Blobs) -> List[NDArray[np.float32]]:
    """Return blobs as float32 arrays."""
    return [np.asarray(blob, np.float32) for blob in blobs]
