"""The data of a calibration, in the batches that it takes."""

from __future__ import annotations

import itertools
from typing import Callable, Dict, Iterator, Mapping, Optional, Tuple

import attrs
import numpy as np

from amct_core.errors import ConfigError, ModelError
from amct_core.extensions.frontend import ImageTransform
from amct_core.graph import Graph
from amct_core.graph.input_data import ArrayKind, check_input_data, kind_of
from amct_core.ptq.workflow import PtqNetwork
from cpu_sim_backend.data import preprocessing as preprocessings
from cpu_sim_backend.data.batches import Batches, batches
from cpu_sim_backend.data.choice import DataOptions
from cpu_sim_backend.data.image_folder import ImageFolderSource
from cpu_sim_backend.data.npz import NpzSource
from cpu_sim_backend.data.source import Array, Batch, DataSource
from cpu_sim_backend.ptq.inputs import inputs_of


@attrs.frozen(eq=False)
class CalibrationData:
    """Batches of float32 arrays by input blob; may be iterated any number of times.

    Attributes:
        batches: of the source.
        count: how many of them there are; what the source has beyond is ignored.
        check: raises an AmctError where the network cannot take a batch.
    """

    batches: Batches
    count: int
    check: Callable[[Batch], None] = attrs.field(default=lambda batch: None)

    def __iter__(self) -> Iterator[Dict[str, Array]]:
        for batch in itertools.islice(self.batches, self.count):
            self.check(batch)
            yield _in_float32(batch)

    @property
    def shapes(self) -> Dict[str, Tuple[int, ...]]:
        """The shapes of the first batch."""
        return {name: array.shape for name, array in next(iter(self)).items()}


def _in_float32(batch: Batch) -> Dict[str, Array]:
    return {name: np.asarray(array, np.float32) for name, array in batch.items()}


def calibration_data(
    network: PtqNetwork,
    options: DataOptions,
    batch_size: Optional[int],
    in_framework: bool = False,
) -> CalibrationData:
    """Return the data of a calibration: at most ``batch_num`` batches.

    Args:
        network: what is calibrated.
        options: a file or a folder; not the network's own data layers.
        batch_size: samples of one batch; None: all samples, divided by ``batch_num``.
        in_framework: whether the framework takes them, too.

    Raises:
        ConfigError: there are not enough samples, or the network cannot take the arrays; the first
            batch is looked at here, others when they are due.
        AmctError: a file or folder cannot be used; the message names it.
    """
    inputs = inputs_of(network)
    shapes = inputs.shapes
    source = _source(options, tuple(shapes))
    if in_framework:
        inputs.check_framework(source.lengths, options.data)
    else:
        inputs.check_given(source.lengths, options.data)
    count = network.config.batch_num
    lengths = {name: source.lengths[name] for name in shapes if name in source.lengths}
    size = batch_size or 1
    if lengths and len(set(lengths.values())) == 1:
        size = _batch_size(next(iter(lengths.values())), batch_size, count, str(options.data))
    divisible = not any(node.type.needs_whole_batch for node in network.graph.nodes)
    data = CalibrationData(
        batches(source, shapes, size, divisible), count, _Check(network.graph, shapes, options.data)
    )
    data.check(next(iter(data.batches)))
    return data


@attrs.define(eq=False)
class _Check:
    """Checks a batch where arrays are of another kind than those of the batch before."""

    _graph: Graph
    _declared: Mapping[str, Tuple[int, ...]]
    _file: Optional[str]
    _checked: Dict[str, ArrayKind] = attrs.field(factory=dict, init=False)

    def __call__(self, batch: Batch) -> None:
        kinds = {name: kind_of(array) for name, array in batch.items()}
        if kinds != self._checked:
            check_input_data(self._graph, self._declared, kinds, file=self._file)
            self._checked = kinds


def _source(options: DataOptions, inputs: Tuple[str, ...]) -> DataSource:
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
