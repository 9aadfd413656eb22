"""Extension types for finding the layers that have to stay in float: sensitivities and strategies.

A sensitivity says how much one layer suffers from quantization; a strategy turns the ranking of
all layers into candidates, each a set of layers that are rolled back to float, and is told how
each candidate did.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, ClassVar, FrozenSet, Optional, Sequence, Tuple

import attrs

from amct_core.extensions.provided import Provided
from amct_core.extensions.validation import is_callable, plugin_name

if TYPE_CHECKING:  # numpy takes a third of the command line's start-up time
    from numpy.typing import NDArray
    from typing_extensions import Protocol

    Array = NDArray[Any]

    class FallbackSearch(Protocol):
        """What :attr:`FallbackStrategy.start` returns: one search over one network."""

        def propose(self) -> Optional[FrozenSet[str]]:
            """Return the layers that the next candidate leaves in float; None: the search is over.

            Changes nothing: called twice, it returns the same.
            """

        def judge(self, satisfied: bool, loss: float) -> None:
            """Take in how the candidate of :meth:`propose` did.

            Args:
                satisfied: whether it meets the requirement.
                loss: what it loses, in the unit of whoever measures; more is worse.
            """


Ranking = Sequence[Tuple[str, float]]
"""Layers with their scores, the most sensitive first: scores ascend."""


@attrs.frozen
class Sensitivity(Provided):
    """A measure of what quantization does to one layer's output.

    Attributes:
        name: what ``sensitivity`` says.
        compare: ``(float_output, quantized_output) -> float``; two float32 arrays of one shape.
            The lower the score, the more the layer suffers.
    """

    kind: ClassVar[str] = "sensitivity"

    name: str = attrs.field(validator=plugin_name)
    compare: Callable[[Array, Array], float] = attrs.field(validator=is_callable)


@attrs.frozen
class FallbackStrategy(Provided):
    """A way to search for the layers to roll back, where not all of them can be quantized.

    Attributes:
        name: what ``strategy`` says.
        start: ``(ranking) -> FallbackSearch``; ``ranking`` is pairs of layer and score, the most
            sensitive first.
    """

    kind: ClassVar[str] = "fallback strategy"

    name: str = attrs.field(validator=plugin_name)
    start: Callable[[Ranking], FallbackSearch] = attrs.field(validator=is_callable)
