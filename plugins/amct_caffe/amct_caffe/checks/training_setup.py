"""What is going to be trained, how and where."""

from __future__ import annotations

from typing import Callable, Iterator, List, Optional, Sequence

import attrs

from amct_caffe.checks.machine import Machine
from amct_caffe.checks.solver_for_qat import TrainingNeeds
from amct_caffe.model.formats.prototxt.document import Layer, NetDocument
from amct_caffe.model.formats.prototxt.solver import Solver
from amct_caffe.runtime.rehearsal import Rehearsal


@attrs.frozen(eq=False)
class TrainingSetup:
    """A training that has not begun.

    Attributes:
        solver: which runs it.
        document: the modified model; or, before insertion, the original one.
        model_file: the modified model, which the solver has to name.
        needs: of the layers that are inserted.
        machine: on which it runs.
        weights_file: the modified model's weights to start from; None: not known.
        resume: the ``.solverstate`` to go on from, if there is one.
        learnable_bytes: says how much the solver moves, as float32; None: not known.
        is_fed_by_hand: whether a script may give the TRAIN net its data.
        makes_folders: whether folders are made before training begins.
        saves: whether the last snapshot is read on this machine at once.
        rehearsal: what Caffe is to build in a process of its own; None: nothing.
    """

    solver: Solver
    document: NetDocument
    model_file: str
    needs: TrainingNeeds
    machine: Machine
    weights_file: Optional[str] = None
    resume: Optional[str] = None
    learnable_bytes: Optional[Callable[[], int]] = None
    is_fed_by_hand: bool = False
    makes_folders: bool = False
    saves: bool = False
    rehearsal: Optional[Rehearsal] = None

    @property
    def phases(self) -> Sequence[str]:
        """The phases that the solver builds nets of."""
        return ("TRAIN", "TEST") if self.solver.test_iter else ("TRAIN",)

    @property
    def caffe_runs_solver(self) -> bool:
        """Whether Caffe was found to run a solver of this unusual type or policy."""
        return self.machine.no_caffe is None and self.machine.runs_solver(self.solver)

    def layers(self) -> Iterator[Layer]:
        """Yield each layer that is in one of the nets, once."""
        seen: List[int] = []
        for phase in self.phases:
            for layer in self.document.layers_in(phase):
                if id(layer) not in seen:
                    seen.append(id(layer))
                    yield layer
