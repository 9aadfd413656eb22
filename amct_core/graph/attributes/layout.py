"""Layers that move values and compute nothing."""

from __future__ import annotations

from typing import Tuple

import attrs

from amct_core.graph.attributes.base import Attributes


@attrs.frozen
class Concat(Attributes):
    """Concatenation along ``axis``."""

    axis: int = 1


@attrs.frozen
class Slice(Attributes):
    """Split along ``axis`` at ``points`` (empty: equal parts)."""

    axis: int = 1
    points: Tuple[int, ...] = ()


@attrs.frozen
class Flatten(Attributes):
    """Axes ``axis`` to ``end_axis`` (inclusive) become one."""

    axis: int = 1
    end_axis: int = -1


@attrs.frozen
class Reshape(Attributes):
    """New shape ``dims`` for axes ``axis`` .. ``axis + num_axes``; 0 copies, -1 is inferred."""

    dims: Tuple[int, ...]
    axis: int = 0
    num_axes: int = -1


@attrs.frozen
class Permute(Attributes):
    """Axes reordered: output axis ``i`` is input axis ``order[i]``.

    The axes that ``order`` leaves out follow in their own order.
    """

    order: Tuple[int, ...] = ()


@attrs.frozen
class Crop(Attributes):
    """The first input cut to the second one's size, from ``axis`` on.

    ``offsets``: where the cut begins, one for each axis from ``axis`` on or one for all of them;
    empty means 0.
    """

    axis: int = 2
    offsets: Tuple[int, ...] = ()


@attrs.frozen
class Tile(Attributes):
    """``tiles`` copies of the input, one after the other along ``axis``."""

    tiles: int
    axis: int = 1
