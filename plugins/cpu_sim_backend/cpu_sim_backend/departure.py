"""How far a processor departs from the exact integers, on data."""

from __future__ import annotations

from typing import Any, Dict, Iterator, Mapping, Tuple

import attrs
import numpy as np
from numpy.typing import NDArray

from cpu_sim_backend.data.source import DataSource
from cpu_sim_backend.device.deviations import DeviceGraph
from cpu_sim_backend.progress import progress
from cpu_sim_backend.simulator import Simulator

Array = NDArray[Any]
_CHANNELS_ON_AXIS_1 = (2, 4)
"""Ranks of outputs that choose among channels: classes of a sample, or of each pixel."""


@attrs.frozen
class LayerDeparture:
    """The int8 input of one quantized layer.

    Attributes:
        name: the layer.
        how: ``int8``; ``merged``: its Quant is merged with the DeQuants before it; ``float16``: the
            processor rolls the layer back, so that there is no int8 to compare.
        differing: int8 values that are others than those of the exact integers.
        values: how many there are.
        largest: the largest difference, in steps of int8.
    """

    name: str
    how: str
    differing: int
    values: int
    largest: int


@attrs.frozen
class OutputDeparture:
    """One output of the network.

    Attributes:
        blob: its name.
        differing: numbers that differ.
        values: how many there are.
        largest: the largest difference, of finite numbers.
        largest_value: the largest magnitude of the exact numbers that are finite.
        decisions: places whose largest channel (axis 1) is another one.
        places: how many places there are; 0 for an output that does not have 2 or 4 axes, or only
            one channel.
    """

    blob: str
    differing: int
    values: int
    largest: float
    largest_value: float
    decisions: int
    places: int


@attrs.frozen
class Departure:
    """A processor's departure from the exact integers."""

    samples: int
    device: DeviceGraph
    layers: Tuple[LayerDeparture, ...]
    outputs: Tuple[OutputDeparture, ...]

    def as_json(self) -> Dict[str, Any]:
        """Return what ``--json`` prints."""
        return {
            "samples": self.samples,
            "processor": self.device.as_json(),
            "layers": [attrs.asdict(layer) for layer in self.layers],
            "outputs": [attrs.asdict(output) for output in self.outputs],
        }


def departure(exact: Simulator, device: Simulator, data: DataSource, batch_size: int) -> Departure:
    """Return how far ``device`` departs from ``exact``, each running from the network's inputs.

    Args:
        exact: the deployable model.
        device: the same with a soc version.
        data: to run on.
        batch_size: samples per batch, at most.
    """
    assert device.device is not None
    left = {layer.name for layer in device.quantized_layers}
    blobs = {layer.name: layer.quantized.name for layer in exact.quantized_layers}
    compared = {blobs[name]: _Tally() for name in blobs if name in left}
    outputs = {blob: _Tally() for blob in exact.outputs}
    wanted = [*compared, *outputs]
    batches = exact.batches(data, batch_size)
    for batch in progress(batches, batches.samples, "comparing"):
        expected, found = exact.run(batch, wanted), device.run(batch, wanted)
        for blob, tally in (*compared.items(), *outputs.items()):
            tally.add(found[blob], expected[blob])
    layers = tuple(
        _layer(name, _how(device, name) if name in left else "float16", compared.get(blob))
        for name, blob in blobs.items()
    )
    return Departure(
        batches.samples,
        device.device,
        layers,
        tuple(tally.output(blob) for blob, tally in outputs.items()),
    )


@attrs.define
class _Tally:
    differing: int = 0
    values: int = 0
    largest: float = 0.0
    largest_value: float = 0.0
    decisions: int = 0
    places: int = 0

    def add(self, found: Array, expected: Array) -> None:
        different = (found != expected) & ~(np.isnan(found) & np.isnan(expected))
        self.differing += int(np.count_nonzero(different))
        self.values += expected.size
        finite = np.isfinite(found) & np.isfinite(expected)
        values = np.where(finite, expected, 0).astype(np.float64)
        difference = np.abs(np.where(finite, found, 0) - values)
        self.largest = max(self.largest, float(difference.max(initial=0)))
        self.largest_value = max(self.largest_value, float(np.abs(values).max(initial=0)))
        if expected.ndim in _CHANNELS_ON_AXIS_1 and expected.shape[1] > 1:
            others = found.argmax(axis=1) != expected.argmax(axis=1)
            self.decisions += int(np.count_nonzero(others))
            self.places += others.size

    def output(self, blob: str) -> OutputDeparture:
        return OutputDeparture(blob, **attrs.asdict(self))


def _layer(name: str, how: str, tally: Any) -> LayerDeparture:
    own = _Tally() if how == "float16" else tally
    return LayerDeparture(name, how, own.differing, own.values, int(own.largest))


def _how(device: Simulator, name: str) -> str:
    (layer,) = (each for each in device.quantized_layers if each.name == name)
    assert device.device is not None
    merged = _layers_by_field(device.device)["merges"]
    return "merged" if layer.quant.name in merged else "int8"


def _layers_by_field(device: DeviceGraph) -> Mapping[str, Tuple[str, ...]]:
    return {deviation.field: deviation.layers for deviation in device.deviations}


def remarks(found: Departure) -> Iterator[str]:
    """Yield what stands below the tables: what is computed otherwise, and how well it is known."""
    yield from found.device.lines()
    merged = sum(layer.how == "merged" for layer in found.layers)
    if merged:
        yield f"{merged} of {len(found.layers)} quantized layers read a Quant that is merged."
