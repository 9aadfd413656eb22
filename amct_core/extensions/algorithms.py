"""Extension types for arithmetic: activations, weights, calibration and the search for shift N."""

from __future__ import annotations

from typing import (
    TYPE_CHECKING,
    Any,
    Callable,
    ClassVar,
    Dict,
    Iterable,
    Mapping,
    Optional,
    Tuple,
    Union,
)

import attrs

from amct_core.errors import PluginError
from amct_core.extensions.learned import LearnedParameter, StateVariable
from amct_core.extensions.parameters import (
    keywords,
    parameters_class,
    read_parameters,
    with_keywords,
)
from amct_core.extensions.provided import Provided
from amct_core.extensions.validation import callable_or_none, is_callable, plugin_name

if TYPE_CHECKING:  # numpy takes a third of the command line's start-up time
    import numpy as np
    from numpy.typing import NDArray
    from typing_extensions import Protocol

    from amct_core.extensions.layer_type import LayerType
    from amct_core.numerics.reduction import Reduction

    Array = NDArray[Any]

    class CalibrationRun(Protocol):
        """What :attr:`Calibrator.start` returns: the calibration of one blob."""

        def observe(self, batch: Array) -> None:
            """Take in one float32 batch of any shape; nothing of it is kept as it is.

            Raises:
                QuantizationError: the batch holds NaN or infinity.
            """

        def result(self) -> Tuple[Any, int]:
            """Return ``(scale_d, offset_d)`` for what was observed so far; changes nothing.

            Raises:
                QuantizationError: nothing was observed, or no scale fits.
            """

    class ShiftSearcher(Protocol):
        """What :attr:`ShiftSearch.start` returns: one search for one layer."""

        def observe(self, y: Array) -> None:
            """Take in one batch of float32 layer outputs, (batch, C, ...)."""

        def result(self) -> NDArray[np.uint8]:
            """Return N per output channel, each in 1..16 (or one entry for the whole layer)."""

    class RoundingRun(Protocol):
        """What :attr:`WeightRounding.start` returns: the rounding of one layer's weights."""

        def observe(self, columns: Array) -> None:
            """Take in columns of what the layer reads in the quantized network.

            Args:
                columns: ``(q - offset) * scale_d``, float32 ``[G, K, N]``.
            """

        def result(self) -> NDArray[np.int8]:
            """Return the integers, int8 ``[G, M, K]``, each at most 1 from the nearest one.

            Raises:
                QuantizationError: nothing was observed, or it was not finite.
            """


# Type checkers cannot see what the class tuple() would take.
def _learned(values: Iterable[LearnedParameter]) -> Tuple[LearnedParameter, ...]:
    return tuple(values)


def _state(values: Iterable[StateVariable]) -> Tuple[StateVariable, ...]:
    return tuple(values)


@attrs.frozen
class ActivationAlgorithm(Provided):
    """A way to fake-quantize activations, between two learned clip bounds or otherwise.

    Where ``parameters`` is a class, each function is given an instance of it by the keyword
    ``parameters``; where there are ``learned`` parameters or ``state``, each is given their values
    by the keyword ``values``: a mapping of name to float32 array of the declared shape, finite and
    read-only.

    Attributes:
        name: what ``retrain_data_config.algo`` says.
        forward: ``(x, clip_max, clip_min, fixed_min) -> (y, scale_d, offset_d)``; ``x`` and ``y``
            are float32 of any shape, ``scale_d`` float32 > 0, ``offset_d`` in -128..127.  ``y``
            must be ``(q - offset_d) * scale_d`` with ``q`` as
            :func:`amct_core.numerics.affine.quantize` computes it, or the saved model
            differs from the trained one.
        backward: ``(x, top_diff, clip_max, clip_min, fixed_min)
            -> (bottom_diff, d_clip_max, d_clip_min)``; with ``learned`` there is a fourth, a
            mapping of the name of each learned parameter to its gradient, of its shape.  Gradients
            of parameters are sums over the batch, not means.
        factors: ``(clip_max, clip_min, fixed_min) -> (scale_d, offset_d)``, the same as ``forward``
            returns; used when the trained model is saved.
        forward_into: optional, what training calls where it is given:
            ``(x, y, clip_max, clip_min, fixed_min) -> (scale_d, offset_d)``; writes into ``y`` what
            ``forward`` returns, bit for bit.
        backward_into: optional, likewise:
            ``(x, top_diff, bottom_diff, clip_max, clip_min, fixed_min)
            -> (d_clip_max, d_clip_min)``, with ``learned`` the mapping as well; ``bottom_diff`` is
            None where nobody needs it.
        prepare: optional; called before training starts, for what takes time once.
        parameters: an attrs class of what ``retrain_data_config.algo_parameters`` may say.
        learned: what the solver trains beside the clip bounds.
        state: what is kept in the snapshot and not trained.
        initialise: optional, ``(x, clip_max, clip_min, fixed_min, batch=n) -> mapping``: in each of
            the ``batch_num`` TRAIN forwards of initialisation, the ``n``-th from 1 on, what learned
            parameters and state become; those that are not in the mapping stay.  ``values`` are
            those of the forward before, and for ``batch=1`` they mean nothing.  ``x`` is the whole
            batch of all processes that train together.
        observe: optional, ``(x, clip_max, clip_min, fixed_min) -> mapping``: in each later TRAIN
            forward (each at all without ``initialise``), before ``forward``, what the state
            becomes; ``x`` as above.  TEST changes nothing.
    """

    kind: ClassVar[str] = "activation algorithm"

    name: str = attrs.field(validator=plugin_name)
    forward: Callable[..., Tuple[Any, Any, int]] = attrs.field(validator=is_callable)
    backward: Callable[..., Tuple[Any, ...]] = attrs.field(validator=is_callable)
    factors: Callable[..., Tuple[Any, int]] = attrs.field(validator=is_callable)
    forward_into: Optional[Callable[..., Tuple[Any, int]]] = attrs.field(
        default=None, validator=callable_or_none
    )
    backward_into: Optional[Callable[..., Tuple[Any, ...]]] = attrs.field(
        default=None, validator=callable_or_none
    )
    prepare: Optional[Callable[[], None]] = attrs.field(default=None, validator=callable_or_none)
    parameters: Optional[type] = attrs.field(default=None, validator=parameters_class)
    learned: Tuple[LearnedParameter, ...] = attrs.field(default=(), converter=_learned)
    state: Tuple[StateVariable, ...] = attrs.field(default=(), converter=_state)
    initialise: Optional[Callable[..., Mapping[str, Any]]] = attrs.field(
        default=None, validator=callable_or_none
    )
    observe: Optional[Callable[..., Mapping[str, Any]]] = attrs.field(
        default=None, validator=callable_or_none
    )

    def __attrs_post_init__(self) -> None:
        """Require names that differ."""
        names = [blob.name for blob in self.blobs]
        if len(set(names)) < len(names):
            raise PluginError(
                f"ActivationAlgorithm '{self.name}': learned parameters and state are called "
                f"{', '.join(names)}; expected names that differ."
            )

    @property
    def blobs(self) -> Tuple[Union[LearnedParameter, StateVariable], ...]:
        """What is in the snapshot beside the clip bounds, in the order of the layer's blobs."""
        return (*self.learned, *self.state)

    def bound(self, values: Mapping[str, Any], **place: Any) -> ActivationAlgorithm:
        """Return the algorithm with its parameters; ``place`` as ``read_parameters`` has it.

        Raises:
            ConfigError: it has no such parameters.
        """
        given = read_parameters(self.parameters, values, f"{self.kind} '{self.name}'", **place)
        return self if given is None else with_keywords(self, _ACTIVATION, parameters=given)

    def named(self, values: Optional[Mapping[str, Array]]) -> Dict[str, Any]:
        """Return what its functions are given by name beside what they all are given."""
        return {"values": values or {}} if self.learned or self.state else {}


_ACTIVATION = (
    "forward",
    "backward",
    "factors",
    "forward_into",
    "backward_into",
    "initialise",
    "observe",
)
"""The functions of an activation algorithm that are given its parameters."""


@attrs.frozen
class WeightAlgorithm(Provided):
    """A way to quantize weights to int8 without an offset.

    Where ``parameters`` is a class, each function is given an instance of it by the keyword
    ``parameters``.

    Attributes:
        name: what ``retrain_weight_config.algo`` says.
        scales: ``(weights, channel_axis) -> float32 [C]``, or ``[1]`` if ``channel_axis`` is None.
            Where scales are learned, those that training starts with.
        quantize: ``(weights, scale, channel_axis) -> int8`` of the weights' shape.
        fake_quantize_into: optional, what training calls where it is given and scales are not
            learned: ``(weights, out, signs, output_axis, channel_wise) -> scales``; writes
            ``signs * float32(quantize(signs * weights, scales)) * scales`` into ``out``, bit for
            bit; ``signs`` is float32 ``[C]`` of 1 and -1 along ``output_axis``, or ``[1]``.
        prepare: optional; called before training starts, for what takes time once.
        parameters: an attrs class of what ``retrain_weight_config.algo_parameters`` may say.
        backward: where it is given, the scales are learned: they live in the snapshot, the solver
            trains them, and saving takes them from there.
            ``(weights, top_diff, scale, channel_axis) -> (d_weights, d_scale)``: the gradients of
            the weights, float32 of their shape, and of the scales, ``[C]`` or ``[1]``, where
            ``top_diff`` is that of ``float32(quantize(weights, scale)) * scale``.  A scale that the
            solver has made smaller than FLT_EPSILON (2**-23) is taken as that.
        scale_lr_mult, scale_decay_mult: the solver's multipliers of learned scales.
    """

    kind: ClassVar[str] = "weight algorithm"

    name: str = attrs.field(validator=plugin_name)
    scales: Callable[..., Any] = attrs.field(validator=is_callable)
    quantize: Callable[..., Any] = attrs.field(validator=is_callable)
    fake_quantize_into: Optional[Callable[..., Any]] = attrs.field(
        default=None, validator=callable_or_none
    )
    prepare: Optional[Callable[[], None]] = attrs.field(default=None, validator=callable_or_none)
    parameters: Optional[type] = attrs.field(default=None, validator=parameters_class)
    backward: Optional[Callable[..., Tuple[Any, Any]]] = attrs.field(
        default=None, validator=callable_or_none
    )
    scale_lr_mult: float = 1.0
    scale_decay_mult: float = 0.0

    @property
    def learns_scales(self) -> bool:
        """Whether the scales are parameters that the solver trains."""
        return self.backward is not None

    def bound(self, values: Mapping[str, Any], **place: Any) -> WeightAlgorithm:
        """Return the algorithm with its parameters; ``place`` as ``read_parameters`` has it.

        Raises:
            ConfigError: it has no such parameters.
        """
        given = read_parameters(self.parameters, values, f"{self.kind} '{self.name}'", **place)
        functions = ("scales", "quantize", "fake_quantize_into", "backward")
        return self if given is None else with_keywords(self, functions, parameters=given)


@attrs.frozen
class WeightRounding(Provided):
    """A way to round weights by what their layer reads, in place of to the nearest integer.

    It is for post-training quantization, after calibration; scales stay as they are.  A layer is a
    product of matrices here: with ``G`` groups of ``M`` outputs and ``K`` inputs (channels of the
    group by places of the kernel), rows ``[G, M, K]`` by columns ``[G, K, N]``.

    Attributes:
        name: what ``--weight-rounding`` says.
        start: ``(weights, scale_w, nearest) -> RoundingRun``, once per layer: weights float32
            ``[G, M, K]``, scales float32 ``[G, M, 1]``, and the integers of the weight algorithm,
            int8 ``[G, M, K]``.
        prepare: optional; called before the first layer, for what takes time once.
    """

    kind: ClassVar[str] = "weight rounding"

    name: str = attrs.field(validator=plugin_name)
    start: Callable[[Any, Any, Any], RoundingRun] = attrs.field(validator=is_callable)
    prepare: Optional[Callable[[], None]] = attrs.field(default=None, validator=callable_or_none)


@attrs.frozen
class Calibrator(Provided):
    """A way to find an activation's range from data.

    Either from all batches at once (``calibrate``) or from one after another in constant memory
    (``start``); a calibrator has at least one of the two, and is asked for the second where it has
    it.

    Attributes:
        name: what ``retrain_data_config.init_algo`` says.
        calibrate: ``(batches, **parameters) -> (scale_d, offset_d)`` from a sequence of float32
            arrays, all the batches seen so far.  Parameters are ``with_offset`` and the
            algorithm's own; QAT gives none.
        calibrate_shares: ``(batches, reduction) -> (scale_d, offset_d)``, for training on several
            processes: from this process's batches and what ``reduction``
            (:class:`amct_core.numerics.reduction.Reduction`) tells about the others', the result
            that ``calibrate`` gives for all of them.  None: every process gets all batches.
        prepare: optional; called before training starts, for what takes time once.
        start: ``(**parameters) -> CalibrationRun``: with ``observe(batch)`` and ``result()``.
            ``with_offset=False`` asks for a grid whose offset is 0.
        combine: ``(run, reduction) -> CalibrationRun``, for training on several processes: a run
            that has observed every process's batches, while ``run`` stays what it was.  None:
            every process observes all batches.
        chooses: True for ``best``, which has neither: it takes, for each blob, the factors of that
            other streaming calibrator which gives the least error of what the layers compute.  That
            takes an engine that runs single layers (:mod:`amct_core.ptq.choice`), so it is not for
            calibration in a framework, nor for QAT.
        parameters: an attrs class of the algorithm's own parameters: what
            ``retrain_data_config.init_algo_parameters`` may say, and, of those that are numbers,
            ``activation_quant_params`` of post-training quantization.
            ``calibrate``, ``calibrate_shares`` and ``start`` are given its fields by keyword.
    """

    kind: ClassVar[str] = "calibrator"

    name: str = attrs.field(validator=plugin_name)
    calibrate: Optional[Callable[..., Tuple[Any, int]]] = attrs.field(
        default=None, validator=callable_or_none
    )
    calibrate_shares: Optional[Callable[..., Tuple[Any, int]]] = attrs.field(
        default=None, validator=callable_or_none
    )
    prepare: Optional[Callable[[], None]] = attrs.field(default=None, validator=callable_or_none)
    start: Optional[Callable[..., CalibrationRun]] = attrs.field(
        default=None, validator=callable_or_none
    )
    combine: Optional[Callable[[Any, Reduction], CalibrationRun]] = attrs.field(
        default=None, validator=callable_or_none
    )
    chooses: bool = False
    parameters: Optional[type] = attrs.field(default=None, validator=parameters_class)

    def __attrs_post_init__(self) -> None:
        """Require one of the two ways."""
        if self.calibrate is None and self.start is None and not self.chooses:
            raise PluginError(
                f"Calibrator '{self.name}' has neither calibrate nor start; expected one of them."
            )

    def bound(self, values: Mapping[str, Any], **place: Any) -> Calibrator:
        """Return the calibrator with its parameters; ``place`` as ``read_parameters`` has it.

        Raises:
            ConfigError: it has no such parameters.
        """
        given = read_parameters(self.parameters, values, f"{self.kind} '{self.name}'", **place)
        functions = ("calibrate", "calibrate_shares", "start")
        return self if given is None else with_keywords(self, functions, **keywords(given))


@attrs.frozen
class ShiftSearch(Provided):
    """A way to find the shift factor N of a layer's output channels.

    Attributes:
        name: what ``shift_n_algo`` says.
        start: ``(deq_scale, broadcast) -> ShiftSearcher``; ``deq_scale`` is float32 ``[C]`` or
            ``[1]``, ``broadcast`` is true where all channels must share one N (a convolution with a
            1 x 1 output).  None: nothing is searched and N stays 0.
        combine: ``(searcher, reduction)``, for training on several processes: after the last
            ``observe``, makes ``searcher`` one that has observed every process's batches.  None:
            every process observes all batches.
        prepare: optional; called before a search starts, for what takes time once.
        parameters: an attrs class of what ``shift_n_algo_parameters`` may say; ``start`` is given
            an instance of it by the keyword ``parameters``.
    """

    kind: ClassVar[str] = "shift-N search"

    name: str = attrs.field(validator=plugin_name)
    start: Optional[Callable[..., ShiftSearcher]] = attrs.field(
        default=None, validator=callable_or_none
    )
    combine: Optional[Callable[[Any, Reduction], None]] = attrs.field(
        default=None, validator=callable_or_none
    )
    prepare: Optional[Callable[[], None]] = attrs.field(default=None, validator=callable_or_none)
    parameters: Optional[type] = attrs.field(default=None, validator=parameters_class)

    def bound(self, values: Mapping[str, Any], **place: Any) -> ShiftSearch:
        """Return the search with its parameters; ``place`` as ``read_parameters`` has it.

        Raises:
            ConfigError: it has no such parameters.
        """
        given = read_parameters(self.parameters, values, f"{self.kind} '{self.name}'", **place)
        return self if given is None else with_keywords(self, ("start",), parameters=given)

    def searches(self, layer_type: LayerType) -> bool:
        """Return whether N of a quantized layer of this type is searched; every step asks here."""
        return self.start is not None and layer_type.has_shift
