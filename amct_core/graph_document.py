"""A network as plain data, for backends whose files are their own: JSON (or the like) and arrays.

``as_document`` gives a dictionary of strings, numbers, booleans, None, lists and dictionaries::

    {"name": network, "layers": [
        {"name": ..., "type": ..., "bottoms": [...], "tops": [...],
         "kind": the class of the parameters, "parameters": {...}, "arrays": their number}, ...]}

and ``arrays_of`` the layers' arrays, called ``<layer>/<array>`` by their numbers from 0.
"""

from __future__ import annotations

from typing import Any, Dict, Iterator, Mapping, Type

import attrs
import numpy as np
from numpy.typing import NDArray

from amct_core.errors import FileFormatError, ModelError
from amct_core.graph import Graph, Node
from amct_core.graph.attributes import Attributes
from amct_core.plugins import registries

_REMEDY = "Save the model again; a plugin that declares its layer types must be installed."
_NUMBERS = (bool, int, float, str, type(None))


def as_document(graph: Graph) -> Dict[str, Any]:
    """Return ``graph`` without its arrays.

    Raises:
        ModelError: a parameter of a layer is neither a number nor text, nor a tuple of these.
    """
    return {"name": graph.name, "layers": [_layer(node, graph) for node in graph.nodes]}


def arrays_of(graph: Graph) -> Dict[str, NDArray[Any]]:
    """Return the arrays of all layers, as they are."""
    return {
        _key(number, index): array
        for number, node in enumerate(graph.nodes)
        for index, array in enumerate(node.weights)
    }


def from_document(document: Any, arrays: Mapping[str, NDArray[Any]], file: object) -> Graph:
    """Return the graph of which ``document`` and ``arrays`` were made.

    Args:
        document: what :func:`as_document` gave.
        arrays: what :func:`arrays_of` gave.
        file: where they were read, for messages and as the graph's own.

    Raises:
        FileFormatError: they are not what was written, or a class of parameters is not known.
    """
    plugins = registries()
    _ = plugins.layer_types  # who declares a layer type has the class of its parameters
    kinds = {_name_of(kind): kind for kind in _subclasses(Attributes)}
    try:
        nodes = [_node(*each, kinds, arrays) for each in enumerate(document["layers"])]
        declared = (attrs.evolve(node, type=plugins.layer_type(node.op)) for node in nodes)
        return Graph(document["name"], declared, file)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise FileFormatError(
            f"it is not a network as it was written: {type(error).__name__} {error}.",
            file=file,
            remedy=_REMEDY,
        ) from error


def _layer(node: Node, graph: Graph) -> Dict[str, Any]:
    parameters = {}
    for field in attrs.fields(type(node.attributes)):
        value = getattr(node.attributes, field.name)
        try:
            parameters[field.name] = _plain(value)
        except TypeError:
            raise ModelError(
                f"its parameter '{field.name}' is {value!r}, which is neither a number nor text.",
                file=graph.file,
                layer=node.name,
                remedy="Save with another deploy backend.",
            ) from None
    return {
        "name": node.name,
        "type": node.op,
        "bottoms": list(node.bottoms),
        "tops": list(node.tops),
        "kind": _name_of(type(node.attributes)),
        "parameters": parameters,
        "arrays": len(node.weights),
    }


def _node(
    number: int,
    layer: Any,
    kinds: Mapping[str, Type[Attributes]],
    arrays: Mapping[str, NDArray[Any]],
) -> Node:
    parameters = {name: _with_tuples(value) for name, value in layer["parameters"].items()}
    return Node(
        layer["name"],
        layer["type"],
        layer["bottoms"],
        layer["tops"],
        kinds[layer["kind"]](**parameters),
        tuple(arrays[_key(number, index)] for index in range(layer["arrays"])),
    )


def _plain(value: Any) -> Any:
    if isinstance(value, (tuple, list)):
        return [_plain(each) for each in value]
    plain = value.item() if isinstance(value, np.generic) else value
    if type(plain) not in _NUMBERS:
        raise TypeError
    return plain


def _with_tuples(value: Any) -> Any:
    return tuple(map(_with_tuples, value)) if isinstance(value, list) else value


def _subclasses(kind: Type[Attributes]) -> Iterator[Type[Attributes]]:
    for each in kind.__subclasses__():
        yield each
        yield from _subclasses(each)


def _name_of(kind: Type[Attributes]) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def _key(number: int, index: int) -> str:
    return f"{number}/{index}"
