"""What ``amct verify`` found."""

from __future__ import annotations

from typing import Any, Dict, Optional, Tuple

import attrs

from amct_core.numerics.exactness import EXACT_LIMIT


@attrs.frozen
class LayerReport:
    """One quantized layer.

    Attributes:
        name: the layer.
        input_int8_mismatches: int8 inputs that differ when the simulation runs freely.
        accumulator_mismatches: int32 accumulators (bias included) that differ on the same inputs.
        max_abs_partial_sum_bound: no partial sum can be larger in magnitude; below 2**24 float32
            arithmetic on integers is exact.  From the weights alone where that suffices, else from
            the data.
        int16_saturated: accumulators that the shift by N clamped to int16.
        first_difference: None, or where the first difference is and what the two values are:
            ``simulated``, and ``framework`` for whatever the simulation is compared with.
        inexact_upstream: float layers before this one that equal the framework's only to 1e-6, so
            that an int8 input may differ.
        factor_mismatches: stored factors (scale and offset of its Quant; deq_scale, N and bias of
            its DeQuant) that differ between the two models.
        max_abs_accumulator: the largest magnitude of an accumulator on these data, bias included.
        in_float32: whether one side sums in float32, so that exactness depends on the bound.
    """

    name: str
    input_int8_mismatches: int
    accumulator_mismatches: int
    max_abs_partial_sum_bound: int
    int16_saturated: int
    first_difference: Optional[Dict[str, Any]]
    inexact_upstream: Tuple[str, ...] = ()
    factor_mismatches: int = 0
    max_abs_accumulator: int = 0
    in_float32: bool = True

    @property
    def proven(self) -> bool:
        """Whether the arithmetic of both sides is proven exact for this layer."""
        return not self.in_float32 or self.max_abs_partial_sum_bound < EXACT_LIMIT

    @property
    def exact(self) -> bool:
        """Whether nothing differs that may not, and the arithmetic is proven exact."""
        inputs_agree = not self.input_int8_mismatches or bool(self.inexact_upstream)
        integers_agree = not (self.accumulator_mismatches or self.factor_mismatches)
        return inputs_agree and integers_agree and self.proven


@attrs.frozen
class OutputReport:
    """One network output and how many of its values differ."""

    blob: str
    mismatches: int


@attrs.frozen
class VerifyReport:
    """The comparison as a whole; ``compared`` says in words what with what."""

    samples: int
    layers: Tuple[LayerReport, ...]
    outputs: Tuple[OutputReport, ...]
    compared: str = ""

    @property
    def exact(self) -> bool:
        """Whether nothing differs that may not.

        Where an int8 value differs behind an inexact float layer, so may the outputs.
        """
        excused = any(layer.input_int8_mismatches for layer in self.layers)
        outputs_agree = excused or not any(output.mismatches for output in self.outputs)
        return outputs_agree and all(layer.exact for layer in self.layers)

    @property
    def mismatches(self) -> int:
        """The number of differing integers and outputs."""
        integers = sum(
            layer.input_int8_mismatches + layer.accumulator_mismatches + layer.factor_mismatches
            for layer in self.layers
        )
        return integers + sum(output.mismatches for output in self.outputs)

    def as_json(self) -> Dict[str, Any]:
        """Return the report as ``--json`` prints it."""
        return {
            "exact": self.exact,
            "compared": self.compared,
            "samples": self.samples,
            "layers": [attrs.asdict(layer) for layer in self.layers],
            "outputs": [attrs.asdict(output) for output in self.outputs],
        }
