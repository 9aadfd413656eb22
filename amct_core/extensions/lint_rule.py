"""Extension type for a rule of ``amct lint``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Callable, ClassVar, Iterable, Optional

import attrs

from amct_core.errors import PluginError
from amct_core.extensions.provided import Provided
from amct_core.extensions.validation import is_callable, is_text, plugin_name

if TYPE_CHECKING:
    from amct_core.graph import Graph

ERROR = "error"
"""The model cannot be used, or it computes something else than it says."""

WARNING = "warning"
"""The model can be used, and the user should know."""

_OURS = re.compile(r"A\d{3}", re.IGNORECASE)


def _is_free(instance: object, attribute: attrs.Attribute[str], value: str) -> None:
    plugin_name(instance, attribute, value)
    if _OURS.fullmatch(value):
        raise PluginError(
            f"LintRule '{value}': ids of an A and three digits are those of the built-in rules.",
            remedy="Give it another id, such as one that begins with the plugin's name.",
        )


def _is_severity(instance: object, attribute: attrs.Attribute[str], value: object) -> None:
    if value not in (ERROR, WARNING):
        name = getattr(instance, "name", "?")
        raise PluginError(
            f"LintRule '{name}': severity is {value!r}; expected '{ERROR}' or '{WARNING}'."
        )


@attrs.frozen
class LintProblem:
    """One place where a rule is broken.

    Attributes:
        message: what was found and what was expected.
        layer: the layer at fault, if it is one.
        field: the field at fault, if it is one.
    """

    message: str
    layer: Optional[str] = None
    field: Optional[str] = None


@attrs.frozen
class LintRule(Provided):
    """Something that is wrong with a deployable model, for a reason of the plugin's own.

    Attributes:
        name: the id, which ``--explain`` takes; not an ``A`` and three digits.
        severity: :data:`~amct_core.extensions.lint_rule.ERROR` or
            :data:`~amct_core.extensions.lint_rule.WARNING`.
        title: one line.
        fix: what the user can do, one or two sentences.
        explanation: its page in Markdown, below the title: why, and where it is written.
        check: ``(graph, soc_version) -> [LintProblem, ...]``, of the deployable network as it is
            fed with arrays, with Quant, integer layers and DeQuant; ``soc_version`` is None where
            no processor is named.  It changes nothing.
    """

    kind: ClassVar[str] = "lint rule"
    is_chosen: ClassVar[bool] = False

    name: str = attrs.field(validator=_is_free)
    severity: str = attrs.field(validator=_is_severity)
    title: str = attrs.field(validator=is_text)
    fix: str = attrs.field(validator=is_text)
    explanation: str = attrs.field(validator=is_text, repr=False)
    check: Callable[[Graph, Optional[str]], Iterable[LintProblem]] = attrs.field(
        validator=is_callable, repr=False
    )

    @property
    def id(self) -> str:
        """Its name, as rules have it."""
        return self.name

    def page(self) -> str:
        """Return its page in Markdown."""
        head = f"# {self.id}: {self.title}\n\nSeverity: {self.severity}\n\n"
        return f"{head}{self.explanation.strip()}\n\n{self.fix}\n"
