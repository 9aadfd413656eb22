"""The scale-offset record: the factors of every quantized layer, as AMCT's text file."""

from __future__ import annotations

from amct_core.record.checks import check_layers
from amct_core.record.files import format_record as format
from amct_core.record.files import read, update, write
from amct_core.record.model import LayerRecord, Record

__all__ = ["LayerRecord", "Record", "check_layers", "format", "read", "update", "write"]
