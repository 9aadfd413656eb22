"""Statistics of BatchNorm layers that nothing can be divided by."""

from __future__ import annotations

import logging
from typing import Iterator

import numpy as np

from amct_caffe.checks.check import Violation
from amct_caffe.model.layer_type import attributes_of
from amct_caffe.model.network import CaffeNetwork
from amct_core.extensions.frontend import NetworkViews
from amct_core.graph.attributes import BatchNorm
from amct_core.numerics.arrays import channel_list

_log = logging.getLogger("amct_caffe.checks")


def unusable_statistics(views: NetworkViews) -> Iterator[Violation]:
    """Yield each BatchNorm with a channel whose ``variance / factor + eps`` is not above 0.

    Values that are not finite are another check's.  Where the factor is 0, Caffe takes mean and
    variance as 0, whatever they are (``BatchNormLayer::Forward_cpu``): that is warned of.
    """
    network: CaffeNetwork = views.source
    for name, layers in network.document.by_name().items():
        attributes, blobs = attributes_of(layers[0]), network.weights.get(name, ())
        if not isinstance(attributes, BatchNorm) or len(blobs) != 3:
            continue
        if not all(np.isfinite(blob).all() for blob in blobs):
            continue
        variance, factor = np.asarray(blobs[1], np.float64).reshape(-1), float(blobs[2].flat[0])
        if factor == 0:
            _log.warning(
                "'%s', layer '%s': the scale factor of its statistics is 0, so Caffe takes mean "
                "and variance as 0; was this BatchNorm ever trained?",
                network.weights_file,
                name,
            )
            continue
        divided = variance / factor
        faulty = ~(divided + attributes.eps > 0)
        if faulty.any():
            yield Violation(
                "blobs[1] (variance)",
                f"the variance of {channel_list(faulty)} is {divided[faulty][0]:.9g} (stored "
                f"{variance[faulty][0]:.9g}, divided by the scale factor {factor:.9g}); with eps = "
                f"{attributes.eps:.9g} the layer would divide by the root of a number that is not "
                "above 0.",
                "Train the layer again, or take the weights file of another snapshot.",
                name,
                network.weights_file,
            )
