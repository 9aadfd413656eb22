"""The ranges of the values of a configuration of post-training quantization.

Ranges and wording are AMCT's; where it says nothing, the wording is ours.
"""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Collection

from amct_core.config.error_list import ErrorList
from amct_core.config.model import VERSION
from amct_core.config.ptq import PtqActivation, PtqConfig
from amct_core.config.values import Section
from amct_core.numerics import ifmr

NUMBERS_OF_BINS = (1024, 2048, 4096, 8192)


def check_whole(config: PtqConfig, section: Section) -> None:
    """Check the values that are not of one layer.

    Raises:
        ConfigError: naming the key, or each of several.
    """
    errors = ErrorList()
    with errors.collecting():
        if config.version != VERSION:
            raise section.error(
                "version", f"The version must be {VERSION}. It is {config.version}."
            )
    with errors.collecting():
        if config.batch_num <= 0:
            raise section.error(
                "batch_num", f"The batch_num must be greater than zero. It is {config.batch_num}."
            )
    errors.raise_all()


def check_activation(
    config: PtqActivation, section: Section, unreadable: Collection[str] = ()
) -> None:
    """Check the values of one ``activation_quant_params``.

    Args:
        config: the values.
        section: where they come from.
        unreadable: keys whose values are not those of the file, which could not be read.

    Raises:
        ConfigError: naming the key, or each of several.
    """
    errors = ErrorList()
    for key in ("max_percentile", "min_percentile"):
        with errors.collecting():
            _check_percentile(key, getattr(config, key), section)
    if not {"search_range", "search_step"}.intersection(unreadable):
        with errors.collecting():
            _check_search(config, section)
    with errors.collecting():
        if config.num_of_bins not in NUMBERS_OF_BINS:
            bins = ", ".join(map(str, NUMBERS_OF_BINS))
            raise section.error(
                "num_of_bins", f"it is {config.num_of_bins}; expected one of {bins}."
            )
    errors.raise_all()


def _check_percentile(key: str, value: float, section: Section) -> None:
    if not 0.5 < value <= 1.0:
        raise section.error(
            key,
            f"The {key} must be greater than 0.5 and less than or equal to 1.0. It is {value}.",
        )


def _check_search(config: PtqActivation, section: Section) -> None:
    bounds = config.search_range
    if len(bounds) != 2 or not all(map(math.isfinite, bounds)):
        raise section.error("search_range", f"it is {list(bounds)}; expected two finite numbers.")
    if bounds[0] <= 0:
        raise section.error(
            "search_range", f"The search_range[0] must be greater than zero. It is {bounds[0]}."
        )
    if bounds[0] >= bounds[1]:
        raise section.error(
            "search_range",
            f"The search_range[0] must be less than search_range[1]. It is {list(bounds)}.",
        )
    step = config.search_step
    if not (math.isfinite(step) and step > 0):
        raise section.error(
            "search_step", f"The search_step must be greater than zero. It is {step}."
        )
    # As decimal numbers, which people write: 1.3 - 0.7 is less than 0.6 in binary.
    if Decimal(str(step)) > Decimal(str(bounds[1])) - Decimal(str(bounds[0])):
        raise section.error(
            "search_step",
            "The search_step must be less than or equal to (search_range[1] - search_range[0]). "
            f"It is {step}, and search_range is {list(bounds)}.",
        )
    if ifmr.is_too_fine(bounds, step):
        raise section.error(
            "search_step",
            f"search_range {list(bounds)} holds {(bounds[1] - bounds[0]) / step:.4g} steps of "
            f"{step}; expected at most {ifmr.MOST_CANDIDATES}: each is tried on all data.",
            "Take a narrower search_range or a larger search_step.",
        )
