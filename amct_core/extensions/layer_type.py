"""Extension type for a layer type: everything that the product knows of it, declared once.

A type that nobody declares is :attr:`unknown <LayerType.is_known>`: it passes through every step
that need not look inside.
"""

from __future__ import annotations

import enum
from typing import (
    TYPE_CHECKING,
    Any,
    Callable,
    ClassVar,
    Optional,
    Protocol,
    Sequence,
    Tuple,
    Union,
)

import attrs

from amct_core.errors import PluginError
from amct_core.extensions.provided import Constructed, Provided
from amct_core.extensions.validation import callable_or_none, count_or_none, is_callable

if TYPE_CHECKING:
    from amct_core.graph import Graph, Node, Value
    from amct_core.graph.attributes import Attributes

Shape = Tuple[int, ...]
Count = Tuple[int, Optional[int]]
"""At least and at most; None: any number."""
ShapeRule = Callable[["Node", Sequence[Shape]], Sequence[Optional[Shape]]]
"""From the shapes of the inputs to those of the outputs; None where one is unknown."""


def same_shape(node: Node, inputs: Sequence[Shape]) -> Sequence[Optional[Shape]]:
    """Return the first input's shape for every output: the rule of types that keep the shape."""
    return [inputs[0]] * len(node.tops)


class Role(enum.Enum):
    """What a type is for, where it does not compute features."""

    INPUT = "is fed with arrays"
    DATA = "brings data in"
    CONSTANT = "gives the same numbers every time"
    PARAMETER = "gives numbers that it has learned"
    LOSS = "computes a loss"
    SCORE = "measures"
    SINK = "keeps its inputs from being outputs of the network"


_SOURCES = (Role.INPUT, Role.DATA, Role.CONSTANT, Role.PARAMETER)


class Sign(enum.Enum):
    """Whether the outputs of a layer can be negative."""

    ANY = "they can"
    NONNEGATIVE = "they cannot"
    KEPT = "only if one of the inputs that are data can"
    LARGEST = "only if all of them can"


class PartInput(enum.Enum):
    """What a part of a layer reads, where its sums are split by input channels."""

    CHANNELS = "some channels of the input, axis 1"
    ROWS = "some values of each row, all axes behind the first one being one"
    WHOLE = "the whole input; the weights of the other parts are 0"


@attrs.frozen
class WeightAxes:
    """Which axes of the weights (blob 0) count channels.

    Attributes:
        output: counts output channels.
        input: counts input channels; None: the sums cannot be split by them.
        part_input: what a part reads, if they are split.
    """

    output: int
    input: Optional[int] = None
    part_input: PartInput = PartInput.WHOLE


def _no_obstacle(node: Node, graph: Graph) -> Optional[str]:
    return None


@attrs.frozen
class Quantization(metaclass=Constructed):
    """What makes a layer type quantizable.

    A quantized layer must be linear in its input with weights fixed: the integer layer is the same
    layer fed with ``q - offset`` and integer weights, and its output times ``scale_d * scale_w`` is
    the float result.  Weights are blob 0, a bias is blob 1, one float per output channel.

    Attributes:
        check: ``(node, graph) -> reason``: why this layer does not qualify, or None if it does.
        check_post_training: the same for post-training quantization; None: as ``check``.
        default_channel_wise: the default of ``channel_wise``, where it is allowed.
        channel_wise_allowed: whether ``channel_wise: true`` is legal, or ``(node) -> bool``.
        searches_shift: whether N is searched, for a type with weights; without, it never is.
        divisor: for a type without weights, ``(node) -> int``: what its sums are divided by, so
            that ``deq_scale = scale_d / divisor`` (AVE pooling: the window's area).
    """

    check: Callable[[Node, Graph], Optional[str]] = attrs.field(
        default=_no_obstacle, validator=is_callable
    )
    check_post_training: Optional[Callable[[Node, Graph], Optional[str]]] = attrs.field(
        default=None, validator=callable_or_none
    )
    default_channel_wise: bool = False
    channel_wise_allowed: Union[bool, Callable[[Node], bool]] = False
    searches_shift: bool = True
    divisor: Optional[Callable[[Node], int]] = attrs.field(default=None, validator=callable_or_none)

    def obstacle(self, node: Node, graph: Graph, post_training: bool = False) -> Optional[str]:
        """Return why this layer does not qualify, or None if it does."""
        if post_training and self.check_post_training is not None:
            return self.check_post_training(node, graph)
        return self.check(node, graph)

    def allows_channel_wise(self, node: Node) -> bool:
        """Return whether ``channel_wise: true`` is legal for this layer."""
        allowed = self.channel_wise_allowed
        return allowed(node) if callable(allowed) else allowed


class OnnxWriter(Protocol):
    """What the ONNX form of a layer is written into."""

    def add(
        self, operator: str, inputs: Sequence[str], output: Optional[str] = None, **attributes: Any
    ) -> str:
        """Add a node of a standard operator with one output; return the output's name."""

    def add_many(
        self, operator: str, inputs: Sequence[str], outputs: Sequence[str], **attributes: Any
    ) -> Sequence[str]:
        """Add a node of a standard operator; return the names of its outputs."""

    def constant(self, array: Any, dtype: Any) -> str:
        """Add a constant tensor; return its name."""

    def shape(self, node: Node, value: Value) -> Tuple[int, ...]:
        """Return the shape of an input or output of ``node``, batch size first."""


def _is_name(instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
    """Require a text; it is empty for a layer that tells no type."""
    if not isinstance(value, str):
        raise PluginError(f"LayerType '{value}': name is {value!r}; expected a text.")


def _is_quantization(instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
    if value is not None and not isinstance(value, Quantization):
        name = getattr(instance, "name", "?")
        raise PluginError(
            f"LayerType '{name}': quantization is {value!r}; expected a Quantization, or None for "
            "a type that is not quantized."
        )


OnnxForm = Callable[[OnnxWriter, "Node", Sequence[str], Sequence[str]], None]


_CALLABLES = frozenset(
    {
        *("holds_for", "attributes", "blobs", "shape", "run", "cannot_run", "plain_layer"),
        *("accumulate", "onnx", "onnx_accumulate", "check_inputs"),
    }
)


@attrs.frozen
class LayerType(Provided):
    """A layer type.

    Several plugins may each declare parts of one type: whoever makes a type quantizable need not
    repeat how it is computed in float32.  Two that declare one part are an error.

    Attributes:
        name: the framework's word for the type, such as ``Convolution``.
        parameters: the framework's field of the layer that holds its parameters.
        holds_for: ``(layer) -> bool``: whether all of this holds for the framework's layer; None:
            for any.  Frameworks have layers of one type name that compute different things; one
            for which this is false counts as a layer whose type nobody declares.
        attributes: ``(layer) -> Attributes``: reads the parameters of the framework's layer.
        blobs: ``(layer) -> sequence``: what the framework's own blobs of a layer look like, in the
            framework's own terms.
        role: what the type is for, if it does not compute features, or ``(layer) -> role`` where
            that depends on the framework's layer.
        deployed_as: the type that takes its place in a deployed network; None: it keeps its own, or
            goes, as its role says.
        data: of a type that brings data in, what else the frontend needs to know of it, in its own
            terms.
        inputs: how many inputs a layer has, ``(at least, at most)``, where None is any number:
            ``(1, 1)`` for one.  None: at least one, if its shapes or its numbers are
            computed from any.
        outputs: how many outputs a layer has, likewise; None: at least one, if it brings data
            in or its shapes or numbers are computed.
        shape: the shapes of its outputs; :func:`same_shape` for a type that keeps the shape.
        check_inputs: ``(node, shapes)``: raises a ModelError if a layer, with the weights that it
            has, cannot take inputs of these shapes; for what ``shape`` need not look at.
        needs_every_shape: whether ``shape`` needs all inputs; else the first one's is enough.
        keeps_channels: whether axis 1 keeps its size; what keeps the shape does.
        sign: whether its outputs can be negative, or ``(node) -> Sign``.
        homogeneous: whether a factor above 0 on one channel (axis 1) of the input comes out as the
            same factor on that channel, and nowhere else, or ``(node) -> bool``.
        data_inputs: how many of the inputs are data; None: all.
        weights: which axes of the weights count channels; None for a type without.  A quantizable
            type with weights needs it: without, a layer that has weights is an error.
        folds_batch_norm: whether BatchNorm and Scale behind such a layer are folded into it.
        quantization: what makes it quantizable; None: nothing does.
        run: ``(node, inputs) -> outputs``: how it is computed in NumPy, float32 in, float32 out.
        cannot_run: ``(node) -> reason``: why ``run`` does not compute a layer, though it computes
            others of the type; None if it does.
        exact: whether ``run`` equals the framework to the last bit, or ``(node) -> bool``.
        depends_on_libraries: whether it does so only where the framework's BLAS and math library
            compute as ``run`` does, or ``(node) -> bool``; :meth:`Executor.follows` finds out.
        by_sample: whether ``run`` gives the same bits for samples that are computed alone.
        needs_whole_batch: whether rows of the first axis depend on each other, such as the time
            steps of an LSTM, so that a batch must not be divided.
        has_backward: whether the framework can take a gradient back through the type; one that
            cannot ends the process when it is asked to.
        without_gradient: the inputs, such as labels, for which the framework has no gradient; asked
            for one, it ends the process.
        identity: whether each output is the first input, unchanged.
        selects_values: whether each number that it gives is one of its inputs', or 0, or
            ``(node) -> bool``.
        plain_layer: ``(layer) -> layer``: the framework's layer that computes the same with the
            same blobs and that more tools know.  It takes the place of a quantized layer in every
            saved model, and of any layer in a deployed one.  None: the layer itself.
        accumulate: ``(node, centered) -> accumulator`` of a quantized layer: ``centered`` is int32
            ``q - offset``; ``node.weights`` holds int8 weights and, if there is one, the int32
            bias; the result is int64, with the bias added.  The caller checks its range.
        onnx: ``(writer, node, inputs, outputs)``: writes the float layer in standard ONNX
            operators; ``inputs`` and ``outputs`` are names of float32 tensors.
        onnx_accumulate: ``(writer, node, q, offset) -> name`` of the int32 accumulators of a
            quantized layer, bias included; ``q`` is the name of the input, uint8 ``q + 128``.
    """

    kind: ClassVar[str] = "layer type"
    is_chosen: ClassVar[bool] = False

    name: str = attrs.field(validator=_is_name)
    parameters: str = ""
    holds_for: Optional[Callable[[Any], bool]] = None
    attributes: Optional[Callable[[Any], Attributes]] = None
    blobs: Optional[Callable[[Any], Sequence[Any]]] = None
    role: Union[Role, Callable[[Any], Optional[Role]], None] = None
    deployed_as: Optional[str] = None
    data: Any = None
    inputs: Optional[Count] = attrs.field(default=None, validator=count_or_none)
    outputs: Optional[Count] = attrs.field(default=None, validator=count_or_none)
    shape: Optional[ShapeRule] = None
    check_inputs: Optional[Callable[[Node, Sequence[Shape]], None]] = None
    needs_every_shape: bool = False
    keeps_channels: bool = attrs.field(
        default=attrs.Factory(lambda self: self.shape is same_shape, takes_self=True)
    )
    sign: Union[Sign, Callable[[Node], Sign]] = Sign.ANY
    homogeneous: Union[bool, Callable[[Node], bool]] = False
    data_inputs: Optional[int] = None
    weights: Optional[WeightAxes] = None
    folds_batch_norm: bool = False
    quantization: Optional[Quantization] = attrs.field(default=None, validator=_is_quantization)
    run: Optional[Callable[[Node, Sequence[Any]], Sequence[Any]]] = None
    cannot_run: Optional[Callable[[Node], Optional[str]]] = None
    exact: Union[bool, Callable[[Node], bool]] = True
    depends_on_libraries: Union[bool, Callable[[Node], bool]] = False
    by_sample: bool = False
    needs_whole_batch: bool = False
    has_backward: bool = True
    without_gradient: Tuple[int, ...] = ()
    identity: bool = False
    selects_values: Union[bool, Callable[[Node], bool]] = False
    plain_layer: Optional[Callable[[Any], Any]] = None
    accumulate: Optional[Callable[[Node, Any], Any]] = None
    onnx: Optional[OnnxForm] = None
    onnx_accumulate: Optional[Callable[[OnnxWriter, Node, str, int], str]] = None

    def __attrs_post_init__(self) -> None:
        for field in attrs.fields(LayerType):
            if field.name in _CALLABLES:
                callable_or_none(self, field, getattr(self, field.name))

    @property
    def is_known(self) -> bool:
        """Whether anything at all is declared of the type."""
        return self != LayerType(self.name)

    def role_of(self, layer: Any) -> Optional[Role]:
        """Return what the framework's ``layer`` is for, if it does not compute features."""
        return self.role if self.role is None or isinstance(self.role, Role) else self.role(layer)

    def input_count(self, layer: Any) -> Count:
        """Return how many inputs ``layer`` has, at least and at most."""
        if self.inputs is not None:
            return self.inputs
        return (0 if self._is_source(layer) or not self._computes else 1), None

    def output_count(self, layer: Any) -> Count:
        """Return how many outputs ``layer`` has, at least and at most."""
        if self.outputs is not None:
            return self.outputs
        # A framework may add the output of a loss or a score by itself.
        if self.role_of(layer) in (Role.LOSS, Role.SCORE, Role.SINK):
            return 0, None
        return (1 if self._is_source(layer) or self._computes else 0), None

    def _is_source(self, layer: Any) -> bool:
        return self.role_of(layer) in _SOURCES

    @property
    def _computes(self) -> bool:
        return any(each is not None for each in (self.shape, self.run, self.quantization))

    @property
    def keeps_shape(self) -> bool:
        """Whether all outputs have the first input's shape."""
        return self.shape is same_shape

    @property
    def has_shift(self) -> bool:
        """Whether a quantized layer of this type can have an N other than 0."""
        found = self.quantization
        return found is not None and found.searches_shift and self.weights is not None

    def is_exact(self, node: Node) -> bool:
        """Return whether ``run`` equals the framework to the last bit for this layer.

        If :meth:`is_library_dependent`, only where its libraries compute as ``run`` does.
        """
        return self.exact(node) if callable(self.exact) else self.exact

    def is_library_dependent(self, node: Node) -> bool:
        """Return whether the framework's libraries decide the last bits of this layer."""
        depends = self.depends_on_libraries
        return depends(node) if callable(depends) else depends

    def makes_values(self, node: Node) -> bool:
        """Return whether this layer gives numbers that are neither in its inputs nor 0."""
        selects = self.selects_values
        return not (self.identity or (selects(node) if callable(selects) else selects))

    def sign_of(self, node: Node) -> Sign:
        """Return whether the outputs of this layer can be negative."""
        return self.sign(node) if callable(self.sign) else self.sign

    def is_homogeneous(self, node: Node) -> bool:
        """Return whether factors above 0 on the channels of the input come out on the output's."""
        same = self.homogeneous
        return (same(node) if callable(same) else same) or (self.identity and self.keeps_shape)

    def joined(self, other: LayerType) -> Union[LayerType, Tuple[str, ...]]:
        """Return the type with the parts of both, or the names of those that both declare."""
        plain = LayerType(self.name)
        parts = {}
        twice = []
        # Who provides the type is no part of it.
        for name in (field.name for field in attrs.fields(LayerType) if field.eq):
            values = [getattr(each, name) for each in (self, other)]
            declared = [value for value in values if value != getattr(plain, name)]
            if len(declared) > 1:
                twice.append(name)
            parts[name] = declared[0] if declared else getattr(plain, name)
        return tuple(twice) or LayerType(**parts)
