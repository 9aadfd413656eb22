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
from amct_core.file_names import ModelFiles
from amct_core.graph import Graph, Node, Value
from amct_core.graph.attributes import Data, DeQuant, Input, Quant
from amct_core.graph.deployed_layers import DeployedLayer, deployed_layers
from amct_core.graph.input_shapes import check_weights_fit
from amct_core.graph.shapes import shapes_of_inputs
from amct_core.kernels.threads import thread_count
from amct_core.plugins import Registries, registries
from amct_core.processor_families import find_family
from amct_core.saved_model import SavedModel, saved_model
from cpu_sim_backend.data.batches import Batches, batches
from cpu_sim_backend.data.source import ArraySource, DataSource
from cpu_sim_backend.device import DeviceGraph, as_computed_by
from cpu_sim_backend.engines import chosen_engine
from cpu_sim_backend.execution import Execution, QuantizedTensor, as_array, checked_input
from cpu_sim_backend.feeding import (
    Fed,
    FedLayer,
    fed_inputs,
    given_integers,
    with_fed_layers,
    with_given_integers,
)
from cpu_sim_backend.simulatable import check_simulatable, unknown_float_layers

if TYPE_CHECKING:
    from cpu_sim_backend.fast.engine import FastEngine

Array = NDArray[Any]
Follows = Callable[[Node], bool]


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
        feed_unknown: do not refuse a float layer that cannot be simulated: what it gives is an
            input of :meth:`run` then.
        check_set: refuse two files that were not saved together.

    Attributes:
        graph: what is computed; with a soc version, or fed layers, not the graph that was read.
        fed_layers: the layers that cannot be simulated, in network order.
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
        feed_unknown: bool = False,
        check_set: bool = True,
    ) -> None:
        saved = SavedModel("", ModelFiles(prototxt, caffemodel), registries())
        graph = _read(saved, check_set)
        self._prepare(graph, saved.plugins, engine, threads, soc_version, feed_unknown)

    @classmethod
    def from_saved(
        cls,
        saved: Union[str, SavedModel],
        engine: str = "auto",
        threads: Optional[int] = None,
        soc_version: Optional[str] = None,
        feed_unknown: bool = False,
        check_set: bool = True,
    ) -> Simulator:
        """Return a simulator of a model that any deploy backend has saved, if that can read it.

        Args:
            saved: folder and prefix, or the model that was found there.
            engine, threads, soc_version, feed_unknown, check_set: as for the class.

        Raises:
            AmctError: there is no model, or it cannot be read or simulated.
        """
        if isinstance(saved, str):
            saved = saved_model(saved, registries())
        graph = _read(saved, check_set)
        simulator = cls.__new__(cls)
        simulator._prepare(graph, saved.plugins, engine, threads, soc_version, feed_unknown)
        return simulator

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
        feed_unknown: bool = False,
    ) -> None:
        self.device: Optional[DeviceGraph] = None
        if soc_version is not None:
            family = find_family(plugins.processor_families, soc_version)
            self.device = as_computed_by(graph, family, soc_version)
            graph = self.device.graph
        self._outputs = graph.outputs
        self.fed_layers: Tuple[FedLayer, ...] = ()
        if feed_unknown:
            graph, self.fed_layers = with_fed_layers(graph, unknown_float_layers(graph))
        self.graph = graph
        check_simulatable(graph)
        self._layers = deployed_layers(graph)
        self._on_given: Optional[Simulator] = None
        self._fits = False
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
        return tuple(value.name for value in self._outputs)

    @property
    def computed_outputs(self) -> Tuple[Value, ...]:
        """The outputs that no fed layer gives."""
        fed = {value for layer in self.fed_layers for value in layer.outputs}
        return tuple(value for value in self._outputs if value not in fed)

    @property
    def quantized_layers(self) -> Tuple[DeployedLayer, ...]:
        """The layers that run in integers, in network order."""
        return tuple(self._layers.values())

    @property
    def integer_blobs(self) -> Tuple[str, ...]:
        """The blobs that these read and write: int8 of Quants, int32 accumulators."""
        blobs = (blob for layer in self.quantized_layers for blob in layer.integer_blobs)
        return tuple(dict.fromkeys(blobs))

    def inexact_float_layers(self, follows: Optional[Follows] = None) -> Tuple[str, ...]:
        """Return the float layers that equal Caffe's only approximately, in network order."""
        return tuple(node.name for node in self.graph.nodes if self._is_inexact(node, follows))

    def inexact_layers(
        self, blob: Union[str, Value], follows: Optional[Follows] = None
    ) -> Tuple[str, ...]:
        """Return the float layers upstream of ``blob`` that equal Caffe only approximately.

        None is upstream of a fed layer, which gives what Caffe gives.

        Args:
            blob: its name, or the tensor.
            follows: whether the libraries of the framework at hand compute a layer as we do:
                :meth:`Executor.follows`; None: they do.
        """
        found: List[str] = []
        stack, seen = [self.graph.final_value(blob) if isinstance(blob, str) else blob], set()
        while stack:
            value = stack.pop()
            node = self.graph.producer(value)
            if node is None or value in seen:
                continue
            seen.add(value)
            if self._is_inexact(node, follows):
                found.append(node.name)
            stack.extend(node.inputs)
        return tuple(dict.fromkeys(found))  # a layer with several tops was met more than once

    def _is_inexact(self, node: Node, follows: Optional[Follows]) -> bool:
        if node in self._layers or isinstance(node.attributes, (Quant, DeQuant, Input, Fed)):
            return False
        if not node.type.is_exact(node):
            return True
        return follows is not None and node.type.is_library_dependent(node) and not follows(node)

    def run(
        self,
        inputs: Mapping[str, Array],
        outputs: Optional[Sequence[str]] = None,
        fed: Optional[Mapping[str, Sequence[Array]]] = None,
    ) -> Dict[str, Array]:
        """Run one batch.

        Args:
            inputs: float32 arrays by input blob; any batch size.
            outputs: blobs to return; None: the network's outputs.  The blob of a Quant is int8,
                that of an integer layer int32 (the accumulator with its bias), others are float32.
            fed: what each of :attr:`fed_layers` gives, one array per top.

        Raises:
            ModelError: an input is missing or has the wrong shape, or a blob does not exist.
            QuantizationError: an accumulator leaves the int32 range.
        """
        names = tuple(self.outputs if outputs is None else outputs)
        self._check_blobs(names)
        wanted = {name: self.graph.final_value(name) for name in names}
        found = self.run_values(inputs, tuple(wanted.values()), fed)
        return {name: found[value] for name, value in wanted.items()}

    def check_inputs(self, inputs: Mapping[str, Array]) -> None:
        """Check that there are data for each input of the network.

        Raises:
            ModelError: one is missing or has the wrong shape.
        """
        for name, shape in self.inputs.items():
            checked_input(inputs, name, shape)

    def run_values(
        self,
        inputs: Mapping[str, Array],
        values: Sequence[Value],
        fed: Optional[Mapping[str, Sequence[Array]]] = None,
    ) -> Dict[Value, Array]:
        """Run one batch as :meth:`run` does; return tensors that in-place layers replace, too."""
        self._check_weights()
        self._check_batch_size(inputs)
        given = self._with_fed(inputs, fed or {})
        wanted = frozenset(values)
        if self._fast is not None:
            return self._fast.run(given, wanted)
        execution = Execution(given)
        result: Dict[Value, Array] = {}
        last_uses = self._last_uses()
        for index, node in enumerate(self.graph.nodes):
            for value, tensor in zip(node.outputs, execution.run(node)):
                if value in wanted:
                    result[value] = as_array(tensor)
            for value in last_uses.get(index, ()):
                execution.tensors.pop(value, None)
        return result

    def _with_fed(
        self, inputs: Mapping[str, Array], fed: Mapping[str, Sequence[Array]]
    ) -> Mapping[str, Array]:
        for layer in self.fed_layers:
            if len(fed.get(layer.name, ())) != len(layer.outputs):
                raise ModelError(
                    f"layer type '{layer.op}' cannot be simulated, and {len(layer.outputs)} arrays "
                    f"are not given for its tops; given for: {sorted(fed)}.",
                    file=self.graph.file,
                    layer=layer.name,
                    remedy="Give run(fed=...) what it gives in the framework.",
                )
        return {**inputs, **fed_inputs(fed)} if fed else inputs

    def run_on_integers(
        self,
        inputs: Mapping[str, Array],
        integers: Mapping[str, NDArray[np.int8]],
        values: Sequence[Value],
        fed: Optional[Mapping[str, Sequence[Array]]] = None,
    ) -> Dict[Value, Array]:
        """Run one batch with the int8 inputs of all quantized layers given.

        Args:
            inputs, values, fed: as for :meth:`run_values`.
            integers: what the Quant of each quantized layer gives, by layer.
        """
        if self._on_given is None:
            graph = with_given_integers(self.graph, self.quantized_layers)
            self._on_given = Simulator.from_graph(graph, self.engine)
        given = dict(fed or {})
        for layer in self.quantized_layers:
            given.update(given_integers(layer, integers[layer.name]))
        return self._on_given.run_values(inputs, values, given)

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
            batch_size: samples per batch, at most; where inputs are not as long as each other,
                batches are those that the network declares.
            outputs: as for :meth:`run`.

        Yields:
            What :meth:`run` returns for each batch, in order.
        """
        for batch in self.batches(data, batch_size):
            yield self.run(batch, outputs)

    def batches(
        self, data: Union[DataSource, Mapping[str, Array]], batch_size: int = 100
    ) -> Batches:
        """Return the batches in which this network takes ``data``; see :func:`data.batches`.

        Raises:
            ModelError: there are no data, or none for any input.
        """
        source = data if isinstance(data, DataSource) else ArraySource(data)
        divisible = not any(node.type.needs_whole_batch for node in self.graph.nodes)
        return batches(source, self.inputs, batch_size, divisible)

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

    def _check_weights(self) -> None:
        """Raise an error where weights are for another input than the network gives them.

        Not earlier, for whoever compares networks asks what is in them first.
        """
        if not self._fits:
            check_weights_fit(self.graph, {})
            self._fits = True

    def _check_batch_size(self, inputs: Mapping[str, Array]) -> None:
        """Raise an error where constants of the network have the batch size that it says."""
        constants = [node for node in self.graph.nodes if isinstance(node.attributes, Data)]
        for blob, declared in self.inputs.items():
            given = np.shape(inputs.get(blob, ()))[:1]
            for node in constants if given and given != declared[:1] else ():
                if declared[:1] in [shape[:1] for shape in node.typed(Data).shapes if shape]:
                    raise ModelError(
                        f"it gives constants for a batch of {declared[0]}, and input '{blob}' has "
                        f"a batch of {given[0]}.",
                        file=self.graph.file,
                        layer=node.name,
                        remedy=f"Give batches of {declared[0]} (--batch-size {declared[0]}).",
                    )

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


def _read(saved: SavedModel, check_set: bool) -> Graph:
    graph = saved.read()
    if check_set:
        saved.check_set()
    return graph


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
