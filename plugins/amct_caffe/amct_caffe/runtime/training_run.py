"""Drives one training: watches its numbers and its snapshots, and stops it between iterations.

Caffe calls back before the first forward of an iteration and when its gradients are there.  An
exception that is raised there leaves ``solve()`` with weights, solver state and counters as they
were after the last whole iteration.  So does one in a TEST pass, which comes before the first
callback of an iteration and after all of the one before.  ``step(1)`` in a loop would do as well,
but Caffe's smoothed loss and the last TEST pass belong to ``solve()``.

Source: BVLC Caffe, ``Solver::Step`` and ``Solver::Solve``.
"""

from __future__ import annotations

import logging
import math
from typing import Any, Callable, Dict, Optional

import numpy as np

from amct_caffe.model.formats.prototxt.solver import Solver
from amct_caffe.model.formats.snapshots import Snapshot, snapshot_of
from amct_caffe.runtime.live_view import LiveView
from amct_core.errors import PluginError, QuantizationError, TrainingError
from amct_core.supervision.stopping import Stopped, StoppedBetweenIterations, StopRequest
from amct_core.supervision.watch import current

_log = logging.getLogger("amct_caffe.training")

HowToGoOn = Callable[[str], str]
"""Returns a sentence that says how to go on from a ``.solverstate``."""


def _with_resume(state: str) -> str:
    return f"Go on with --resume {state}."


class TrainingRun:
    """One call of ``solve()``.

    Args:
        solver: pycaffe's, with its weights or its state.
        settings: what its prototxt says.
        view: shows the numbers; None: nobody.
        resumed_from: the ``.solverstate`` that the solver was restored from.
        how_to_go_on: says how to go on from a snapshot.
        agreed: returns the largest of the numbers that all ranks of a common training give it;
            None: it is alone.
        writes: whether this process writes the snapshots; one of several ranks does.
    """

    def __init__(
        self,
        solver: Any,
        settings: Solver,
        view: Optional[LiveView] = None,
        resumed_from: Optional[str] = None,
        how_to_go_on: Optional[HowToGoOn] = None,
        agreed: Optional[Callable[[int], int]] = None,
        writes: bool = True,
    ) -> None:
        self._solver = solver
        self._settings = settings
        self._snapshot_interval = settings.snapshot_interval
        self._test_interval = settings.test_interval
        self._view = view
        self._how_to_go_on = how_to_go_on or _with_resume
        self._agreed = agreed or (lambda number: number)
        self._writes = writes
        self._losses = _LossReader(solver.net)
        self._first = solver.iter
        self._good: Optional[str] = resumed_from
        self._unproven: Optional[Snapshot] = None
        self._watch = current()
        # Ranks cannot agree in a TEST pass: the first of them may be the only one that runs it.
        self._stop = StopRequest(heeds_in_tests=agreed is None)

    def run(self, solve: Callable[[], Any]) -> None:
        """Train to the end.

        Args:
            solve: runs the iterations; ``solver.solve``, or what does the same on another rank.

        Raises:
            StoppedBetweenIterations: a signal came; a snapshot was written, the message says where.
            TrainingError: the loss is not finite, or a snapshot is not whole.
            QuantizationError: a layer met numbers that cannot be quantized.
            PluginError: a plugin failed, or broke its contract.
        """
        self._solver.add_callback(self._before_iteration, self._after_gradients)
        self._watch.tell(last=self._settings.max_iter)
        try:
            with self._stop:
                if self._view is None:
                    solve()
                else:
                    with self._view:
                        solve()
        except StoppedBetweenIterations:
            raise
        except Stopped as stop:  # in a TEST pass
            message = self._keep(self._solver.iter)
            raise StoppedBetweenIterations(stop.number, message) from None
        except QuantizationError as error:
            raise error.with_more(problem=self._when(), remedy=self._last_good()) from error
        except PluginError as error:
            raise error.with_more(problem=self._when()) from error
        if self._writes:
            self._require_whole(snapshot_of(self._settings, self._solver.iter))

    def _when(self) -> str:
        return f"This was at iteration {self._solver.iter}."

    def _before_iteration(self) -> None:
        number = self._solver.iter
        self._watch.iteration(number)
        if self._view is not None and self._tests_at(number):
            self._view.tested()
        if self._writes and number > self._first and self._is_snapshot(number):
            self._unproven = snapshot_of(self._settings, number)
            self._require_whole(self._unproven)
        signal = self._agreed(self._stop.number or 0)
        if signal:
            message = self._keep(number) if self._writes else ""
            self._agreed(signal)  # a launcher may end all ranks as soon as the first has ended
            raise StoppedBetweenIterations(signal, message)

    def _after_gradients(self) -> None:
        losses = self._losses.read()
        loss = sum(losses.values())
        if not math.isfinite(loss):
            raise self._not_finite(loss)
        if self._unproven is not None:
            self._good, self._unproven = self._unproven.state, None
            self._watch.tell(remedy=self._how_to_go_on(self._good))
        if self._view is not None:
            self._view.iterated(losses, loss)

    def _keep(self, number: int) -> str:
        """Write a snapshot unless there is one of this iteration; return what the user is told."""
        taken = number > self._first and self._is_snapshot(number)
        state = self._good if number == self._first else None
        if state is None:
            snapshot = snapshot_of(self._settings, number)
            if not taken:
                self._solver.snapshot()
            self._require_whole(snapshot)
            state = snapshot.state
        return (
            f"Stopped before iteration {number} of {self._settings.max_iter}; '{state}' and its "
            f"weights keep what was learned. {self._how_to_go_on(state)}"
        )

    def _require_whole(self, snapshot: Snapshot) -> None:
        # Caffe notices a full disk only where its last bytes do not fit into a buffer.
        if not snapshot.is_whole:
            raise TrainingError(
                f"the snapshot of iteration {snapshot.iteration} has not been written whole.",
                file=snapshot.weights,
                remedy=f"Make room there. {self._last_good()}".strip(),
            )

    def _not_finite(self, loss: float) -> TrainingError:
        layer, what = first_not_finite(self._solver.net)
        return TrainingError(
            f"at iteration {self._solver.iter} the loss is {loss}: {what}.",
            file=self._settings.file,
            layer=layer,
            remedy=f"Use a smaller base_lr, or clip_gradients. {self._last_good()}".strip(),
        )

    def _last_good(self) -> str:
        if self._good is None:
            return "There is no snapshot before it."
        return f"The last good snapshot is '{self._good}'. {self._how_to_go_on(self._good)}"

    def _is_snapshot(self, number: int) -> bool:
        return self._snapshot_interval > 0 and number % self._snapshot_interval == 0

    def _tests_at(self, number: int) -> bool:
        return self._test_interval > 0 and number % self._test_interval == 0


class _LossReader:
    """Reads the losses of a net after a forward."""

    def __init__(self, net: Any) -> None:
        self._blobs = [
            (name, float(weight), net.blobs[name])
            for name, weight in getattr(net, "blob_loss_weights", {}).items()  # not in every Caffe
            if weight
        ]

    def read(self) -> Dict[str, float]:
        """Return each loss, multiplied by its weight: of an array, the sum of its values."""
        return {name: weight * float(blob.data.sum()) for name, weight, blob in self._blobs}


def first_not_finite(net: Any) -> Any:
    """Return the first layer with numbers that are not finite, and which they are."""
    for layer, tops in net.top_names.items():
        for index, blob in enumerate(net.params.get(layer, ())):
            if not np.isfinite(blob.data).all():
                return layer, f"blob {index} of its weights is not finite"
        for top in tops:
            if not np.isfinite(net.blobs[top].data).all():
                return layer, f"it is the first to give values that are not finite ('{top}')"
    return None, "all blobs are finite"
