"""The data of a calibration, in the batches that it takes."""

from __future__ import annotations

import itertools
from typing import Dict, Iterator, Optional, Tuple

import attrs
import numpy as np

from amct_core.errors import ConfigError, ModelError
from amct_core.extensions.frontend import ImageTransform
from amct_core.plugins import registries
from amct_core.ptq.workflow import PtqNetwork
from amct_core.workflow import frontend_for
from cpu_sim_backend.data import preprocessing as preprocessings
from cpu_sim_backend.data.batches import Batches, batches
from cpu_sim_backend.data.choice import DataOptions
from cpu_sim_backend.data.image_folder import ImageFolderSource
from cpu_sim_backend.data.npz import NpzSource
from cpu_sim_backend.data.source import Array, Batch, DataSource


@attrs.frozen(eq=False)
class CalibrationData:
    """Batches of float32 arrays by input blob; may be iterated any number of times.

    Attributes:
        batches: of the source.
        count: how many of them there are; what the source has beyond is ignored.
    """

    batches: Batches
    count: int

    def __iter__(self) -> Iterator[Dict[str, Array]]:
        for batch in itertools.islice(self.batches, self.count):
            yield _in_float32(batch)


def _in_float32(batch: Batch) -> Dict[str, Array]:
    return {name: np.asarray(array, np.float32) for name, array in batch.items()}


def calibration_data(
    network: PtqNetwork, options: DataOptions, batch_size: Optional[int]
) -> CalibrationData:
    """Return the data of a calibration: at most ``batch_num`` batches.

    Args:
        network: what is calibrated.
        options: a file or a folder; not the network's own data layers.
        batch_size: samples of one batch; None: all samples, divided by ``batch_num``.

    Raises:
        ConfigError: there are not enough samples.
        AmctError: a file or folder cannot be used; the message names it.
    """
    frontend = frontend_for(network.model_file, registries())
    shapes = {k: tuple(v) for k, v in frontend.input_shapes(network.graph).items()}
    source = _source(network, options, tuple(shapes))
    count = network.config.batch_num
    lengths = {name: source.lengths[name] for name in shapes if name in source.lengths}
    size = batch_size or 1
    if lengths and len(set(lengths.values())) == 1:
        size = _batch_size(next(iter(lengths.values())), batch_size, count, str(options.data))
    divisible = not any(node.type.needs_whole_batch for node in network.graph.nodes)
    return CalibrationData(batches(source, shapes, size, divisible), count)


def _source(network: PtqNetwork, options: DataOptions, inputs: Tuple[str, ...]) -> DataSource:
    assert options.data is not None
    if not options.is_folder:
        return NpzSource(options.data)
    assert options.preprocess is not None
    preprocessing = preprocessings.read(options.preprocess, _no_transform)
    blob = preprocessing.input
    if blob is None and len(inputs) == 1:
        (blob,) = inputs
    if blob not in inputs:
        found = "it is missing" if blob is None else f"it is '{blob}'"
        raise ConfigError(
            f"{found}; the network's inputs: {', '.join(inputs)}.",
            file=options.preprocess,
            field="input",
            remedy="Name one of them.",
        )
    return ImageFolderSource(options.data, preprocessing, blob)


def _no_transform(blob: Optional[str]) -> ImageTransform:
    raise ModelError(
        "a calibration does not take the preprocessing from the network's data layer.",
        field="transform",
        remedy="Declare crop, mean and scale themselves, or leave --data out.",
    )


def _batch_size(samples: int, wanted: Optional[int], count: int, file: str) -> int:
    size = wanted or samples // count
    if size < 1 or size * count > samples:
        raise ConfigError(
            f"it has {samples} samples; {count} batches (batch_num) of {size or 1} need "
            f"{count * (size or 1)}.",
            file=file,
            remedy="Give more samples, a smaller --batch-size, or a smaller batch_num.",
        )
    return size
