"""What feeds the inputs of a network that is calibrated: the user's data, or its data layers."""

from __future__ import annotations

from typing import Collection, Dict, FrozenSet, Mapping, Optional, Sequence, Tuple

import attrs

from amct_core.errors import ConfigError
from amct_core.graph import Graph, Value
from amct_core.graph.attributes import Data
from amct_core.graph.shapes import shapes_of_inputs
from amct_core.plugins import registries
from amct_core.ptq.workflow import PtqNetwork
from amct_core.workflow import frontend_for
from cpu_sim_backend.ptq.part import part_for

_WRITE = "Give an .npz file with one array per input, called like it"


@attrs.frozen
class Inputs:
    """The inputs of a network.

    Attributes:
        shapes: by blob, batch size first; nothing behind it where only that is known.
        needed: those that something depends on which has to be computed.
        own: those that data layers bring in; the others have to be fed.
    """

    shapes: Mapping[str, Tuple[int, ...]]
    needed: Tuple[str, ...]
    own: FrozenSet[str]

    @property
    def fed(self) -> Tuple[str, ...]:
        """The inputs that the framework has to be given: all that no data layer brings in."""
        return tuple(blob for blob in self.shapes if blob not in self.own)

    def check_framework(self, given: Optional[Collection[str]], file: Optional[str]) -> None:
        """Check that the framework gets each input from one side: from the user, or a data layer.

        Args:
            given: the user's arrays; None: the user gives none.
            file: which they are from.

        Raises:
            ConfigError: naming the inputs that get nothing, or both.
        """
        if given is None:
            unfed = [blob for blob in self.fed if blob in self.needed]
            if unfed:
                raise ConfigError(
                    f"there are no data for {_listed(unfed)}: no data layer brings them in.",
                    field="--data",
                    remedy=f"{_WRITE}, or a folder of images.",
                )
            return
        self._require(self.fed, given, file)
        twice = [blob for blob in self.own if blob in given and blob in self.needed]
        if twice:
            raise ConfigError(
                f"there are data for {_listed(twice)}, which data layers of the network bring in; "
                "the framework runs these and would ignore what is given.",
                file=file,
                field="--data",
                remedy="Add --engine simulator, which takes the data that are given, or leave "
                "--data out.",
            )

    def check_given(self, given: Collection[str], file: Optional[str]) -> None:
        """Raise a ConfigError unless there are data for each input that is needed."""
        self._require(self.needed, given, file)

    def _require(self, wanted: Sequence[str], given: Collection[str], file: Optional[str]) -> None:
        missing = [blob for blob in wanted if blob not in given]
        if missing:
            raise ConfigError(
                f"it has the arrays {', '.join(sorted(given)) or 'none'}; the network's inputs are "
                f"{', '.join(wanted)}, and each needs one: {_listed(missing)} would get nothing.",
                file=file,
                remedy=f"{_WRITE}.",
            )


def inputs_of(network: PtqNetwork, values: Optional[Sequence[Value]] = None) -> Inputs:
    """Return the inputs of a network.

    Args:
        network: what is calibrated.
        values: what has to be computed; None: what the quantized layers read.
    """
    graph = network.graph
    if values is None:
        values = quantized_inputs(network)
    own = {top for node in graph.nodes if isinstance(node.attributes, Data) for top in node.tops}
    read = part_for(graph, values).inputs
    shapes = _shapes(network, graph, read)
    needed = tuple(blob for blob in shapes if blob in read)
    return Inputs(shapes, needed, frozenset(own))


def quantized_inputs(network: PtqNetwork) -> Tuple[Value, ...]:
    """Return what the quantized layers read."""
    enabled = network.config.enabled
    return tuple(node.inputs[0] for node in network.graph.nodes if node.name in enabled)


def _shapes(network: PtqNetwork, graph: Graph, read: Sequence[str]) -> Dict[str, Tuple[int, ...]]:
    """Return the inputs of the deployed network, then those that are for training and testing."""
    frontend = frontend_for(network.model_file, registries())
    shapes = {blob: tuple(shape) for blob, shape in frontend.input_shapes(graph).items()}
    for blob in (*read, *shapes_of_inputs(graph)):
        shapes.setdefault(blob, shapes_of_inputs(graph).get(blob, ()))
    return shapes


def _listed(names: Collection[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)
