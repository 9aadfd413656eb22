"""Changes to a configuration that somebody names: ``--only``, ``--apply``, ``--skip``, ``--set``.

They are made in this order, whatever the order on the command line:

1. ``only``: the layers that are named are quantized, and no others;
2. the advice, file by file and entry by entry;
3. ``skip``: the layers that are named are left in float;
4. the assignments, in their order: a later one wins over an earlier one, and over the advice.

A layer that ``skip`` names itself, not by a pattern, stays in float: what switches it on again is
refused.  The values of a layer that is left in float are set all the same; they have no effect
until it is switched on.  Changes are made in the JSON, so that what reads a file checks them as
well.
"""

from __future__ import annotations

import logging
from typing import Callable, Dict, Generic, List, Sequence, Tuple

import attrs

from amct_core.config.advice import Advice, NotApplied
from amct_core.config.assignments import OPTION, Assignment
from amct_core.config.document import Document
from amct_core.config.forms import C, ConfigForm
from amct_core.config.network_layers import QuantizableLayers
from amct_core.config.selectors import Selector
from amct_core.errors import ConfigError, NothingEnabledError

_log = logging.getLogger("amct_core.config")


@attrs.frozen
class Edits:
    """What to change in a configuration.

    Attributes:
        only: the layers to quantize, and no others; none: this says nothing.
        advice: files of advice to follow.
        skip: layers to leave in float.
        assignments: values to set.
    """

    only: Tuple[Selector, ...] = ()
    advice: Tuple[Advice, ...] = ()
    skip: Tuple[Selector, ...] = ()
    assignments: Tuple[Assignment, ...] = ()

    @property
    def files(self) -> Dict[str, str]:
        """The files that are read, by what names them in messages."""
        return {f"advice {place}": each.file for place, each in enumerate(self.advice, 1)}

    @property
    def said(self) -> Tuple[str, ...]:
        """What was said, option by option, for messages and to tell whether it is the same."""
        return (
            *(each.source for each in self.only),
            *(f"--apply {each.file}" for each in self.advice),
            *(each.source for each in self.skip),
            *(each.source for each in self.assignments),
        )

    def not_applied(self, form: str) -> Tuple[NotApplied, ...]:
        """Return the advice that is not applied to this form of configuration, with the reason."""
        return tuple(each for advice in self.advice for each in advice.not_applied(form))

    def apply(
        self,
        config: C,
        layers: QuantizableLayers,
        form: ConfigForm[C],
        check: Callable[[C], C],
    ) -> C:
        """Return ``config`` with the changes.

        Args:
            config: with an entry for every layer that can be quantized.
            layers: those of the network.
            form: of ``config``.
            check: returns a configuration as it is to be, or raises a ConfigError.

        Raises:
            ConfigError: a change names no layer or no key, has a value that ``check`` or the
                reading of a file refuses, or contradicts another.
            NothingEnabledError: no layer is left to be quantized.
        """
        if self == Edits():
            return config
        editor = _Editor(Document.of(config, form), layers)
        editor.keep_only(self.only)
        for advice in self.advice:
            editor.follow(advice)
        named = {name: each for each in self.skip for name in editor.skip(each)}
        editor.assign(self.assignments)
        changed = editor.document.read(check)
        for name, selector in named.items():
            if name in changed.enabled:
                raise ConfigError(
                    f"it leaves the layer in float, and {OPTION} switches it on.",
                    file=selector.source,
                    layer=name,
                    remedy="Leave one of the two out.",
                )
        if not changed.enabled:
            raise NothingEnabledError(
                "after these changes no layer is quantized.",
                field=form.switch,
                remedy="Leave fewer layers in float.",
            )
        return changed


@attrs.frozen
class _Editor(Generic[C]):
    document: Document[C]
    layers: QuantizableLayers

    def keep_only(self, selectors: Sequence[Selector]) -> None:
        kept = {n for each in selectors for n in each.quantizable(self.layers).quantizable}
        for name in self.layers.supported if selectors else ():
            self._switch(name, name in kept, selectors[0].source)

    def follow(self, advice: Advice) -> None:
        keys, form = self.document.form.keys, self.document.form.name
        assignments: List[Assignment] = []
        for entry, cure in advice.cures(form):
            selector = Selector(entry.layer, advice.file, is_name=True)
            if cure.skip:
                self.skip(selector)
            for key, value in cure.values.items():
                try:
                    path = keys.path(key, advice.file)
                except ConfigError as error:
                    raise error.at(layer=entry.layer) from error
                assignments.append(Assignment(advice.file, selector, path, value))
        self.assign(assignments)

    def skip(self, selector: Selector) -> Tuple[str, ...]:
        """Leave layers in float; return the one that is named, if it is no pattern."""
        found = selector.find(self.layers)
        for name in found.quantizable:
            self._switch(name, False, selector.source)
        if not found.quantizable:
            for name in found.others:
                _log.info(
                    "%s: layer '%s' is in float anyway: %s",
                    *(selector.source, name, self.layers.reasons[name]),
                )
        return found.quantizable if found.by_name else ()

    def assign(self, assignments: Sequence[Assignment]) -> None:
        # A new algorithm forgets the parameters of the old one, not those that are set for it.
        choices = (self.document.form.calibrator, *self.document.form.choices)
        for each in sorted(assignments, key=lambda each: each.path not in choices):
            for name in (None,) if each.selector is None else self._targets(each):
                self.document.set(name, each.path, each.value, each.source)

    def _targets(self, assignment: Assignment) -> Tuple[str, ...]:
        """Return the layers whose entry has the key: those without weights lack some."""
        assert assignment.selector is not None
        names = assignment.selector.quantizable(self.layers).quantizable
        if assignment.path[0] != self.document.form.weight:
            return names
        weighted = tuple(name for name in names if self.layers.supported[name].has_weights)
        if not weighted:
            raise ConfigError(
                "the layer has no weights.",
                file=assignment.source,
                layer=names[0],
                field=".".join(assignment.path),
                remedy="Name a layer that has weights.",
            )
        return weighted

    def _switch(self, name: str, value: bool, source: str) -> None:
        self.document.set(name, (self.document.form.switch,), value, source)
