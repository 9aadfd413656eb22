"""Which variant of its network a training net or a testing net is."""

from __future__ import annotations

from typing import Any, Optional, Tuple

import attrs


def _strings(values: Any) -> Tuple[str, ...]:
    return tuple(str(value) for value in values)


@attrs.frozen
class NetworkState:
    """What is said of one net beside what its file says.

    Files of networks may hold layers that only some nets have.  A state chooses among them, in the
    way of the framework; in Caffe it is what a solver's ``train_state`` and ``test_state`` say.

    Attributes:
        level: None: as the file says.
        stages: names that hold beside those of the file.
    """

    level: Optional[int] = None
    stages: Tuple[str, ...] = attrs.field(default=(), converter=_strings)

    @property
    def is_given(self) -> bool:
        """Whether it says anything."""
        return self != NetworkState()

    def __str__(self) -> str:
        parts = [] if self.level is None else [f"level {self.level}"]
        parts += [f"stage '{stage}'" for stage in self.stages]
        return ", ".join(parts) or "no stage"


@attrs.frozen
class NetworkStates:
    """The states in which a network is trained and tested.

    The network that is analysed, searched for N and saved is the one in state ``test``.
    """

    train: NetworkState = attrs.field(factory=NetworkState)
    test: NetworkState = attrs.field(factory=NetworkState)

    def or_else(self, other: NetworkStates) -> NetworkStates:
        """Return these states, each replaced by the one of ``other`` where it says nothing."""
        return NetworkStates(
            self.train if self.train.is_given else other.train,
            self.test if self.test.is_given else other.test,
        )
