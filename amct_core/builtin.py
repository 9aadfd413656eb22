"""The algorithms that come with the core, registered through the same hooks as anybody's.

The numerics are imported inside the hooks: this module is loaded whenever ``amct`` starts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from amct_core.extensions import (
    ActivationAlgorithm,
    Calibrator,
    CliCommand,
    FallbackStrategy,
    Sensitivity,
    ShiftSearch,
    WeightAlgorithm,
    WeightRounding,
)
from amct_core.hookspecs import hookimpl

if TYPE_CHECKING:
    from amct_core.numerics.reduction import Reduction


@hookimpl
def amct_activation_algorithms() -> Iterable[ActivationAlgorithm]:
    """ULQ: clip bounds learned by gradient descent."""
    from amct_core.kernels import ulq as in_place
    from amct_core.numerics import affine, ulq

    return [
        ActivationAlgorithm(
            name="ulq_quantize",
            forward=ulq.forward,
            backward=ulq.backward,
            factors=affine.scale_offset,
            forward_into=in_place.forward_into,
            backward_into=in_place.backward_into,
            prepare=in_place.prepare,
        )
    ]


@hookimpl
def amct_weight_algorithms() -> Iterable[WeightAlgorithm]:
    """ARQ: the scale follows the largest magnitude."""
    from amct_core.kernels import arq as in_place
    from amct_core.numerics import arq

    return [
        WeightAlgorithm(
            name="arq_retrain",
            scales=arq.scales,
            quantize=arq.quantize,
            fake_quantize_into=in_place.fake_quantize_into,
            prepare=in_place.prepare,
        )
    ]


@hookimpl
def amct_weight_roundings() -> Iterable[WeightRounding]:
    """AdaRound: whether a weight is rounded up or down is learned."""
    from amct_core.numerics.adaround import AdaRound

    return [WeightRounding(name="adaround", start=AdaRound)]


@hookimpl
def amct_calibrators() -> Iterable[Calibrator]:
    """IFMR, which keeps all values; those that keep a histogram or less; and the choice of one."""
    from amct_core.kernels import histogram, ifmr
    from amct_core.numerics.min_max import MinMax

    def compiled(
        name: str, start: Any, prepare: Callable[[], None] = histogram.prepare
    ) -> Calibrator:
        return Calibrator(name=name, start=start, combine=start.combined, prepare=prepare)

    return [
        Calibrator(name="ifmr", calibrate=_ifmr, calibrate_shares=_ifmr, prepare=ifmr.prepare),
        compiled("hfmg", histogram.Hfmg),
        Calibrator(name="min_max", start=MinMax, combine=MinMax.combined),
        compiled("percentile", histogram.Percentile),
        compiled("mse", histogram.Mse),
        compiled("kl", histogram.Kl, histogram.prepare_kl),
        Calibrator(name="best", chooses=True),
    ]


def _ifmr(
    batches: Sequence[Any], reduction: Reduction | None = None, **parameters: Any
) -> tuple[Any, int]:
    from amct_core.kernels.ifmr import squared_errors
    from amct_core.numerics import ifmr

    return ifmr.calibrate(batches, faster_errors=squared_errors, reduction=reduction, **parameters)


@hookimpl
def amct_sensitivities() -> Iterable[Sensitivity]:
    """AMCT's: the angle between a layer's output in float and quantized."""
    from amct_core.numerics.similarity import cosine

    return [Sensitivity(name="CosineSimilarity", compare=cosine)]


@hookimpl
def amct_fallback_strategies() -> Iterable[FallbackStrategy]:
    """AMCT's: binary search over the ranking."""
    from amct_core.ptq.auto_calibration.binary_search import BinarySearch

    return [FallbackStrategy(name="BinarySearch", start=BinarySearch)]


@hookimpl
def amct_shift_searches() -> Iterable[ShiftSearch]:
    """The two searches of AMCT, and none at all."""
    from amct_core.kernels import shift_search

    searchers = {
        "search_n": shift_search.TruncatingShiftSearch,
        "search_n_v2": shift_search.FlooringShiftSearch,
    }
    return [
        ShiftSearch(name="none"),
        *(
            ShiftSearch(
                name=name,
                start=searcher,
                combine=searcher.combine,
                prepare=shift_search.prepare,
            )
            for name, searcher in searchers.items()
        ),
    ]


@hookimpl
def amct_cli_commands() -> Iterable[CliCommand]:
    """The commands that need no plugin of their own."""
    from amct_core.cli.commands import COMMANDS

    return COMMANDS
