"""Where things are drawn."""

from __future__ import annotations

import math
import re
from typing import List, Sequence, Tuple

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cpu_sim_backend.analysis.model import (
    ActivationReport,
    GraphNode,
    Histogram,
    IntegerReport,
    LearnedBounds,
    SensitivityReport,
    WeightReport,
)
from cpu_sim_backend.report_page.drawing import (
    bounds,
    channels,
    headroom,
    histogram,
    network,
    ranking,
)
from cpu_sim_backend.report_page.drawing.scale import Axis, grouped
from plugins.cpu_sim_backend.tests.report_page import synthetic


def activation(counts: Sequence[int], clip: Tuple[float, float]) -> ActivationReport:
    """Values of 0..10."""
    return ActivationReport(
        blob="data",
        scale=1,
        offset=0,
        clip_min=clip[0],
        clip_max=clip[1],
        lowest=0,
        highest=10,
        clipped=0,
        used=3,
        histogram=Histogram(0.0, 10.0, tuple(counts)),
    )


def weights(lowest: Sequence[float], highest: Sequence[float], **changed: object) -> WeightReport:
    report = WeightReport(
        channel_wise=False,
        scales=(0.1,),
        lowest=tuple(lowest),
        highest=tuple(highest),
        used=(200,) * len(lowest),
        dead=(),
        outliers=(),
    )
    return attrs.evolve(report, **changed)


def corners(path: str) -> List[Tuple[float, float]]:
    """Return the corners of a path of M, H, V and z."""
    x = y = 0.0
    found = []
    for letter, numbers in re.findall(r"([MHV])([-\d. ]+)", path):
        values = [float(each) for each in numbers.split()]
        x = values[0] if letter in "MH" else x
        y = values[-1] if letter in "MV" else y
        found.append((x, y))
    return found


class TestAxis:
    @given(st.floats(-1e6, 1e6), st.floats(1, 1e30))
    def test_ticks_are_round_values_within_the_axis(self, low, width):
        axis = Axis(low, low + width)
        ticks = axis.ticks()
        assert 1 <= len(ticks) <= 8
        places = [float(tick.at[:-1]) for tick in ticks]
        assert places == sorted(places)

    @given(st.integers(1, 5000), st.integers(1, 300))
    def test_groups_hold_every_index_once(self, length, most):
        groups = grouped(length, most)
        assert [index for group in groups for index in group] == list(range(length))
        assert len(groups) <= most


class TestHistogram:
    def test_bars_are_as_high_as_their_counts(self):
        drawing = histogram.draw(activation((10, 5, 0, 5), (0, 10)))
        assert corners(drawing.bars) == [
            *((0, 100), (0, 0), (250, 0), (250, 50), (500, 50), (500, 100), (750, 100)),
            *((750, 50), (1000, 50), (1000, 100)),
        ]
        assert drawing.remarks == ()

    def test_what_lies_beyond_the_bounds_is_shaded(self):
        drawing = histogram.draw(activation((1,) * 10, (1, 6)))
        assert drawing.shaded == (("0%", "10%"), ("60%", "40%"))
        assert [(line.at, line.label) for line in drawing.lines] == [
            ("10%", "clip_min 1"),
            ("60%", "clip_max 6"),
        ]

    def test_bounds_outside_the_data_widen_the_axis(self):
        drawing = histogram.draw(activation((1,) * 10, (-10, 30)))
        assert drawing.shaded == ()
        assert [line.at for line in drawing.lines] == ["0%", "100%"]
        assert corners(drawing.bars)[0] == (250, 100)

    def test_a_bound_far_outside_is_said_and_not_drawn(self):
        drawing = histogram.draw(activation((1,) * 10, (0, 1e6)))
        assert "The upper clip bound, 1 × 10⁶, lies beyond the drawing." in drawing.remarks
        assert corners(drawing.bars)[-1] == (1000, 100)

    def test_counts_of_several_magnitudes_are_logarithmic_and_said_so(self):
        drawing = histogram.draw(activation((99_999, 9, 9, 9), (0, 10)))
        heights = {round(100 - y) for _, y in corners(drawing.bars)}
        assert heights == {0, 20, 100}
        assert any("logarithmic" in each for each in drawing.remarks)

    def test_a_single_value_is_seen_on_a_logarithmic_axis(self):
        drawing = histogram.draw(activation((10**9, 50, 50, 1), (0, 10)))
        lowest = 100 - corners(drawing.bars)[-2][1]
        assert lowest > 2

    def test_many_bins_are_joined_and_said_so(self):
        drawing = histogram.draw(activation((1, 2) * 500, (0, 10)))
        assert len(corners(drawing.bars)) < 2 * histogram.MOST_BARS + 4
        assert "Each bar is 7 bins." in drawing.remarks


class TestChannels:
    def test_bars_go_from_the_lowest_to_the_highest_weight(self):
        drawing = channels.draw(weights((-1, 0), (1, 0.5)))
        bars = [corners(each) for each in drawing.ranges.split("z") if each]
        assert [(min(y for _, y in bar), max(y for _, y in bar)) for bar in bars] == [
            (0, 100),
            (25, 50),
        ]
        assert drawing.zero == "50"

    def test_a_dead_channel_has_a_mark_and_no_bar(self):
        drawing = channels.draw(weights((-1, 0, -1, -1), (1, 0, 1, 1), dead=(1,)))
        assert drawing.ranges.count("M") == 3
        assert drawing.dead == "M250 50h250"
        assert drawing.outliers == ""

    def test_no_more_than_256_bars_are_drawn_and_the_page_says_what_they_are(self):
        drawing = channels.draw(weights((-1.0,) * 2048, (1.0,) * 2048, dead=(2047,)))
        assert drawing.ranges.count("M") == 256
        assert "Each bar is 8 neighbouring channels" in drawing.remarks[0]
        assert drawing.dead.count("M") == 1

    def test_an_outlier_within_a_group_is_seen(self):
        highest = [1.0] * 2048
        highest[1000] = 50.0
        drawing = channels.draw(weights((-1.0,) * 2048, highest, outliers=(1000,)))
        tops = [min(y for _, y in corners(bar)) for bar in drawing.ranges.split("z") if bar]
        assert [index for index, top in enumerate(tops) if top == 0] == [1000 // 8]

    def test_the_fewest_int8_values_of_a_group_are_drawn(self):
        used = [256] * 512
        used[3] = 64
        drawing = channels.draw(weights((-1.0,) * 512, (1.0,) * 512, used=tuple(used)))
        levels = [y for _, y in corners(drawing.used)]
        assert levels == [100, 0, 0, 75, 75, 0, 0, 100]

    @given(st.integers(1, 3000))
    def test_ticks_are_numbers_of_channels(self, count):
        drawing = channels.draw(weights((-1.0,) * count, (1.0,) * count))
        numbers = [int(tick.label.replace(",", "")) for tick in drawing.across]
        assert numbers and all(0 <= number < count for number in numbers)


class TestHeadRoom:
    @pytest.mark.parametrize(
        ("value", "beyond"), [(0, False), (1, False), (2**24 - 1, False), (2**24, True)]
    )
    def test_a_partial_sum_is_within_its_limit_below_2_to_the_24(self, value, beyond):
        assert headroom.draw(IntegerReport(value, 0, 0, (0,), 0, 1))[0].beyond is beyond

    @pytest.mark.parametrize(("value", "beyond"), [(2**31 - 1, False), (2**31, True)])
    def test_an_accumulator_is_within_its_limit_up_to_the_largest_int32(self, value, beyond):
        assert headroom.draw(IntegerReport(0, value, 0, (0,), 0, 1))[1].beyond is beyond

    def test_a_layer_without_a_bias_has_no_bar_of_it(self):
        assert len(headroom.draw(IntegerReport(1, 1, 0, (0,), 0, 1))) == 2
        assert len(headroom.draw(IntegerReport(1, 1, 1, (0,), 0, 1))) == 3

    def test_the_room_is_told_in_bits(self):
        (bar, _) = headroom.draw(IntegerReport(2**20, 0, 0, (0,), 0, 1))
        assert bar.value == "1,048,576 (20.0 bits)"
        assert bar.verdict.startswith("4.0 bits of room")


class TestBounds:
    def test_a_line_goes_through_every_point(self):
        drawing = bounds.draw(LearnedBounds("c", (0, 50, 100), (-1, -1, -1), (1, 3, 1)))
        assert drawing.clip_max == "M0 50L500 0L1000 50"
        assert drawing.summary == "clip_max 1; clip_min −1"

    def test_a_line_is_broken_where_a_bound_is_not_finite(self):
        values = (1.0, math.nan, 3.0, 3.0)
        drawing = bounds.draw(LearnedBounds("c", (0, 1, 2, 3), (-1,) * 4, values))
        assert drawing.clip_max.count("M") == 2
        assert drawing.remarks == ("From iteration 1 on, a bound is no finite number.",)

    def test_of_many_points_the_extremes_are_kept(self):
        values = [1.0] * 10_000
        values[4321] = 9.0
        steps = tuple(range(10_000))
        drawing = bounds.draw(LearnedBounds("c", steps, (-1.0,) * 10_000, tuple(values)))
        assert drawing.clip_max.count("L") <= 2 * bounds.MOST_POINTS
        assert "L432.1 0L" in drawing.clip_max

    def test_a_single_point_is_said_in_words(self):
        words = bounds.draw(LearnedBounds("c", (0,), (-1.0,), (1.0,)))
        assert words == "Not enough to draw: clip_max 1; clip_min −1."


class TestRanking:
    def layers(self, *errors: float):
        report = synthetic.report(blocks=2, widest=48)
        return [
            attrs.evolve(layer, sensitivity=SensitivityReport(error, 1.0))
            for layer, error in zip(report.layers, errors)
        ]

    def test_the_layer_that_costs_most_is_first(self):
        layers = self.layers(0.1, 0.4, 0.2)
        order = [rank.layer for rank in ranking.draw(layers).ranks]
        assert order == [layers[1].name, layers[2].name, layers[0].name]

    def test_bars_are_in_proportion(self):
        drawing = ranking.draw(self.layers(0.1, 0.4, 0.2))
        assert [rank.quantized_width for rank in drawing.ranks] == ["100%", "50%", "25%"]
        assert drawing.quantized_decades == 0

    def test_errors_of_several_magnitudes_are_on_a_logarithmic_scale(self):
        drawing = ranking.draw(self.layers(1.0, 0.01, 0.0101, 0.0102))
        assert drawing.quantized_decades == 3
        assert drawing.ranks[-1].quantized_width == "33.33%"

    def test_an_error_that_is_no_number_comes_first_and_in_words(self):
        (first, *_) = ranking.draw(self.layers(0.1, math.nan, 0.2)).ranks
        assert first.quantized_alone == "not a number"

    def test_no_error_at_all_has_no_bar(self):
        assert [rank.quantized_width for rank in ranking.draw(self.layers(0.0)).ranks] == ["0%"]


def chain(*types: Tuple[str, str, bool]) -> List[GraphNode]:
    """Layers of name, what they read (with commas) and whether they are quantized."""
    return [
        GraphNode(name, "T", tuple(reads.split(",")) if reads else (), quantized)
        for name, reads, quantized in types
    ]


class TestNetwork:
    def test_what_only_follows_a_layer_stands_behind_it(self):
        graph = chain(
            ("data", "", False), ("c", "data", True), ("r", "c", False), ("p", "r", False)
        )
        rows = network.draw(graph, ())
        assert [row.node.name for row in rows] == ["data", "c"]
        assert [node.name for node in rows[1].chain] == ["r", "p"]

    def test_a_layer_in_trouble_has_a_line_of_its_own(self):
        graph = chain(("data", "", False), ("c", "data", True), ("r", "c", False))
        assert [row.node.name for row in network.draw(graph, ("r",))] == ["data", "c", "r"]

    def test_a_chain_is_one_line_down(self):
        graph = chain(("data", "", False), ("a", "data", True), ("b", "a", True))
        rows = network.draw(graph, ())
        assert {row.at for row in rows} == {7}
        assert [row.lines for row in rows] == ["M7 12V24", "M7 0V12M7 12V24", "M7 0V12"]

    def test_a_shortcut_has_a_lane_until_it_is_read(self):
        graph = chain(
            ("data", "", False), ("a", "data", True), ("b", "a", True), ("sum", "data,b", False)
        )
        rows = network.draw(graph, ())
        assert [row.at for row in rows] == [7, 21, 21, 7]
        assert "M7 0V24" in rows[1].lines and "M7 0V24" in rows[2].lines
        assert "M7 0V24" not in rows[3].lines
        assert all(row.reads == () for row in rows)

    def test_what_no_lane_shows_is_said(self):
        graph = chain(("a", "elsewhere", True), ("b", "a", True))
        assert [row.reads for row in network.draw(graph, ())] == [("elsewhere",), ()]

    def test_only_rows_with_many_lanes_begin_further_right(self):
        branches = [(f"b{number}", "data", True) for number in range(5)]
        graph = chain(
            ("data", "", False),
            *branches,
            ("concat", "b0,b1,b2,b3,b4", False),
            ("c", "concat", True),
        )
        widths = [row.width // network.LANE for row in network.draw(graph, ())]
        assert widths == [3, 3, 3, 4, 5, 5, 5, 3]

    def test_more_branches_than_lanes_are_said_in_words(self):
        branches = [(f"b{number}", "data", True) for number in range(12)]
        reads = ",".join(name for name, _, _ in branches)
        graph = chain(("data", "", False), *branches, ("concat", reads, False))
        rows = network.draw(graph, ())
        assert max(row.width for row in rows) <= network.LANE * (network.MOST_LANES + 1)
        drawn = rows[-1].lines.count("M")
        assert drawn + len(rows[-1].reads) == 12
        assert len(rows[-1].reads) > 0

    @given(st.lists(st.tuples(st.sets(st.integers(1, 9), max_size=4), st.booleans()), max_size=40))
    def test_every_input_is_a_line_a_chain_or_a_word(self, drawn):
        graph = [
            GraphNode(
                str(index),
                "T",
                tuple(str(index - back) for back in sorted(reads) if index - back >= 0),
                quantized,
            )
            for index, (reads, quantized) in enumerate(drawn)
        ]
        rows = network.draw(graph, ())
        shown = [node.name for row in rows for node in (row.node, *row.chain)]
        assert shown == [node.name for node in graph]
        for row in rows:
            # A line that is read starts at the top and ends at the mark in the middle.
            joined = re.findall(r"M\d+ 0(?:V12(?!\d)|C)", row.lines)
            assert len(joined) + len(row.reads) == len(row.node.inputs)
            assert all(node.inputs for node in row.chain)

    @given(st.lists(st.sets(st.integers(1, 9), max_size=3), max_size=30))
    def test_a_line_goes_on_from_row_to_row(self, drawn):
        graph = [
            GraphNode(
                str(i), "T", tuple(str(i - back) for back in sorted(reads) if i >= back), True
            )
            for i, reads in enumerate(drawn)
        ]
        below: set = set()
        for row in network.draw(graph, ()):
            above = set(re.findall(r"M(\d+) 0", row.lines))
            assert above == below
            ends = re.findall(r"M(\d+) (?:0|12)V24", row.lines)
            assert len(ends) == len(set(ends))
            below = set(ends)
        assert below == set()
