"""What an activation algorithm keeps in the snapshot beside its clip bounds: further blobs.

They follow the three blobs of the bounds, in the order of
:attr:`amct_core.extensions.ActivationAlgorithm.blobs`.
"""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from amct_core.errors import TrainingError
from amct_core.extensions import ActivationAlgorithm

Values = Mapping[str, NDArray[np.float32]]
"""Learned parameters and state by name, read-only."""


def first_blobs(algorithm: ActivationAlgorithm) -> List[NDArray[np.float32]]:
    """Return the blobs that training starts with."""
    return [np.full(blob.shape, blob.initial, np.float32) for blob in algorithm.blobs]


def values_of(algorithm: ActivationAlgorithm, arrays: Sequence[Any], layer: str) -> Values:
    """Return the values that blobs hold, as the algorithm's functions are given them.

    Args:
        algorithm: says the names and shapes.
        arrays: float32, one per blob of the algorithm; they are not copied.
        layer: the layers that are quantized with them, for messages.

    Raises:
        TrainingError: a value is NaN or infinite.
    """
    found: Dict[str, NDArray[np.float32]] = {}
    for blob, array in zip(algorithm.blobs, arrays):
        view = array.reshape(blob.shape)
        if not np.isfinite(view).all():
            raise TrainingError(
                f"'{blob.name}' of activation algorithm '{algorithm.name}' holds "
                f"{view[~np.isfinite(view)].flat[0]}; expected finite numbers.",
                layer=layer,
                remedy="Training has diverged: lower its learning rate or clip_lr_mult.",
            )
        view.flags.writeable = False
        found[blob.name] = view
    return found
