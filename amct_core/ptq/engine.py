"""What runs a network for post-training quantization: the seam between the core and a simulator.

The core has no engine of its own.  ``cpu_sim_backend.ptq.SimulatorEngine`` is one; whoever calls a
function that needs one passes it in.
"""

from __future__ import annotations

from typing import Any, Mapping, Protocol, Sequence, Union

from numpy.typing import NDArray

from amct_core.graph import Graph, Value
from amct_core.quantized_model import QuantizedModel

Array = NDArray[Any]
Batch = Mapping[str, Array]
"""One float32 array per network input, by blob name, batch size first."""


class Runner(Protocol):
    """A network that is ready to run."""

    def __call__(self, batch: Batch) -> Mapping[Value, Array]:
        """Return the values that were asked for, float32; nothing of an earlier batch matters.

        Args:
            batch: more arrays than the network has inputs do no harm.  The shapes may change from
                call to call.

        Raises:
            ModelError: an input is missing, or a layer cannot be run.
        """


class Engine(Protocol):
    """Runs networks."""

    def prepare(self, network: Union[Graph, QuantizedModel], values: Sequence[Value]) -> Runner:
        """Return something that computes ``values`` of ``network``.

        Only what they depend on is run, so loss and accuracy layers do no harm.

        Args:
            network: as it is in testing; in float, or with some layers in integers.  Of the latter,
                an output of a quantized layer is what its DeQuant gives.
            values: of ``network`` (of ``network.graph``).

        Raises:
            ModelError: a layer that they depend on cannot be run; the message names it.
        """
