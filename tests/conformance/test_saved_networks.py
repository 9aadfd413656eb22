"""The half of the suite that needs no Caffe: every network is inserted and saved, once.

Training is stood in for by bounds and shift factors written into the snapshot and the record.  What
must hold of each network then is a list; what fails is the function of its name.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path

import attrs
import pytest

from tests.conformance.case import Case
from tests.conformance.networks import NETWORKS
from tests.conformance.properties import (
    deploy_format,
    device_modes,
    engines,
    integers,
    lint,
    onnx_export,
    round_trip,
    sensitivity,
)
from tests.conformance.runner import Saved, save_untrained


@attrs.frozen
class Property:
    """What must hold of every network, and the libraries without which it cannot be told."""

    assert_of: Callable[[Saved], None]
    needs: tuple[str, ...] = ()


PROPERTIES = (
    Property(integers.accumulators_are_those_of_plain_loops),
    Property(integers.outputs_are_finite_and_of_the_inferred_shapes),
    Property(deploy_format.inputs_are_linked_and_a_second_reader_finds_the_integers),
    Property(round_trip.what_is_read_and_written_again_is_the_same),
    Property(lint.the_model_breaks_no_rule_of_atc),
    Property(engines.the_engines_agree_in_every_bit, needs=("numba",)),
    Property(device_modes.what_the_lint_says_is_rolled_back_runs_in_float16),
    Property(device_modes.on_a_fix_pipe_n_is_0_and_deq_scale_has_19_bits),
    Property(device_modes.engines_agree_on_every_processor, needs=("numba",)),
    Property(sensitivity.each_layer_alone_gives_what_a_whole_network_with_it_gives),
    Property(onnx_export.onnx_runs_to_the_same_integers, needs=("onnx", "onnxruntime")),
)
LIBRARIES = sorted({library for each in PROPERTIES for library in each.needs})
MISSING = {library for library in LIBRARIES if importlib.util.find_spec(library) is None}


@pytest.mark.parametrize("case", NETWORKS, ids=str)
def test_what_must_hold_of_every_network(case: Case, tmp_path: Path) -> None:
    saved = save_untrained(case, tmp_path)
    for each in PROPERTIES:
        if MISSING.isdisjoint(each.needs):
            each.assert_of(saved)


@pytest.mark.parametrize("library", LIBRARIES)
def test_no_property_is_left_out_for_want_of(library: str) -> None:
    """The test above is silent about what it leaves out; this one is skipped then."""
    pytest.importorskip(library)
