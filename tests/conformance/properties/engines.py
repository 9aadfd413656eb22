"""The fast engine gives what the reference engine gives."""

from __future__ import annotations

import numpy as np

from cpu_sim_backend import Simulator
from tests.conformance.runner import Saved


def the_engines_agree_in_every_bit(saved: Saved) -> None:
    """Whether every blob is asked for, so that nothing can be fused, or the outputs alone."""
    for wanted in (sorted(saved.blobs), list(saved.reference.outputs)):
        found = Simulator(*saved.files, engine="fast").run(saved.inputs, wanted)
        for blob in wanted:
            assert found[blob].dtype == saved.blobs[blob].dtype
            np.testing.assert_array_equal(found[blob], saved.blobs[blob], blob)
