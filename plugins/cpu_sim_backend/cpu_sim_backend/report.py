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
        """Whether nothing differs that may not, and the arithmetic is proven exact.

        An int8 input may differ behind an inexact float layer.
        """
        inputs_agree = not self.input_int8_mismatches or bool(self.inexact_upstream)
        integers_agree = not (self.accumulator_mismatches or self.factor_mismatches)
        return inputs_agree and integers_agree and self.proven


@attrs.frozen
class OutputReport:
    """One float blob in which a simulated part of the network ends.

    That is an output of the network, or what a fed layer reads.

    Attributes:
        blob: its name.
        mismatches: values that differ when the simulation runs freely: in any bit where each float
            layer upstream equals the framework's to the last bit, else beyond 1e-6 of the blob's
            largest magnitude.
        different_values: values that differ in any bit when the simulation runs freely.  One NaN is
            as good as another, but -0 is not 0.
        beyond_tolerance: values that differ beyond 1e-6 of the blob's largest magnitude where each
            quantized layer has the int8 inputs that it has on the other side.
        inexact_upstream: float layers before it that equal the framework's only to 1e-6.
        fed_layer: the fed layer that reads it; None for an output of the network.
    """

    blob: str
    mismatches: int
    different_values: int = 0
    beyond_tolerance: int = 0
    inexact_upstream: Tuple[str, ...] = ()
    fed_layer: Optional[str] = None


@attrs.frozen
class VerifyReport:
    """The comparison as a whole.

    Attributes:
        samples: rows of the network's first input.
        layers: the quantized layers that both models have.
        outputs: the outputs of the network that the simulation computes.
        compared: says in words what was compared with what.
        missing_layers: quantized layers that one of the two saved models has and the other lacks.
        inexact_float_layers: float layers that equal the framework's only to 1e-6.
        fed_layers: layers that cannot be simulated; the framework's results were taken for theirs.
        fed_inputs: what these read, as the simulation computes it.
        mixed_files: why files of a model cannot have been saved together, one sentence each.
    """

    samples: int
    layers: Tuple[LayerReport, ...]
    outputs: Tuple[OutputReport, ...]
    compared: str = ""
    missing_layers: Tuple[str, ...] = ()
    inexact_float_layers: Tuple[str, ...] = ()
    fed_layers: Tuple[str, ...] = ()
    fed_inputs: Tuple[OutputReport, ...] = ()
    mixed_files: Tuple[str, ...] = ()

    @property
    def floats(self) -> Tuple[OutputReport, ...]:
        """All float blobs that are compared."""
        return (*self.outputs, *self.fed_inputs)

    @property
    def exact(self) -> bool:
        """Whether every compared bit is the same, those of float blobs included."""
        same = not any(blob.different_values or blob.mismatches for blob in self.floats)
        return same and self.exact_integers and all(layer.proven for layer in self.layers)

    @property
    def exact_integers(self) -> bool:
        """Whether no int8 input, no accumulator, no stored factor differs, and none is missing.

        Of files that were not saved together that is not said.
        """
        return (
            not self.missing_layers
            and not self.mixed_files
            and not any(
                layer.input_int8_mismatches
                or layer.accumulator_mismatches
                or layer.factor_mismatches
                for layer in self.layers
            )
        )

    @property
    def passed(self) -> bool:
        """Whether nothing differs that may not.

        An int8 input may differ behind float layers that are named as inexact, if each layer is
        equal on the same inputs; float blobs may differ by 1e-6 of their largest magnitude.
        """
        floats_agree = not any(blob.beyond_tolerance for blob in self.floats)
        whole = not self.missing_layers and not self.mixed_files
        return floats_agree and whole and all(each.exact for each in self.layers)

    @property
    def verdict(self) -> str:
        """What was found, in words; "exact" alone only where every compared bit is the same."""
        if not self.passed:
            return "NOT exact"
        if self.exact:
            return "exact"
        floats = "float outputs agree to 1e-6 of their largest magnitude"
        if self.exact_integers:
            return f"exact in every integer; {floats}"
        return f"exact in every integer on the same inputs; {floats}"

    @property
    def mismatches(self) -> int:
        """The number of differing integers and outputs."""
        integers = sum(
            layer.input_int8_mismatches + layer.accumulator_mismatches + layer.factor_mismatches
            for layer in self.layers
        )
        return integers + sum(blob.mismatches for blob in self.floats)

    def as_json(self) -> Dict[str, Any]:
        """Return the report as ``--json`` prints it."""
        return {
            "exact": self.exact,
            "exact_integers": self.exact_integers,
            "missing_layers": list(self.missing_layers),
            "mixed_files": list(self.mixed_files),
            "inexact_float_layers": list(self.inexact_float_layers),
            "fed_layers": list(self.fed_layers),
            "compared": self.compared,
            "samples": self.samples,
            "layers": [attrs.asdict(layer) for layer in self.layers],
            "outputs": [{"blob": e.blob, "mismatches": e.mismatches} for e in self.outputs],
            "floats": [attrs.asdict(blob) for blob in self.floats],
        }
