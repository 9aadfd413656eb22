"""In which order improvements are applied.

    fusion -> equalization -> calibration -> rounding of weights -> bias correction

Equalization changes the ranges of activations, so it comes before calibration, which finds them;
the rounding of weights is learned on what quantized activations are; bias correction measures what
the quantized network gives, so it comes last.
"""

from __future__ import annotations

from typing import Iterable, Optional

import attrs

from amct_core.extensions import WeightRounding
from amct_core.graph import Graph
from amct_core.ptq.engine import Batch, Engine
from amct_core.ptq.improvements.bias_correction import bias_corrected
from amct_core.ptq.improvements.equalization import equalized
from amct_core.ptq.improvements.weight_rounding import with_rounding
from amct_core.quantized_model import QuantizedModel


@attrs.frozen
class Improvements:
    """Which improvements are applied; none unless somebody says so.

    Attributes:
        equalize: even out the ranges of channels across layers, before calibration.
        bias_correction: correct the biases of quantized layers, after it.
        weight_rounding: how the weights of quantized layers are rounded, after it; None: to the
            nearest integer.
    """

    equalize: bool = False
    bias_correction: bool = False
    weight_rounding: Optional[WeightRounding] = None

    @property
    def need_data(self) -> bool:
        """Whether :meth:`after_calibration` goes through the data."""
        return self.bias_correction or self.weight_rounding is not None

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
            AmctError: see :func:`with_rounding` and :func:`bias_corrected`.
        """
        if self.weight_rounding is not None:
            model = with_rounding(model, batches, engine, self.weight_rounding)
        if self.bias_correction:
            model = bias_corrected(model, reference, batches, engine)
        return model
