"""All probes."""

from __future__ import annotations

from typing import Mapping

from amct_caffe.runtime.capabilities import (
    backward,
    batch_norm,
    data_layers,
    layer_types,
    pooling,
    processes,
    snapshots,
)
from amct_caffe.runtime.capabilities.probe import Probe

_ALL = (
    layer_types.LAYER_TYPES,
    layer_types.PYTHON_LAYERS,
    batch_norm.TRAINED,
    batch_norm.NAMES_KEPT,
    batch_norm.RATES_MASKED,
    data_layers.IMAGE_DATA,
    data_layers.LMDB,
    data_layers.LEVELDB,
    data_layers.HDF5_DATA,
    snapshots.HDF5_SNAPSHOTS,
    processes.SEVERAL_PROCESSES,
    backward.WITHOUT_BACKWARD,
    pooling.ROUNDS_DOWN,
)

PROBES: Mapping[str, Probe] = {probe.name: probe for probe in _ALL}
"""By name, in the order of the report."""
