"""The network as a list from input to output, with its branches as lines to the left.

Every layer has a line of text, so that its name can be read, and lanes beside it carry the blobs
that later layers read, like the branches of a version history.  A chain of layers that are not
quantized folds into the line of the layer that it follows.
"""

from __future__ import annotations

from typing import Collection, Dict, List, Optional, Sequence, Tuple

import attrs

from cpu_sim_backend.analysis.model import GraphNode

LANE = 14
"""The width of a lane in CSS pixels."""

ROW = 24
"""The height of a row in the units of its drawing; it is stretched to the height of its text."""

MOST_LANES = 8

ALIGNED_LANES = 3
"""The text of rows with no more lanes than these is aligned; with more, it begins further right."""


@attrs.define
class _Row:
    """A row while the lanes are dealt out.

    Attributes:
        nodes: the layer, and the chain behind it.
        sources: indices of the rows that it reads.
        unknown: names of what it reads that stands nowhere above.
        readers: how many rows read it and have not come yet.
    """

    nodes: List[GraphNode]
    sources: List[int] = attrs.field(factory=list)
    unknown: List[str] = attrs.field(factory=list)
    readers: int = 0


@attrs.frozen
class NetworkRow:
    """A line of the drawing.

    Attributes:
        node: the layer.
        chain: the layers behind it that have no line of their own.
        at: horizontal place of its mark, in CSS pixels.
        lines: the lanes as the path of an SVG, ``width`` wide and ROW high.
        width: of the lanes.
        reads: what it reads that no lane shows.
    """

    node: GraphNode
    chain: Tuple[GraphNode, ...]
    at: int
    lines: str
    width: int
    reads: Tuple[str, ...]


def draw(graph: Sequence[GraphNode], own_line: Collection[str]) -> Tuple[NetworkRow, ...]:
    """Return the rows of a network.

    Args:
        graph: its layers, each behind those that it reads.
        own_line: names of layers that are never folded into another line.
    """
    rows = _rows(graph, set(own_line))
    lanes: List[Optional[int]] = []
    drawn = [_place(rows, index, lanes) for index in range(len(rows))]
    widest = max((used for _, _, _, used, _ in drawn), default=1)
    aligned = min(widest, ALIGNED_LANES)
    return tuple(
        NetworkRow(row.nodes[0], tuple(row.nodes[1:]), at, lines, LANE * max(used, aligned), reads)
        for row, at, lines, used, reads in drawn
    )


def _rows(graph: Sequence[GraphNode], own_line: Collection[str]) -> List[_Row]:
    readers = _readers(graph)
    row_of: Dict[str, int] = {}
    rows: List[_Row] = []
    for node in graph:
        known = sorted({row_of[name] for name in node.inputs if name in row_of})
        if (
            not node.quantized
            and node.name not in own_line
            and len(node.inputs) == 1
            and known == [len(rows) - 1]
            and rows[-1].nodes[-1].name == node.inputs[0]
            and readers.get(node.inputs[0]) == 1
        ):
            rows[-1].nodes.append(node)
        else:
            unknown = [name for name in node.inputs if name not in row_of]
            rows.append(_Row([node], known, unknown))
        row_of[node.name] = len(rows) - 1
    for row in rows:
        for source in row.sources:
            rows[source].readers += 1
    return rows


def _readers(graph: Sequence[GraphNode]) -> Dict[str, int]:
    """Return how many layers read each layer."""
    readers: Dict[str, int] = {}
    for node in graph:
        for name in set(node.inputs):
            readers[name] = readers.get(name, 0) + 1
    return readers


def _place(
    rows: List[_Row], index: int, lanes: List[Optional[int]]
) -> Tuple[_Row, int, str, int, Tuple[str, ...]]:
    """Deal a lane to a row.

    Returns the row, the place of its mark, its lines, how many lanes these need and what they miss.
    ``lanes`` holds the row that each lane carries above this one, and is brought to below it.
    """
    row = rows[index]
    above = list(lanes)
    for source in row.sources:
        rows[source].readers -= 1
    for lane, carried in enumerate(above):
        if carried is not None and not rows[carried].readers:
            lanes[lane] = None
    lane = _free_lane(above, lanes, row)
    if row.readers and lane < MOST_LANES:
        lanes[lane] = index
    path = []
    for number, carried in enumerate(above):
        if carried is None:
            continue
        if carried in row.sources:
            path.append(_joining(number, lane))
        if lanes[number] == carried:
            path.append(f"M{_centre(number)} 0V{ROW}")
    if row.readers and lane < MOST_LANES:
        path.append(f"M{_centre(lane)} {ROW // 2}V{ROW}")
    missed = [rows[source].nodes[-1].name for source in row.sources if source not in above]
    used = max([lane, *(number for number, carried in enumerate(above) if carried is not None)]) + 1
    return row, _centre(lane), "".join(path), used, tuple(missed + row.unknown)


def _free_lane(above: List[Optional[int]], lanes: List[Optional[int]], row: _Row) -> int:
    """Return the lane of a source that nobody else reads, else the first free one.

    MOST_LANES, where no line can start, if all are taken.
    """
    own = [n for n, source in enumerate(above) if source in row.sources and lanes[n] is None]
    free = own or [number for number, source in enumerate(lanes) if source is None]
    if free:
        return free[0]
    if len(lanes) < MOST_LANES:
        lanes.append(None)
        return len(lanes) - 1
    return MOST_LANES


def _joining(lane: int, other: int) -> str:
    """Return the line from the top of a lane to the mark of the row."""
    start, end, middle = _centre(lane), _centre(other), ROW // 2
    if start == end:
        return f"M{start} 0V{middle}"
    return f"M{start} 0C{start} {middle} {start} {middle} {end} {middle}"


def _centre(lane: int) -> int:
    return lane * LANE + LANE // 2
