"""Typed look-up of what plugins provide: one registry per kind."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Sequence
from typing import Generic, Optional, Protocol, TypeVar, Union

import attrs

from amct_core.errors import PluginError
from amct_core.extensions.provided import Provided


class Named(Protocol):
    """Anything a registry can hold."""

    @property
    def name(self) -> str:
        """The key it is looked up by."""


Item = TypeVar("Item", bound=Named)


@attrs.define
class Registry(Generic[Item]):
    """The items of one kind, each with the plugin that provides it.

    Attributes:
        kind: what an item is, in words, for messages ("shift-N search").
        failed_plugins: names of plugins that could not be loaded; an unknown name may be theirs.
        join: for a kind whose items may come in parts, ``(first, second) -> whole``, or the names
            of the parts that both declare.
        left_out: why what a plugin provides of this kind is left out, by plugin.
    """

    kind: str
    failed_plugins: tuple[str, ...] = ()
    join: Optional[Callable[[Item, Item], Union[Item, tuple[str, ...]]]] = None
    _items: dict[str, Item] = attrs.field(factory=dict)
    _providers: dict[str, str] = attrs.field(factory=dict)
    left_out: dict[str, PluginError] = attrs.field(factory=dict, kw_only=True)

    def copy(self) -> Registry[Item]:
        """Return one that can be added to, while this one stays as it is."""
        return attrs.evolve(
            self,
            items=dict(self._items),
            providers=dict(self._providers),
            left_out=dict(self.left_out),
        )

    def add(self, item: Item, provider: str) -> None:
        """Register ``item`` as coming from ``provider``.

        Raises:
            PluginError: another item has this name, and the two are not parts of one; both
                providers are named.
        """
        name = item.name
        if name in self._items:
            joined = () if self.join is None else self.join(self._items[name], item)
            if isinstance(joined, tuple):
                raise self._taken(name, provider, joined)
            item, known = joined, self._providers[name]
            provider = known if provider in known.split(", ") else f"{known}, {provider}"
        self._items[name] = _with_provider(item, provider)
        self._providers[name] = provider

    def _taken(self, name: str, provider: str, parts: Sequence[str]) -> PluginError:
        """Return the error that a name is taken, or that ``parts`` of an item are."""
        first = self._providers[name]
        which = f" ({', '.join(parts)})" if parts else ""
        if provider == first:
            twice = "declares one part of" if parts else "returns"
            return PluginError(
                f"plugin '{provider}' {twice} the {self.kind} '{name}'{which} twice.",
                remedy="Uninstall the plugin, or tell its author.",
            )
        if parts:
            return PluginError(
                f"two plugins declare one part of the {self.kind} '{name}'{which}: '{first}' and "
                f"'{provider}'.",
                remedy="Uninstall one of them, or leave to the other what it declares.",
            )
        return PluginError(
            f"two plugins provide the {self.kind} '{name}': '{first}' and '{provider}'.",
            remedy="Uninstall one of them, or ask its author for another name.",
        )

    def get(self, name: str) -> Item:
        """Return the item called ``name``.

        Raises:
            PluginError: there is none; the message lists what there is and who provides it.
        """
        try:
            return self._items[name]
        except KeyError:
            raise PluginError(self._unknown(name)) from None

    def provider(self, name: str) -> str:
        """Return the name of the plugin that provides ``name``."""
        self.get(name)
        return self._providers[name]

    def names(self) -> list[str]:
        """Return all names, sorted."""
        return sorted(self._items)

    def __contains__(self, name: object) -> bool:
        return name in self._items

    def __iter__(self) -> Iterator[Item]:
        return (self._items[name] for name in self.names())

    def _unknown(self, name: str) -> str:
        known = ", ".join(f"'{n}' (from {self._providers[n]})" for n in self.names()) or "none"
        near = difflib.get_close_matches(name, self._items, n=1)
        message = f"there is no {self.kind} '{name}'; known: {known}."
        if near:
            message += f" Did you mean '{near[0]}'?"
        suspects = (*self.failed_plugins, *self.left_out)
        if suspects:
            failed = ", ".join(f"'{plugin}'" for plugin in suspects)
            message += f" These plugins failed to load and may have provided it: {failed}."
        return message


def _with_provider(item: Item, provider: str) -> Item:
    """Return ``item`` with the plugin that it comes from, if it is of a kind that remembers it."""
    return attrs.evolve(item, provider=provider) if isinstance(item, Provided) else item
