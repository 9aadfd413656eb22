"""Weights that are not numbers."""

from __future__ import annotations

from typing import Any, Iterator, Optional

import numpy as np
from numpy.typing import NDArray

from amct_caffe.checks.check import Violation
from amct_caffe.model.formats.prototxt.layer import Layer
from amct_caffe.model.layer_type import attributes_of, layer_type
from amct_caffe.model.network import CaffeNetwork
from amct_core.extensions.frontend import NetworkViews
from amct_core.graph.attributes import BatchNorm, Scale

_REMEDY = (
    "The training that made this file has diverged, or the file is damaged: take an earlier "
    "snapshot, or train again with a lower base_lr."
)


def values_that_are_not_finite(views: NetworkViews) -> Iterator[Violation]:
    """Yield each blob with NaN or infinity in it: file, layer, blob and channel."""
    network: CaffeNetwork = views.source
    for name, layers in network.document.by_name().items():
        for index, blob in enumerate(network.weights.get(name, ())):
            problem = _problem(blob, _channel_axis(layers[0], index))
            if problem is not None:
                yield Violation(
                    blob_name(layers[0], index), problem, _REMEDY, name, network.weights_file
                )


def _problem(blob: NDArray[Any], channel_axis: int) -> Optional[str]:
    if blob.dtype.kind != "f":
        return None
    finite = np.isfinite(blob)
    if finite.all():
        return None
    faulty = np.argwhere(~finite)
    first = tuple(faulty[0])
    what = "NaN" if np.isnan(blob[first]) else "infinite"
    # A blob of one number has no channels.
    where = f", the first in channel {first[channel_axis]}" if blob.size > 1 else ""
    return (
        f"{len(faulty)} of {blob.size} values are NaN or infinite{where} ({what}); expected finite "
        "numbers."
    )


def _channel_axis(layer: Layer, index: int) -> int:
    axes = layer_type(layer).weights
    return axes.output if axes is not None and index == 0 else 0


def blob_name(layer: Layer, index: int) -> str:
    """Return what a blob of a layer is called in messages, such as ``blobs[1] (bias)``."""
    names = _blob_names(layer)
    return f"blobs[{index}] ({names[index]})" if index < len(names) else f"blobs[{index}]"


def _blob_names(layer: Layer) -> tuple[str, ...]:
    attributes = attributes_of(layer)
    if isinstance(attributes, BatchNorm):
        return "mean", "variance", "scale factor"
    if isinstance(attributes, Scale):
        return "gamma", "beta"
    return ("weights", "bias") if layer_type(layer).weights is not None else ()
