"""Protobuf's text format as an ordered tree that keeps what it does not know.

Protobuf's own parser drops unknown fields, and a network that went through it would lose the layers
of other people's Caffe forks.  Prototxt, solver, record and simplified config files are read here.
"""

from __future__ import annotations

from amct_core.textproto.reader import parse
from amct_core.textproto.scalars import Scalar
from amct_core.textproto.tree import Field, Identifier, Message
from amct_core.textproto.writer import format_message

__all__ = ["Field", "Identifier", "Message", "Scalar", "format_message", "parse"]
