"""What a training starts from.  Imports next to nothing: ranks make it before they start MPI."""

from __future__ import annotations

import os
from typing import Callable, Optional

import attrs

from amct_core.errors import ConfigError, ModelError


@attrs.frozen
class Start:
    """What a training starts from, and what is said of it on the way.

    Attributes:
        weights: the modified model's; None: those that ``resume`` names.
        resume: a ``.solverstate`` to go on from.
        metrics: a file of JSON lines to write.
        how_to_go_on: says how to go on from a ``.solverstate``; None: with --resume.
        log: the file that gets Caffe's log; None: beside the snapshots.
        goes_on: whether it goes on with what an earlier process began: then its log stays.
    """

    weights: Optional[str] = None
    resume: Optional[str] = None
    metrics: Optional[str] = None
    how_to_go_on: Optional[Callable[[str], str]] = None
    log: Optional[str] = None
    goes_on: bool = False

    def complete(self) -> Start:
        """Return the same with its weights.

        Raises:
            AmctError: the solver's state does not tell them.
        """
        if self.weights is not None:
            return self
        if self.resume is None:
            raise ConfigError(
                "there are no weights to start from.",
                field="--weights",
                remedy="Give the modified model's weights, or go on from a snapshot with --resume.",
            )
        if not os.path.isfile(self.resume):
            raise ModelError("there is no such file.", file=self.resume, remedy="Check the path.")
        from amct_caffe.model.formats.snapshots import weights_of_state

        weights = weights_of_state(self.resume)
        if weights is None:
            raise ModelError(
                "it names no weights.", file=self.resume, remedy="Give them with --weights."
            )
        return attrs.evolve(self, weights=weights)
