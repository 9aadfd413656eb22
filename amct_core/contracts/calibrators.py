"""The contract of :class:`~amct_core.extensions.Calibrator`."""

from __future__ import annotations

from typing import Any, Tuple

import attrs
import numpy as np

from amct_core.contracts.usage import Usage
from amct_core.contracts.values import check_factors


@attrs.define(eq=False)
class CheckedRun:
    """The calibration of one blob, with its results checked.

    Attributes:
        run: what a calibrator has started; ``observe`` and ``result`` as there.
        usage: the calibrator, and the layers that read the blob.
        function: what the result is made by, for messages.
        with_offset: whether the grid may have an offset other than 0.
    """

    run: Any
    usage: Usage
    function: str = "result"
    with_offset: bool = True

    def observe(self, batch: Any) -> None:
        """Take in one batch.

        Raises:
            PluginError: the calibrator fails.
            QuantizationError: the batch holds NaN or infinity.
        """
        with self.usage.running("observe"):
            self.run.observe(batch)

    def result(self) -> Tuple[np.float32, int]:
        """Return ``(scale_d, offset_d)`` for what was observed so far.

        Raises:
            PluginError: the calibrator fails, or gives no such pair.
            QuantizationError: nothing was observed, or no scale fits.
        """
        with self.usage.running(self.function):
            result = self.run.result()
        return check_factors(self.usage, self.function, result, self.with_offset)
