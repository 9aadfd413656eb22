"""Writes the text format as protobuf does: two blanks per level, one field per line."""

from __future__ import annotations

from typing import List

from amct_core.textproto.tree import Message


def format_message(message: Message) -> str:
    """Return ``message`` as text; scalars keep the text they were read with."""
    lines: List[str] = []
    _append(message, "", lines)
    return "\n".join(lines) + "\n" if lines else ""


def _append(message: Message, indent: str, lines: List[str]) -> None:
    for entry in message.entries:
        if isinstance(entry.value, Message):
            lines.append(f"{indent}{entry.name} {{")
            _append(entry.value, indent + "  ", lines)
            lines.append(f"{indent}}}")
        else:
            lines.append(f"{indent}{entry.name}: {entry.value.text}")
