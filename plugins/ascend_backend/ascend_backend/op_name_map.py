"""The file of ATC's option ``--op_name_map``: layer types that stand for others.

1. A line ``DetectionOutput:SSDDetectionOutput`` makes ATC take every layer of the first type for
   one of the second.  Only the type changes: bottoms, tops and parameters stay what they are.
2. The first colon divides; blanks around both names do not count; of two lines for one type the
   last holds.  Empty lines and lines that begin with ``#`` are ignored.  A line of blanks is not
   empty: ATC looks for a colon in it.  In a file with CRLF every empty line is such a one.
3. ATC stops with E10003 or E19999 if a line has no colon or lacks a name, if no line names a type,
   and if the network has no layer of a type that is named second.  A byte order mark becomes part
   of the first type, so that its line does nothing.
4. Of the last it asks by the operator's name, so it also refuses a type whose operator is called
   otherwise (ReLU is LeakyRelu).  That is not checked here.

Source: hicann/ge docs/zh/user_guides/atc_tools/CLI_options/--op_name_map.md;
base/common/context/properties_manager.cc (ParseLine, TrimStr); api/atc/omg.cc (CheckOpNameMap);
parser/parser/caffe/caffe_parser.cc (AddNode).
"""

from __future__ import annotations

from pathlib import Path
from typing import Collection, Dict

import attrs

from amct_core.errors import AmctError, ConfigError

OPTION = "--op-name-map"

_BLANKS = " \t\r"
_MARK = "\ufeff"
_REMEDY = "Write a line such as 'DetectionOutput:SSDDetectionOutput'."


@attrs.frozen
class OpNameMap:
    """Which layer type stands for which other one.

    Attributes:
        types: the type that ATC takes, by the type in the prototxt.
        file: where it was read from.
    """

    types: Dict[str, str]
    file: str

    @classmethod
    def read(cls, file: str) -> OpNameMap:
        """Read the file.

        Raises:
            AmctError: it cannot be read, a line is none, or there is no line.
        """
        types: Dict[str, str] = {}
        text = _read_unchanged(file)
        if text.startswith(_MARK):
            raise ConfigError(
                "it begins with a byte order mark, which ATC takes for a part of the first type.",
                file=file,
                field=OPTION,
                remedy="Save it as UTF-8 without a byte order mark.",
            )
        for number, written in enumerate(text.split("\n"), 1):
            line = written.strip(_BLANKS)
            if not written or line.startswith("#"):
                continue
            if not line:
                raise ConfigError(
                    f"line {number}: found only blanks ({written!r}); ATC stops, for want of ':'.",
                    file=file,
                    field=OPTION,
                    remedy="Take the line out; with CRLF line ends that goes for empty lines, too.",
                )
            found, _, taken = (part.strip(_BLANKS) for part in line.partition(":"))
            if not found or not taken:
                raise ConfigError(
                    f"line {number}: found {line!r}; expected two layer types with ':' between.",
                    file=file,
                    field=OPTION,
                    remedy=_REMEDY,
                )
            types[found] = taken
        if not types:
            raise ConfigError(
                "it names no type; expected one at least.",
                file=file,
                field=OPTION,
                remedy=f"{_REMEDY} Or leave the option out.",
            )
        return cls(types, file)

    def check_used(self, types: Collection[str]) -> None:
        """Refuse a map of which a type is in no layer.

        Args:
            types: of the network's layers, as ATC takes them.

        Raises:
            ConfigError: ATC would stop because of it.
        """
        unused = [taken for taken in self.types.values() if taken not in types]
        if unused:
            raise ConfigError(
                f"ATC takes no layer of this network for {', '.join(unused)}; it stops if a type "
                "that the file names second is in no layer.",
                file=self.file,
                field=OPTION,
                remedy="Take the line out, or correct the types: they are case-sensitive.",
            )


def _read_unchanged(file: str) -> str:
    """Return the file's text with its line ends as they are: ATC sees a carriage return, too."""
    try:
        return Path(file).read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise AmctError(f"cannot be read: {error}.", file=file, remedy="Check the path.") from error
