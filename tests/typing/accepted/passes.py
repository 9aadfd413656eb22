"""A pass on Caffe networks."""

from __future__ import annotations

from collections.abc import Iterable

from amct_caffe.model.network import CaffeNetwork
from amct_core.extensions import NetworkPass
from amct_core.extensions.network_pass import AFTER_TRAINING
from amct_core.graph import Pass
from amct_core.hookspecs import hookimpl


class Nothing(Pass[CaffeNetwork]):
    """1. Everything stays as it is."""

    def run(self, state: CaffeNetwork) -> CaffeNetwork:
        return state.copy()


@hookimpl
def amct_passes() -> Iterable[NetworkPass]:
    return [NetworkPass("nothing", "caffe", AFTER_TRAINING, create=Nothing)]
