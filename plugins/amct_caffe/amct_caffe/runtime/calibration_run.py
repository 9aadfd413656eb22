"""Runs a model that is calibrated: its layers complete the record."""

from __future__ import annotations

from typing import Any, Dict, Iterable, Iterator, Mapping, Optional, Tuple

import numpy as np
from numpy.typing import NDArray

from amct_caffe.runtime.pycaffe import TEST, caffe
from amct_core.errors import ConfigError
from amct_core.progress import progress
from amct_core.supervision.watch import current

Batch = Mapping[str, NDArray[np.float32]]


def run(
    model_file: str, weights_file: str, count: int, batches: Optional[Iterable[Batch]] = None
) -> Dict[str, Tuple[int, ...]]:
    """Run ``count`` forwards in one net.

    Args:
        model_file, weights_file: the model.
        count: how many.
        batches: arrays by input blob; None: the network's own data layers give
            them, and it has no other inputs.

    Returns:
        The shapes of its blobs in the last forward.

    Raises:
        ConfigError: there are fewer batches, or none for an input.
    """
    net = caffe.Net(model_file, TEST, weights=weights_file)
    if batches is None:
        _require_own_data(net)
    given: Optional[Iterator[Batch]] = None if batches is None else iter(batches)
    watch = current()
    watch.tell(last=count)
    for seen in progress(range(count), count, "calibrating"):
        watch.iteration(seen)
        if given is not None:
            _feed(net, _next(given, seen, count))
        net.forward()
    return {name: tuple(blob.data.shape) for name, blob in net.blobs.items()}


def _require_own_data(net: Any) -> None:
    """Raise if inputs would be fed by nobody: Caffe runs such a net on zeros."""
    if net.inputs:
        raise ConfigError(
            f"there are no data for {', '.join(net.inputs)}; no data layer brings them in.",
            field="data",
            remedy="Give one array per input, called like it.",
        )


def _next(batches: Iterator[Batch], seen: int, count: int) -> Batch:
    for batch in batches:
        return batch
    raise ConfigError(
        f"there are {seen} batches of data; batch_num is {count}.",
        field="batch_num",
        remedy="Give more samples, smaller batches, or a smaller batch_num.",
    )


def _feed(net: Any, batch: Batch) -> None:
    for name in net.inputs:
        if name not in batch:
            raise ConfigError(
                f"the data have the arrays {', '.join(batch)}; the network's inputs are "
                f"{', '.join(net.inputs)}.",
                remedy="Write one array per input, called like it.",
            )
        net.blobs[name].reshape(*batch[name].shape)
        net.blobs[name].data[...] = batch[name]
    net.reshape()
