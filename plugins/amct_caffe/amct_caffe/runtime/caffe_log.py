"""What Caffe's log says of the end that Caffe has made of a process.

Source: the messages of BVLC Caffe (net.cpp, layer_factory.hpp, solver.cpp, sgd_solver.cpp,
util/io.cpp, util/db_lmdb.cpp, syncedmem.hpp and the data layers) and the line format of glog.
"""

from __future__ import annotations

import itertools
import re
from typing import List, Optional, Tuple

from amct_caffe.runtime.capabilities.apart import sentence_of
from amct_core.extensions.fault import Fault
from amct_core.textproto import parse
from amct_core.textproto.scalars import quoted

_FATAL = re.compile(r"^F\d{4,8} ")
_CREATING = re.compile(r"\] Creating [Ll]ayer (?P<layer>.+)$")
_CREATED = ("] Network initialization done.", "] Sharing weights", "] Solving ")
_LAYER_OPENS = "layer {"
_CLOSES = "}"
_SOURCE = re.compile(r'^    source: ".*"$')
_EXCEPTION = re.compile(r"^terminate called after throwing an instance of '(?P<kind>[^']+)'")
_WHAT = re.compile(r"^\s+what\(\):\s*(?P<what>.*)$")

_FILES = (
    re.compile(r"\] Snapshotting .*?file (?P<file>.+)$"),
    re.compile(r"[Ff]ile not found: ?(?P<file>\S+)"),
    re.compile(r"[Cc]ould not (?:open|load)(?: or find)?(?: file)?:? (?P<file>\S+)"),
    re.compile(
        r"(?:Failed to (?:open|parse)|Couldn't open) .*?(?:file|db|database):? (?P<file>\S+)"
    ),
    re.compile(r"\] (?:Opening file|Loading mean file from:) (?P<file>.+)$"),
    re.compile(r"\] Loading list of HDF5 filenames from: (?P<file>.+)$"),
)
"""What names a file: in the last sentence itself, or in a line shortly before."""

_SNAPSHOT = re.compile(r"\] Snapshotting ")
_LINES_BEFORE = 6

_FULL_DISK = "Make room there, or check the permissions of the folder."
_REMEDIES: Tuple[Tuple[str, str], ...] = (
    (
        r"bad_alloc|host allocation|out of memory|Cannot allocate|cudaMalloc",
        "There is not enough memory: use smaller batches, or end other programs.",
    ),
    (r"SerializeTo", _FULL_DISK),
    (r"[Uu]nknown layer type", "This Caffe does not have the type: amct doctor shows what it has."),
    (r"[Ll]earning rate policy", 'Set a policy that this Caffe knows, such as lr_policy: "fixed".'),
    (
        r"mdb_status|leveldb|[Nn]ot found|[Cc]ould not (open|load)|[Ff]ailed to open|No such file"
        r"|File is empty",
        "Check that the data which this layer or this file names are there and can be read.",
    ),
    (
        r"height_out|width_out|kernel|pad_|Check failed: .*\(-?\d+ vs\. -?\d+\)",
        "Compare the parameters of the layer with the shapes of its inputs.",
    ),
)
_SEE_LOG = "The log says more."


def fault(log: str) -> Optional[Fault]:
    """Return why Caffe ended the process that wrote ``log``; None if that is not told."""
    lines = log.splitlines()
    end = next((index for index, line in enumerate(lines) if _FATAL.match(line)), None)
    if end is not None:
        # The parser of prototxt says what is wrong before Caffe says that something is.
        sentence = sentence_of("\n".join(lines[max(0, end - _LINES_BEFORE) : end + 1]))
    else:
        end, sentence = _exception(lines)
        if not sentence:
            return None
    before = lines[max(0, end - _LINES_BEFORE) : end]
    in_snapshot = bool(before) and _SNAPSHOT.search(before[-1]) is not None
    layer = None if in_snapshot else _layer(lines[:end])
    return Fault(
        sentence=sentence,
        layer=layer,
        file=_file([*reversed(lines[max(0, end - _LINES_BEFORE) : end + 1])])
        or _source(lines[:end], layer),
        remedy=_FULL_DISK if in_snapshot else _remedy(sentence),
    )


def _exception(lines: List[str]) -> Tuple[int, str]:
    """Return where an exception of C++ ended the process, and what it said."""
    for index, line in enumerate(lines):
        found = _EXCEPTION.match(line)
        if found:
            what = _WHAT.match(lines[index + 1]) if index + 1 < len(lines) else None
            kind = found["kind"]
            return index, kind if what is None or what[
                "what"
            ] == kind else f"{kind}: {what['what']}"
    return len(lines), ""


def _layer(lines: List[str]) -> Optional[str]:
    """Return the layer that Caffe was making; None while it made none."""
    for line in reversed(lines):
        found = _CREATING.search(line)
        if found:
            return found["layer"]
        if any(text in line for text in _CREATED):
            return None
    return None


def _source(lines: List[str], layer: Optional[str]) -> Optional[str]:
    """Return the data that a layer reads, by the net that Caffe has logged last.

    An LMDB that cannot be opened is not named otherwise.
    """
    if layer is None:
        return None
    named = f"  name: {quoted(layer.encode())}"
    begins = [index for index, line in enumerate(lines) if line == _LAYER_OPENS]
    for begin in reversed(begins):
        block = list(itertools.takewhile(lambda line: line != _CLOSES, lines[begin:]))
        if named in block:
            named_source = next(filter(_SOURCE.match, block), None)
            return None if named_source is None else parse(named_source).string("source")
    return None


def _file(lines: List[str]) -> Optional[str]:
    for line in lines:
        for pattern in _FILES:
            found = pattern.search(line)
            if found:
                return found["file"].strip("\"'.,")
    return None


def _remedy(sentence: str) -> str:
    return next((text for pattern, text in _REMEDIES if re.search(pattern, sentence)), _SEE_LOG)
