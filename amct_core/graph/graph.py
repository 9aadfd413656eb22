"""A network of one phase, as nodes in execution order over single-assignment values.

Frameworks such as Caffe name *storage*: an in-place ReLU reads and writes the blob ``conv1``, and
``conv1`` before it is another tensor than ``conv1`` after it.  Quantization reasons about tensors,
so a :class:`Value` is a blob name together with how often that name had been written before.
"""

from __future__ import annotations

import difflib
from typing import Any, Iterable, Iterator, Optional, Sequence, Tuple, Type, TypeVar, Union

import attrs
from numpy.typing import NDArray

from amct_core.errors import ModelError
from amct_core.extensions.layer_type import LayerType
from amct_core.graph.attributes import Attributes, Opaque

A = TypeVar("A", bound=Attributes)


def _names(values: Iterable[str]) -> Tuple[str, ...]:
    return tuple(values)


def _layer_type(given: Union[str, LayerType]) -> LayerType:
    return LayerType(given) if isinstance(given, str) else given


def _arrays(values: Iterable[NDArray[Any]]) -> Tuple[NDArray[Any], ...]:
    return tuple(values)


@attrs.frozen
class Value:
    """One tensor: the blob ``name`` after it has been written ``version`` times before.

    ``version`` is 0 for the first writer (or for a blob that nobody writes), 1 for the tensor
    that an in-place layer makes of it, and so on.
    """

    name: str
    version: int = 0

    def __str__(self) -> str:
        return self.name if self.version == 0 else f"{self.name}#{self.version}"


@attrs.frozen(eq=False)
class Node:
    """One layer.

    Attributes:
        name: the layer's name, unique among the nodes of a graph that have weights.
        type: what is known of the layer type; a name stands for one of which nothing is known.
            When a plugin's frontend or backend has read the network, what is declared of the type
            takes its place.
        bottoms, tops: the blob names it reads and writes, in order.
        attributes: the typed parameters of the layer; :class:`Opaque` for types core does not know.
        weights: float32 (or, in deployed models, integer) arrays in the framework's own layout.
        float16: whether what it gives is rounded to float16.  No file says so; a graph that stands
            for what a processor computes does.
        source: the frontend's own handle of the layer, for extensions that know that frontend.
        inputs, outputs: the values behind ``bottoms`` and ``tops``; filled in by :class:`Graph`.
    """

    name: str
    type: LayerType = attrs.field(converter=_layer_type)
    bottoms: Tuple[str, ...] = attrs.field(converter=_names)
    tops: Tuple[str, ...] = attrs.field(converter=_names)
    attributes: Attributes = attrs.field(factory=Opaque)
    weights: Tuple[NDArray[Any], ...] = attrs.field(default=(), converter=_arrays, repr=False)
    source: Any = attrs.field(default=None, repr=False)
    float16: bool = False
    inputs: Tuple[Value, ...] = ()
    outputs: Tuple[Value, ...] = ()

    def typed(self, kind: Type[A]) -> A:
        """Return the attributes, which the layer type promises to be of ``kind``."""
        assert isinstance(self.attributes, kind), (self.name, self.attributes)
        return self.attributes

    @property
    def op(self) -> str:
        """The layer type in the framework's words, such as ``Convolution``."""
        return self.type.name

    @property
    def in_place(self) -> bool:
        """True if the layer writes a blob that it reads."""
        return any(top in self.bottoms for top in self.tops)


@attrs.frozen
class Use:
    """One reading of a value: input number ``index`` of ``node``."""

    node: Node
    index: int


def _assign_values(nodes: Iterable[Node]) -> Iterator[Node]:
    versions: dict[str, int] = {}
    for node in nodes:
        # Reading a blob that nobody wrote makes it a network input: version 0 is taken.
        inputs = tuple(Value(name, versions.setdefault(name, 0)) for name in node.bottoms)
        for name in node.tops:
            versions[name] = versions.get(name, -1) + 1
        outputs = tuple(Value(name, versions[name]) for name in node.tops)
        yield attrs.evolve(node, inputs=inputs, outputs=outputs)


class Graph:
    """The layers of one phase in execution order, with who makes and who reads each value.

    Args:
        name: name of the network.
        nodes: layers in execution order.
        file: where the network came from, for messages.
        source: the frontend's own handle of the network, for extensions that know that frontend.
    """

    def __init__(
        self, name: str, nodes: Iterable[Node], file: object = None, source: Any = None
    ) -> None:
        self.name = name
        self.file = file
        self.source = source
        self.nodes: Tuple[Node, ...] = tuple(_assign_values(nodes))
        self._by_name: dict[str, Node] = {}
        self._producer: dict[Value, Node] = {}
        self._uses: dict[Value, list[Use]] = {}
        for node in self.nodes:
            self._by_name.setdefault(node.name, node)
            for index, value in enumerate(node.inputs):
                self._uses.setdefault(value, []).append(Use(node, index))
            for value in node.outputs:
                self._producer[value] = node

    def __contains__(self, name: object) -> bool:
        return name in self._by_name

    def node(self, name: str) -> Node:
        """Return the node called ``name``.

        Raises:
            ModelError: there is none; the message lists near names.
        """
        try:
            return self._by_name[name]
        except KeyError:
            near = difflib.get_close_matches(name, self._by_name, n=3)
            hint = f"Did you mean {', '.join(repr(n) for n in near)}?" if near else ""
            raise ModelError(
                f"the network has no layer of this name. {hint}".rstrip(),
                file=self.file,
                layer=name,
            ) from None

    def producer(self, value: Value) -> Optional[Node]:
        """Return the node that writes ``value``, or None for a network input."""
        return self._producer.get(value)

    def uses(self, value: Value) -> Sequence[Use]:
        """Return every reading of ``value``, in execution order."""
        return self._uses.get(value, [])

    @property
    def inputs(self) -> Tuple[Value, ...]:
        """Values that are read but written by no node."""
        return tuple(value for value in self._uses if value not in self._producer)

    @property
    def outputs(self) -> Tuple[Value, ...]:
        """Values that are written and never read, in order of their writers."""
        return tuple(v for node in self.nodes for v in node.outputs if not self._uses.get(v))

    def final_value(self, blob: str) -> Value:
        """Return the last tensor that blob name ``blob`` stands for.

        Raises:
            ModelError: no layer writes or reads a blob of this name.
        """
        candidates = [v for v in (*self._producer, *self._uses) if v.name == blob]
        if not candidates:
            raise ModelError(f"the network has no blob '{blob}'.", file=self.file)
        return max(candidates, key=lambda value: value.version)

    def replace(self, nodes: Iterable[Node]) -> Graph:
        """Return a graph of the same name, file and source with other nodes."""
        return Graph(self.name, nodes, self.file, self.source)
