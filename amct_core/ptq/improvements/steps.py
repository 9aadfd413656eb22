"""In which order improvements are applied.

    fusion -> equalization -> calibration -> bias correction

Equalization changes the ranges of activations, so it comes before calibration, which finds them;
bias correction measures what the quantized network gives, so it comes last.
"""

from __future__ import annotations

from typing import Iterable

import attrs

from amct_core.graph import Graph
from amct_core.ptq.engine import Batch, Engine
from amct_core.ptq.improvements.bias_correction import bias_corrected
from amct_core.ptq.improvements.equalization import equalized
from amct_core.quantized_model import QuantizedModel


@attrs.frozen
class Improvements:
    """Which improvements are applied; none unless somebody says so.

    Attributes:
        equalize: even out the ranges of channels across layers, before calibration.
        bias_correction: correct the biases of quantized layers, after it.
    """

    equalize: bool = False
    bias_correction: bool = False

    @property
    def need_data(self) -> bool:
        """Whether :meth:`after_calibration` goes through the data."""
        return self.bias_correction

    def before_calibration(self, graph: Graph) -> Graph:
        """Return the fused network ``graph`` as it is to be calibrated.

        The frontend has to rebuild it before it is written (:attr:`Frontend.rebuilt`).
        """
        return equalized(graph) if self.equalize else graph

    def after_calibration(
        self, model: QuantizedModel, reference: Graph, batches: Iterable[Batch], engine: Engine
    ) -> QuantizedModel:
        """Return ``model`` as it is to be saved.

        Layers may have got a bias; the frontend has to rebuild the graph before it is written.

        Args:
            model: from the record of the calibration.
            reference: what :meth:`before_calibration` returned.
            batches: calibration data that can be gone through several times.
            engine: runs both.

        Raises:
            AmctError: see :func:`bias_corrected`.
        """
        if not self.need_data:
            return model
        return bias_corrected(model, reference, batches, engine)
