"""Runs a deployable model on arrays."""

from __future__ import annotations

from typing import (
    TYPE_CHECKING,
    Any,
    Callable,
    Dict,
    Iterator,
    List,
    Mapping,
    Optional,
    Sequence,
    Set,
    Tuple,
    Union,
)

import attrs
import numpy as np
from numpy.typing import NDArray

from amct_core.errors import ModelError
from amct_core.graph import Graph, Node, Value
from amct_core.graph.attributes import DeQuant, Input, Quant
from amct_core.graph.deployed_layers import DeployedLayer, deployed_layers, quantized_nodes
from amct_core.graph.shapes import shapes_of_inputs
from amct_core.kernels.threads import thread_count
from amct_core.plugins import Registries, registries
from amct_core.processor_families import find_family
from cpu_sim_backend.data.source import ArraySource, DataSource
from cpu_sim_backend.device import DeviceGraph, as_computed_by
from cpu_sim_backend.engines import chosen_engine
from cpu_sim_backend.execution import Execution, QuantizedTensor, as_array

if TYPE_CHECKING:
    from cpu_sim_backend.fast.engine import FastEngine

Array = NDArray[Any]


class Simulator:
    """A deployable model, ready to run.

    Args:
        prototxt: the model's prototxt.
        caffemodel: its weights, with int8, int32 and uint64 blobs.
        engine: ``reference`` (plain NumPy, the specification), ``fast`` (the same bits), or
            ``auto``: fast where its libraries are installed.
        threads: of the fast engine; None: as many as Caffe's BLAS and our kernels use.
        soc_version: compute what this processor computes otherwise as well; None: the exact
            integers that the model says.

    Attributes:
        graph: what is computed; with a soc version not the graph that was read.
        device: what is computed otherwise for the soc version; None without one.
        engine: ``reference`` or ``fast``.

    Raises:
        AmctError: a file cannot be read, a layer cannot be simulated (the message names it), or
            no plugin knows the processor.
    """

    def __init__(
        self,
        prototxt: str,
        caffemodel: str,
        engine: str = "auto",
        threads: Optional[int] = None,
        soc_version: Optional[str] = None,
    ) -> None:
        from amct_core.workflow import frontend_for

        plugins = registries()
        graph = frontend_for(prototxt, plugins).read(prototxt, caffemodel).test
        self._prepare(graph, plugins, engine, threads, soc_version)

    @classmethod
    def from_graph(
        cls,
        graph: Graph,
        engine: str = "auto",
        threads: Optional[int] = None,
        soc_version: Optional[str] = None,
    ) -> Simulator:
        """Return a simulator of a graph that is in memory."""
        simulator = cls.__new__(cls)
        simulator._prepare(graph, registries(), engine, threads, soc_version)
        return simulator

    def _prepare(
        self,
        graph: Graph,
        plugins: Registries,
        engine: str,
        threads: Optional[int],
        soc_version: Optional[str],
    ) -> None:
        self.device: Optional[DeviceGraph] = None
        if soc_version is not None:
            family = find_family(plugins.processor_families, soc_version)
            self.device = as_computed_by(graph, family, soc_version)
            graph = self.device.graph
        self.graph = graph
        integer = quantized_nodes(graph)
        for node in graph.nodes:
            self._check(node, node in integer)
        self._layers = deployed_layers(graph)
        self.engine = chosen_engine(engine)
        self._fast: Optional[FastEngine] = None
        if self.engine == "fast":
            from cpu_sim_backend.fast.engine import FastEngine

            self._fast = FastEngine(graph, threads or thread_count())

    @property
    def inputs(self) -> Mapping[str, Tuple[int, ...]]:
        """Input blobs and the shapes that the model gives them."""
        return shapes_of_inputs(self.graph)

    @property
    def outputs(self) -> Tuple[str, ...]:
        """Output blobs."""
        return tuple(value.name for value in self.graph.outputs)

    @property
    def quantized_layers(self) -> Tuple[DeployedLayer, ...]:
        """The layers that run in integers, in network order."""
        return tuple(self._layers.values())

    @property
    def integer_blobs(self) -> Tuple[str, ...]:
        """The blobs that these read and write: int8 of Quants, int32 accumulators."""
        blobs = (blob for layer in self.quantized_layers for blob in layer.integer_blobs)
        return tuple(dict.fromkeys(blobs))

    def inexact_layers(
        self, blob: str, follows: Optional[Callable[[Node], bool]] = None
    ) -> Tuple[str, ...]:
        """Return the float layers upstream of ``blob`` that equal Caffe only approximately.

        Args:
            blob: its name.
            follows: whether the libraries of the framework at hand compute a layer as we do:
                :meth:`Executor.follows`; None: they do.
        """
        found: List[str] = []
        stack, seen = [self.graph.final_value(blob)], set()
        while stack:
            value = stack.pop()
            node = self.graph.producer(value)
            if node is None or value in seen:
                continue
            seen.add(value)
            exact = node in self._layers or isinstance(node.attributes, (Quant, DeQuant, Input))
            if not exact and not _is_exact(node, follows):
                found.append(node.name)
            stack.extend(node.inputs)
        return tuple(found)

    def run(
        self, inputs: Mapping[str, Array], outputs: Optional[Sequence[str]] = None
    ) -> Dict[str, Array]:
        """Run one batch.

        Args:
            inputs: float32 arrays by input blob; any batch size.
            outputs: blobs to return; None: the network's outputs.  The blob of a Quant is int8,
                that of an integer layer int32 (the accumulator with its bias), others are float32.

        Raises:
            ModelError: an input is missing or has the wrong shape, or a blob does not exist.
            QuantizationError: an accumulator leaves the int32 range.
        """
        names = tuple(self.outputs if outputs is None else outputs)
        self._check_blobs(names)
        wanted = {self.graph.final_value(name): name for name in names}
        if self._fast is not None:
            found = self._fast.run(inputs, frozenset(wanted))
            return {wanted[value]: found[value] for value in wanted}
        execution = Execution(inputs)
        result: Dict[str, Array] = {}
        last_uses = self._last_uses()
        for index, node in enumerate(self.graph.nodes):
            for value, tensor in zip(node.outputs, execution.run(node)):
                if value in wanted:
                    result[wanted[value]] = as_array(tensor)
            for value in last_uses.get(index, ()):
                execution.tensors.pop(value, None)
        return {name: result[name] for name in names}

    def stream(
        self,
        data: Union[DataSource, Mapping[str, Array]],
        batch_size: int = 100,
        outputs: Optional[Sequence[str]] = None,
    ) -> Iterator[Dict[str, Array]]:
        """Run a data set, batch by batch, in memory that does not grow with it.

        Args:
            data: arrays by input blob, or a source that reads them as they are needed: see
                :mod:`cpu_sim_backend.data`.
            batch_size: samples per batch, at most.
            outputs: as for :meth:`run`.

        Yields:
            What :meth:`run` returns for each batch, in order.
        """
        source = data if isinstance(data, DataSource) else ArraySource(data)
        for batch in source.read(batch_size):
            yield self.run(batch, outputs)

    def accumulators(self, layer: str, q: NDArray[np.int8]) -> NDArray[np.int32]:
        """Return the accumulators of one quantized layer, bias included, for given inputs.

        The engine is that of the simulator.

        Args:
            layer: its name.
            q: int8, as its Quant gives them.

        Raises:
            QuantizationError: an accumulator leaves the int32 range.
        """
        deployed = self._layers[self.graph.node(layer)]
        if self._fast is not None:
            alone = Simulator.from_graph(_one_layer(deployed, q.shape), self.engine)
            # A scale of 1 makes the Quant give back what it gets.
            centered = q.astype(np.float32) - np.float32(deployed.offset)
            blob = deployed.accumulator.name
            return alone.run({_ALONE: centered}, [blob])[blob]
        execution = Execution({})
        execution.tensors[deployed.quantized] = QuantizedTensor(q, deployed.offset)
        (result,) = execution.run(deployed.node)
        found: NDArray[np.int32] = as_array(result)
        return found

    def _check_blobs(self, names: Sequence[str]) -> None:
        """Raise an error that names the processor where it leaves a blob of the model out."""
        if self.device is None:
            return
        there = {value.name for node in self.graph.nodes for value in (*node.inputs, *node.outputs)}
        for name in names:
            if name not in there:
                raise ModelError(
                    f"as {self.device.soc_version} computes it the network has no blob '{name}'.",
                    file=self.graph.file,
                    remedy="A layer that is rolled back to float16 has no Quant; ask for another "
                    "blob, or leave the soc version out.",
                )

    def _last_uses(self) -> Dict[int, Set[Value]]:
        last: Dict[Value, int] = {}
        for index, node in enumerate(self.graph.nodes):
            for value in (*node.outputs, *node.inputs):
                last[value] = index
        uses: Dict[int, Set[Value]] = {}
        for value, index in last.items():
            uses.setdefault(index, set()).add(value)
        return uses

    def _check(self, node: Node, integer: bool) -> None:
        if isinstance(node.attributes, (Input, Quant, DeQuant)):
            return
        if node.type.weights is not None and not node.weights:
            raise ModelError(
                "the weights file has no weights for it.",
                file=self.graph.file,
                layer=node.name,
                remedy="Save a model whose layers were all trained, or take the layer out.",
            )
        if (node.type.accumulate if integer else node.type.run) is not None:
            return
        raise ModelError(
            f"layer type '{node.op}' cannot be simulated{' in integers' if integer else ''}; "
            f"known: {', '.join(_simulated(integer))}.",
            file=self.graph.file,
            layer=node.name,
            field="type",
            remedy="A plugin adds it with the hook amct_layer_types.",
        )


def _simulated(integer: bool) -> List[str]:
    """Return the layer types that can be simulated."""
    types = registries().layer_types
    return [each.name for each in types if (each.accumulate if integer else each.run) is not None]


def _is_exact(node: Node, follows: Optional[Callable[[Node], bool]]) -> bool:
    if not node.type.is_exact(node):
        return False
    return follows is None or not node.type.is_library_dependent(node) or follows(node)


_ALONE = "centered input"


def _one_layer(layer: DeployedLayer, shape: Tuple[int, ...]) -> Graph:
    """Return a network of one quantized layer and its DeQuant, fed with ``q - offset``."""
    quant = Quant(1.0, layer.offset)
    return Graph(
        layer.name,
        [
            Node("input", "Input", (), (_ALONE,), Input((shape,))),
            Node("quant", "Quant", (_ALONE,), layer.node.bottoms, quant),
            layer.node,
            attrs.evolve(layer.dequant, tops=("output",)),
        ],
    )
