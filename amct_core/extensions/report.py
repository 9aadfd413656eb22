"""Extension types for judging results: metrics by name, and sections of the report."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, ClassVar, Iterable, Mapping, Optional, Tuple, Union

import attrs

from amct_core.extensions.provided import Provided
from amct_core.extensions.validation import is_callable, is_text, plugin_name

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from amct_core.graph import Graph

    Array = NDArray[Any]

Cell = Union[str, int, float]


@attrs.frozen
class Evaluator(Provided):
    """A metric: judges the outputs of a network.

    Attributes:
        name: what ``--metric`` says.
        description: one line for people.
        score: ``(outputs, labels) -> float or array``: float32 arrays by blob, with the samples on
            axis 0; and labels (None where there are none).  Returns one finite number, or one for
            each sample, of which the mean counts.  For ``amct ptq auto``, 1 is 100 % and 0 is 0 %.

    The outputs that ``score`` gets are not the same in both commands:

    * ``amct evaluate``: those of the deployable network, in which a SoftmaxWithLoss has become a
      Softmax, in their order; behind them, unless it is one of them, the blob that ``--scores``
      names or the Accuracy layer reads.
    * ``amct ptq auto``: with ``--scores``, that blob alone; else the outputs of the TEST network,
      and in place of a loss or an Accuracy what it judges.

    With ``--scores BLOB``, the last one is that blob in both, unless the deployable network has it
    among several outputs.
    """

    kind: ClassVar[str] = "evaluator"

    name: str = attrs.field(validator=plugin_name)
    description: str = attrs.field(validator=is_text)
    score: Callable[[Mapping[str, Array], Optional[Array]], Any] = attrs.field(
        validator=is_callable
    )


def _rows(rows: Iterable[Iterable[Cell]]) -> Tuple[Tuple[Cell, ...], ...]:
    return tuple(map(tuple, rows))


def _texts(texts: Iterable[str]) -> Tuple[str, ...]:
    # One text in place of a sequence of them would become its letters.
    return (texts,) if isinstance(texts, str) else tuple(texts)


@attrs.frozen
class SectionContent:
    """What a section shows: text, and a table below it.

    Attributes:
        paragraphs: plain text; or one text alone.
        headings: of the table; empty: there is none.
        rows: of the table, each as long as the headings: text or numbers.  In JSON numbers stay
            numbers; people read 6 digits of a float.
    """

    paragraphs: Tuple[str, ...] = attrs.field(default=(), converter=_texts)
    headings: Tuple[str, ...] = attrs.field(default=(), converter=_texts)
    rows: Tuple[Tuple[Cell, ...], ...] = attrs.field(default=(), converter=_rows)


@attrs.frozen
class ReportSection(Provided):
    """A section of ``amct report``: in the terminal, in its JSON under ``sections``, on its page.

    Attributes:
        name: for programs.
        title: its heading.
        build: ``(report, graph) -> SectionContent or None``: the report as ``amct report --json``
            prints it (dictionaries, lists, numbers), and the deployable network.  None: there is
            nothing to say, and no section.
    """

    kind: ClassVar[str] = "report section"
    is_chosen: ClassVar[bool] = False

    name: str = attrs.field(validator=plugin_name)
    title: str = attrs.field(validator=is_text)
    build: Callable[[Mapping[str, Any], Graph], Optional[SectionContent]] = attrs.field(
        validator=is_callable
    )
