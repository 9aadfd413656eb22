"""Extension type for what processors compute otherwise than the deployable model says."""

from __future__ import annotations

import re
from typing import (
    TYPE_CHECKING,
    Any,
    Callable,
    Generic,
    Iterable,
    Optional,
    Sequence,
    Tuple,
    TypeVar,
)

import attrs

from amct_core.errors import PluginError
from amct_core.extensions.validation import is_callable, plugin_name

if TYPE_CHECKING:
    from amct_core.graph import Graph

T = TypeVar("T")

VERIFIED, INFERRED, UNKNOWN = "verified", "inferred", "unknown"
"""How well a fact is known."""


@attrs.frozen
class Fact(Generic[T]):
    """One thing known about a processor.

    Attributes:
        value: None where nothing is known.
        status: ``verified`` (read in the source), ``inferred`` (follows from it) or ``unknown``.
        source: where it is written.
    """

    value: Optional[T]
    status: str = attrs.field(validator=attrs.validators.in_((VERIFIED, INFERRED, UNKNOWN)))
    source: str


@attrs.frozen
class RolledBack:
    """A quantized layer that a processor computes in float16.

    Attributes:
        layer: its name.
        reason: what about the layer makes it so, such as "its input has 3 channels".
    """

    layer: str
    reason: str


def _is_pattern(instance: object, attribute: attrs.Attribute[str], value: str) -> None:
    try:
        re.compile(value)
    except (TypeError, re.error) as error:
        raise PluginError(
            f"Processor family '{getattr(instance, 'name', '?')}': pattern is {value!r}; expected "
            f"a regular expression: {error}."
        ) from error


def _is_fact(instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
    if not (isinstance(value, Fact) and value.value in (True, False, None)):
        raise PluginError(
            f"Processor family '{getattr(instance, 'name', '?')}': {attribute.name} is {value!r}; "
            "expected a Fact whose value is True, False or None."
        )


def _fits_its_examples(
    instance: ProcessorFamily, attribute: attrs.Attribute[Any], value: Any
) -> None:
    strangers = [name for name in value if not re.fullmatch(instance.pattern, name)]
    if strangers or not value:
        raise PluginError(
            f"Processor family '{instance.name}': examples are {list(value)}; expected at least "
            f"one name, and each to match {instance.pattern!r}."
        )


def _texts(values: Iterable[str]) -> Tuple[str, ...]:
    return tuple(values)


@attrs.frozen
class ProcessorFamily:
    """Processors that compute a deployable model alike, and where they depart from what it says.

    A difference whose fact is False or None is not simulated; of None the user is told.

    Attributes:
        name: such as ``Ascend310P``.
        description: the products that have such a processor.
        pattern: regular expression that a whole ``--soc-version`` of the family matches.
        examples: names that are known to exist, at least one.
        quantizes_in_fp16: Quant multiplies and adds in float16.
        cuts_deq_scale: deq_scale loses the 13 lowest bits of its float32.
        honours_shift_n: N takes part in what DeQuant computes; False: N = 0 everywhere.
        rolls_back: some quantized layers are computed in float16.
        rolled_back: ``(graph) -> [RolledBack, ...]``: which ones, of a deployable model; called
            only if ``rolls_back`` is True.
        not_simulated: differences that no simulation knows of, a sentence each.
    """

    name: str = attrs.field(validator=plugin_name)
    description: str
    pattern: str = attrs.field(validator=_is_pattern)
    examples: Tuple[str, ...] = attrs.field(converter=_texts, validator=_fits_its_examples)
    quantizes_in_fp16: Fact[bool] = attrs.field(validator=_is_fact)
    cuts_deq_scale: Fact[bool] = attrs.field(validator=_is_fact)
    honours_shift_n: Fact[bool] = attrs.field(validator=_is_fact)
    rolls_back: Fact[bool] = attrs.field(validator=_is_fact)
    rolled_back: Callable[[Graph], Sequence[RolledBack]] = attrs.field(validator=is_callable)
    not_simulated: Tuple[str, ...] = attrs.field(default=(), converter=_texts)
