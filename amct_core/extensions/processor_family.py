"""Extension type for what processors compute otherwise than the deployable model says."""

from __future__ import annotations

import re
from typing import (
    TYPE_CHECKING,
    Any,
    Callable,
    ClassVar,
    Generic,
    Iterable,
    Optional,
    Sequence,
    Tuple,
    TypeVar,
)

import attrs

from amct_core.errors import PluginError
from amct_core.extensions.provided import Constructed, Provided
from amct_core.extensions.validation import is_callable, plugin_name

if TYPE_CHECKING:
    from amct_core.graph import Graph

T = TypeVar("T")

VERIFIED = "verified"
"""A fact that was read in the source."""

INFERRED = "inferred"
"""A fact that follows from the source."""

UNKNOWN = "unknown"
"""A fact of which nothing is known; its value is None."""


def _is_status(instance: object, attribute: attrs.Attribute[str], value: object) -> None:
    if value not in (VERIFIED, INFERRED, UNKNOWN):
        raise PluginError(
            f"Fact: status is {value!r}; expected '{VERIFIED}', '{INFERRED}' or '{UNKNOWN}'."
        )


@attrs.frozen
class Fact(Generic[T], metaclass=Constructed):
    """One thing known about a processor.

    Attributes:
        value: None where nothing is known.
        status: :data:`~amct_core.extensions.processor_family.VERIFIED`,
            :data:`~amct_core.extensions.processor_family.INFERRED` or
            :data:`~amct_core.extensions.processor_family.UNKNOWN`.
        source: where it is written.
    """

    value: Optional[T]
    status: str = attrs.field(validator=_is_status)
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


@attrs.frozen
class Merged:
    """DeQuants and the Quants that read them, which a processor computes as one.

    Attributes:
        dequants: the DeQuant layers; several where they meet in a Concat.
        quants: the Quant layers that read them, in the order of the readers.
        relus: ReLU, ReLU6 and LeakyReLU layers between them, in network order.
        concat: the Concat between them; None if there is none.
        scale: of the Quants, which multiplies each deq_scale; the compiler's choice where they
            differ within its tolerance.
        offset: of the last Quant, which an operation that replaces all of them adds.
        keeps_relu: whether a ReLU6 or LeakyReLU stays a layer of its own.
    """

    dequants: Tuple[str, ...]
    quants: Tuple[str, ...]
    relus: Tuple[str, ...]
    concat: Optional[str]
    scale: float
    offset: int
    keeps_relu: bool = False


FLOAT32 = "float32"
"""For ``dequantizes_to``: DeQuant gives float32."""

FLOAT16 = "float16"
"""For ``dequantizes_to``: DeQuant gives float16."""

FLOAT16_SCALE = "float16 scale"
"""For ``dequantizes_to``: DeQuant gives float16, and its deq_scale is float16, too."""

INTEGERS = "integers"
"""No fact of a family: what a DeQuant that is requantized gives, ``q - offset`` of its Quants."""

SEPARATE = "separate"
"""For ``merges``: a DeQuant and the Quants behind it are computed one after the other."""

MERGED = "merged"
"""For ``merges``: the scale of the Quants moves into the deq_scale of the DeQuant before them."""

REQUANTIZED = "requantized"
"""For ``merges``: a DeQuant and the Quants behind it are one operation from int32 to int8."""


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


def _is_choice(*choices: str) -> Callable[[object, attrs.Attribute[Any], object], None]:
    def check(instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
        if not (isinstance(value, Fact) and value.value in (*choices, None)):
            raise PluginError(
                f"Processor family '{getattr(instance, 'name', '?')}': {attribute.name} is "
                f"{value!r}; expected a Fact whose value is None or one of {', '.join(choices)}."
            )

    return check


def _nothing_merged(graph: Graph) -> Sequence[Merged]:
    return ()


_UNKNOWN: Fact[Any] = Fact(None, UNKNOWN, "not told")


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
class ProcessorFamily(Provided):
    """Processors that compute a deployable model alike, and where they depart from what it says.

    A difference whose fact is False or None is not simulated; None is reported to the user.

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
        dequantizes_to: what DeQuant gives: :data:`~amct_core.extensions.processor_family.FLOAT32`,
            :data:`~amct_core.extensions.processor_family.FLOAT16`, or
            :data:`~amct_core.extensions.processor_family.FLOAT16_SCALE`.
        merges: what becomes of a DeQuant and the Quants behind it:
            :data:`~amct_core.extensions.processor_family.SEPARATE`,
            :data:`~amct_core.extensions.processor_family.MERGED` or
            :data:`~amct_core.extensions.processor_family.REQUANTIZED`.
        merged: ``(graph) -> [Merged, ...]``: which ones, of a deployable model without the layers
            that are rolled back; called only if ``merges`` is neither
            :data:`~amct_core.extensions.processor_family.SEPARATE` nor None.
        floats_in_fp16: float layers compute in float16.
        not_simulated: differences that no simulation knows of, a sentence each.
    """

    kind: ClassVar[str] = "family of processors"
    is_chosen: ClassVar[bool] = False

    name: str = attrs.field(validator=plugin_name)
    description: str
    pattern: str = attrs.field(validator=_is_pattern)
    examples: Tuple[str, ...] = attrs.field(converter=_texts, validator=_fits_its_examples)
    quantizes_in_fp16: Fact[bool] = attrs.field(validator=_is_fact)
    cuts_deq_scale: Fact[bool] = attrs.field(validator=_is_fact)
    honours_shift_n: Fact[bool] = attrs.field(validator=_is_fact)
    rolls_back: Fact[bool] = attrs.field(validator=_is_fact)
    rolled_back: Callable[[Graph], Sequence[RolledBack]] = attrs.field(validator=is_callable)
    dequantizes_to: Fact[str] = attrs.field(
        default=_UNKNOWN, validator=_is_choice(FLOAT32, FLOAT16, FLOAT16_SCALE)
    )
    merges: Fact[str] = attrs.field(
        default=_UNKNOWN, validator=_is_choice(SEPARATE, MERGED, REQUANTIZED)
    )
    merged: Callable[[Graph], Sequence[Merged]] = attrs.field(
        default=_nothing_merged, validator=is_callable
    )
    floats_in_fp16: Fact[bool] = attrs.field(default=_UNKNOWN, validator=_is_fact)
    not_simulated: Tuple[str, ...] = attrs.field(default=(), converter=_texts)
