"""Which layers of a network the user means: a name, a pattern, or a type.

A selector is, in this order,

1. the name of a layer of the network, whatever characters it has;
2. ``type:`` and a layer type or a pattern of one: ``type:InnerProduct``, ``type:*Convolution*``;
3. a pattern of names in which ``*`` is any characters (``/`` and ``.`` as well), ``?`` is one
   character, and ``[abc]`` is one of these; ``[*]`` is the character ``*`` itself.

Upper and lower case count.
"""

from __future__ import annotations

import difflib
import fnmatch
import re
from typing import Callable, Iterable, List, Set, Tuple

import attrs

from amct_core.config.network_layers import QuantizableLayers
from amct_core.errors import ConfigError

TYPE = "type:"
_WILDCARDS = "*?["
_MOST_NEAR = 5


@attrs.frozen
class Selected:
    """The layers that a selector means.

    Attributes:
        quantizable: those that can be quantized, in network order.
        others: those that cannot, in network order.
        by_name: whether the selector is the name of the only one.
    """

    quantizable: Tuple[str, ...]
    others: Tuple[str, ...]
    by_name: bool


@attrs.frozen
class Selector:
    """A selector and where it is written.

    Attributes:
        text: as written.
        source: the option or the file, for messages.
        is_name: whether it is a name alone, in which no character is special.
    """

    text: str
    source: str
    is_name: bool = False

    def find(self, layers: QuantizableLayers) -> Selected:
        """Return the layers that it means.

        Raises:
            ConfigError: there is none; the message lists what is near.
        """
        names, by_name = self._names(layers)
        if not names:
            raise self._nothing(layers)
        quantizable = tuple(name for name in layers.supported if name in names)
        others = tuple(name for name in layers.types if name in names - set(quantizable))
        return Selected(quantizable, others, by_name)

    def quantizable(self, layers: QuantizableLayers) -> Selected:
        """Return as :meth:`find`, where at least one layer can be quantized.

        Raises:
            ConfigError: there is none that can be; the message says why.
        """
        found = self.find(layers)
        if not found.quantizable:
            first = found.others[0]
            raise ConfigError(
                f"this layer cannot be quantized: {layers.reasons[first]}"
                if found.by_name
                else f"no layer that it means can be quantized, such as '{first}': "
                f"{layers.reasons[first]}",
                file=self.source,
                layer=first if found.by_name else None,
                remedy="Name another layer.",
            )
        return found

    def _names(self, layers: QuantizableLayers) -> Tuple[Set[str], bool]:
        if self.text in layers.types:
            return {self.text}, True
        if self.is_name:
            return set(), True
        if self.text.startswith(TYPE):
            matches = self._pattern(self.text[len(TYPE) :])
            return {name for name, kind in layers.types.items() if matches(kind.name)}, False
        matches = self._pattern(self.text)
        return {name for name in layers.types if matches(name)}, False

    def _pattern(self, pattern: str) -> Callable[[str], object]:
        try:
            return re.compile(fnmatch.translate(pattern)).match
        except re.error as error:
            raise ConfigError(
                f"'{pattern}' is no pattern: {error}.",
                file=self.source,
                remedy="Write [[] for the character [ itself.",
            ) from error

    def _nothing(self, layers: QuantizableLayers) -> ConfigError:
        of_type = self.text.startswith(TYPE) and not self.is_name
        plain = self.text[len(TYPE) :] if of_type else self.text
        known = list(
            dict.fromkeys(kind.name for kind in layers.types.values()) if of_type else layers.types
        )
        is_pattern = not self.is_name and any(each in plain for each in _WILDCARDS)
        what = "type" if of_type else "name"
        return ConfigError(
            f"no {what} of a layer of this network matches '{plain}'."
            if is_pattern
            else f"the network has no layer of {what} '{plain}'.",
            file=self.source,
            remedy=_near(plain.strip(_WILDCARDS), known, TYPE if of_type else ""),
        )


def _near(text: str, known: List[str], prefix: str) -> str:
    """Return which of ``known`` may be meant; where nothing is near, what there is."""
    near = difflib.get_close_matches(text, known, n=_MOST_NEAR, cutoff=0.5)
    if near:
        return f"Did you mean {_listed(prefix + each for each in near)}?"
    shown = known[:_MOST_NEAR]
    rest = len(known) - len(shown)
    more = f" and {rest} others" if rest else ""
    return f"There are {_listed(prefix + each for each in shown)}{more}."


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)
