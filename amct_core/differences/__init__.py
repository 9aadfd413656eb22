"""What two configurations, or two records, say differently."""

from __future__ import annotations

from amct_core.differences.compare import Comparison, Difference, compare
from amct_core.differences.flat import RECORD_KIND, Flat, flat_ptq, flat_qat, flat_record
from amct_core.differences.reading import read_flat

__all__ = [
    "RECORD_KIND",
    "Comparison",
    "Difference",
    "Flat",
    "compare",
    "flat_ptq",
    "flat_qat",
    "flat_record",
    "read_flat",
]
