"""A network's prototxt as a list of layers."""

from __future__ import annotations

from typing import Dict, Iterable, List, Mapping, Optional, Sequence

import attrs

from amct_caffe.model.formats.prototxt.layer import Layer, ParamSpec
from amct_caffe.model.formats.prototxt.phases import NetState, combined, has_layer, state_of
from amct_caffe.model.formats.prototxt.upgrade import upgrade_net
from amct_caffe.model.schema.validation import validate
from amct_core.errors import FileFormatError, ModelError
from amct_core.files import read_text_and_digest
from amct_core.network_state import NetworkState, NetworkStates
from amct_core.textproto import Message, format_message, parse

__all__ = ["Layer", "NetDocument", "ParamSpec", "read"]


@attrs.define(eq=False)
class NetDocument:
    """A network: its layers, and its other fields in order.

    Attributes:
        fields: every field that is not a layer.
        layers: in the order of the file, layers of all phases and states.
        file: where it was read from.
        states: what the solver says of its nets, beside the file's own ``state``.
        sha256: of the bytes of that file; None: it was not read from one.
    """

    fields: Message
    layers: List[Layer]
    file: Optional[str] = None
    states: NetworkStates = attrs.field(factory=NetworkStates)
    sha256: Optional[str] = None

    @classmethod
    def create(cls, name: str, layers: Sequence[Layer]) -> NetDocument:
        """Return a network of ``layers``."""
        fields = Message()
        fields.add("name", name)
        return cls(fields, list(layers))

    @property
    def name(self) -> str:
        """The network's name."""
        return self.fields.string("name") or ""

    def layers_in(self, phase: str, state: Optional[NetworkState] = None) -> List[Layer]:
        """Return the layers that a net of this phase has.

        Args:
            phase: ``TRAIN`` or ``TEST``.
            state: what the net's solver says; None: as in :attr:`states`.

        Raises:
            ModelError: a layer has both include and exclude rules.
        """
        found = self.state_in(phase, state)
        return [layer for layer in self.layers if has_layer(found, layer)]

    def state_in(self, phase: str, state: Optional[NetworkState] = None) -> NetState:
        """Return the state of a net of this phase; arguments as :meth:`layers_in` takes them."""
        own = state_of(self.fields.message("state") or Message())
        if state is None:
            state = self.states.train if phase == "TRAIN" else self.states.test
        return combined(phase, own, state)

    def copy(self) -> NetDocument:
        """Return an independent copy."""
        layers = [layer.copy() for layer in self.layers]
        return attrs.evolve(self, fields=self.fields.copy(), layers=layers)

    def used_layers(self) -> List[Layer]:
        """Return the layers that training or testing has, in the order of the file."""
        used = {id(layer) for phase in ("TRAIN", "TEST") for layer in self.layers_in(phase)}
        return [layer for layer in self.layers if id(layer) in used]

    def by_name(self) -> Dict[str, List[Layer]]:
        """Return the used layers of each name, in order; phases may have one each."""
        found: Dict[str, List[Layer]] = {}
        for layer in self.used_layers():
            found.setdefault(layer.name, []).append(layer)
        return found

    def insert_before(self, additions: Mapping[str, Sequence[Layer]]) -> None:
        """Put layers before the first used layer of each name in ``additions``.

        Raises:
            ModelError: there is no layer of a name.
        """
        first = {name: id(layers[0]) for name, layers in self._named(additions).items()}
        places = {first[name]: layers for name, layers in additions.items()}
        self.layers = [
            each for layer in self.layers for each in (*places.get(id(layer), ()), layer)
        ]

    def insert_after(self, additions: Mapping[str, Sequence[Layer]]) -> None:
        """Put layers behind the last used layer of each name in ``additions``.

        Raises:
            ModelError: there is no layer of a name.
        """
        last = {name: id(layers[-1]) for name, layers in self._named(additions).items()}
        places = {last[name]: layers for name, layers in additions.items()}
        self.layers = [
            each for layer in self.layers for each in (layer, *places.get(id(layer), ()))
        ]

    def _named(self, names: Iterable[str]) -> Dict[str, List[Layer]]:
        found = self.by_name()
        for name in names:
            if name not in found:
                raise ModelError(
                    "the network has no layer of this name.", file=self.file, layer=name
                )
        return {name: found[name] for name in names}

    def format(self) -> str:
        """Return the prototxt."""
        message = self.fields.copy()
        for layer in self.layers:
            message.add("layer", layer.message)
        return format_message(message)


def read(path: str) -> NetDocument:
    """Read a prototxt; old ``V1`` files are upgraded as Caffe does.

    Unknown fields and layer types are kept, in order; comments are not.

    Raises:
        FileFormatError: naming file, line, what was found and what was expected.
        ModelError: the file holds no layer.
    """
    text, sha256 = read_text_and_digest(path)
    document = from_text(text, path)
    document.sha256 = sha256
    return document


def from_text(text: str, file: Optional[str] = None) -> NetDocument:
    """Return the network that ``text`` holds; errors as :func:`read`."""
    message = parse(text, file)
    validate(message, "NetParameter", file)
    message = upgrade_net(message, file)
    layers = [Layer(found) for found in message.messages("layer")]
    if not layers:
        raise ModelError(
            "it has no layer; expected a network.",
            file=file,
            remedy="Give the network's prototxt (not a solver's).",
        )
    for layer in layers:
        if not layer.name or not layer.type:
            raise FileFormatError(
                f"line {layer.message.line}: a layer without a name or type.",
                file=file,
                layer=layer.name or None,
                field="type" if layer.name else "name",
                remedy="Give each layer a name and a type.",
            )
    message.remove("layer")
    return NetDocument(message, layers, file)
