"""One layer of a prototxt."""

from __future__ import annotations

from typing import Any, List, Optional, Sequence

import attrs

from amct_core.textproto import Identifier, Message

_PARAM_FIELDS = ("name", "lr_mult", "decay_mult", "share_mode")


@attrs.frozen
class ParamSpec:
    """How the solver treats one blob of a layer; None: not said, so Caffe's default (1) holds.

    Attributes:
        name: blobs with the same name are shared.
        lr_mult, decay_mult: multipliers of learning rate and weight decay.
        share_mode: ``STRICT`` or ``PERMISSIVE``.
        unknown: fields of other Caffes' ``param { }``, which are kept.
    """

    name: Optional[str] = None
    lr_mult: Optional[float] = None
    decay_mult: Optional[float] = None
    share_mode: Optional[str] = None
    unknown: Message = attrs.field(factory=Message, repr=False)

    @classmethod
    def from_message(cls, message: Message) -> ParamSpec:
        """Read a ``param { }``."""
        return cls(
            name=message.string("name"),
            lr_mult=message.number("lr_mult"),
            decay_mult=message.number("decay_mult"),
            share_mode=message.enum("share_mode"),
            unknown=Message([entry for entry in message if entry.name not in _PARAM_FIELDS]),
        )

    def to_message(self) -> Message:
        """Return a ``param { }``."""
        message = Message()
        for field in ("name", "lr_mult", "decay_mult"):
            if getattr(self, field) is not None:
                message.add(field, getattr(self, field))
        if self.share_mode is not None:
            message.add("share_mode", Identifier(self.share_mode))
        message.entries.extend(self.unknown.copy().entries)
        return message


@attrs.define(eq=False)
class Layer:
    """A layer: a view of its message, which keeps every field that is not touched."""

    message: Message

    @classmethod
    def create(cls, name: str, kind: str, bottoms: Sequence[str], tops: Sequence[str]) -> Layer:
        """Return a new layer."""
        message = Message()
        message.add("name", name)
        message.add("type", kind)
        for bottom in bottoms:
            message.add("bottom", bottom)
        for top in tops:
            message.add("top", top)
        return cls(message)

    @property
    def name(self) -> str:
        """The layer's name."""
        return self.message.string("name") or ""

    @property
    def type(self) -> str:
        """The layer type."""
        return self.message.string("type") or ""

    @property
    def bottoms(self) -> List[str]:
        """The blobs it reads."""
        return self.message.strings("bottom")

    @bottoms.setter
    def bottoms(self, blobs: Sequence[str]) -> None:
        self.message.set_all("bottom", list(blobs))

    @property
    def tops(self) -> List[str]:
        """The blobs it writes."""
        return self.message.strings("top")

    @tops.setter
    def tops(self, blobs: Sequence[str]) -> None:
        self.message.set_all("top", list(blobs))

    @property
    def param_specs(self) -> List[ParamSpec]:
        """How the solver treats its blobs, as far as it says."""
        return [ParamSpec.from_message(message) for message in self.message.messages("param")]

    @param_specs.setter
    def param_specs(self, specs: Sequence[ParamSpec]) -> None:
        self.message.set_all("param", [spec.to_message() for spec in specs])

    def parameters(self, field: str) -> Message:
        """Return the parameter message ``field``; an empty one if the layer has none."""
        found = self.message.message(field)
        return found if found is not None else Message()

    def copy(self) -> Layer:
        """Return an independent copy."""
        return Layer(self.message.copy())

    def __deepcopy__(self, memo: Any) -> Layer:
        return self.copy()
