"""Data sets that are read batch by batch, in memory that does not grow with them."""

from __future__ import annotations

from cpu_sim_backend.data.batches import Batches, batches
from cpu_sim_backend.data.data_layers import DataLayerSource
from cpu_sim_backend.data.image_folder import ImageFolderSource
from cpu_sim_backend.data.npz import NpzSource, NpzWriter
from cpu_sim_backend.data.preprocessing import Preprocessing
from cpu_sim_backend.data.source import Array, ArraySource, Batch, DataSource

__all__ = [
    "Array",
    "ArraySource",
    "Batch",
    "Batches",
    "DataLayerSource",
    "DataSource",
    "ImageFolderSource",
    "NpzSource",
    "NpzWriter",
    "Preprocessing",
    "batches",
]
