"""What the inserted layers are told through ``python_param.param_str``, as JSON objects.

The modified prototxt is complete in itself: training, saving and resuming need no other file to
know what a layer is for.
"""

from __future__ import annotations

import json
from typing import Any, Dict, Mapping, Optional, Tuple, Type, TypeVar

import attrs
from attrs.validators import min_len

from amct_caffe.qat.first_versions import weight_fields
from amct_core.config.values import parse_json
from amct_core.errors import FileFormatError
from amct_core.json_types import check_types
from amct_core.network_state import NetworkState

Parameters = TypeVar("Parameters")


def _strings(values: Any) -> Tuple[str, ...]:
    return tuple(str(value) for value in values)


def _integers(values: Any) -> Tuple[int, ...]:
    return tuple(int(value) for value in values)


def _shapes(values: Any) -> Dict[str, Tuple[int, ...]]:
    return {str(blob): _integers(shape) for blob, shape in values.items()}


_LEFT_OUT = {"left out": True}
"""Metadata of fields that are not written where they are None."""


def _unless_empty(values: Optional[Mapping[str, Any]]) -> Optional[Mapping[str, Any]]:
    return values or None


def _pair(values: Any) -> Tuple[int, int]:
    height, width = values
    return int(height), int(width)


def _state(value: Any) -> Optional[NetworkState]:
    if value is None or isinstance(value, NetworkState):
        return value
    return NetworkState(**value)


@attrs.frozen
class ActivationParameters:
    """ActivationQAT.

    Attributes:
        layers: the quantized layers that read this blob, in network order.
        algo: registered activation algorithm.
        init_algo: registered calibrator; None where the bounds come from the config.
        batch_num: TRAIN forwards of initialisation.
        fixed_min: whether clip_min is pinned at 0.
        record_file: where the factors go.
        train_state, test_state: what the solver was said to say of the states of its nets, in the
            first ActivationQAT of a network; None: nothing.
        input_shapes: in the first such layer of a network, the shapes of the network inputs that
            are known at insertion, by blob, batch size first; None in the others.
        sees_input: the network input, of unknown shape, that has the shape of this blob.
        float_model: in the first such layer of a network, the model that the layers were inserted
            into, as :meth:`amct_core.float_model.FloatModel.as_json` has it for the folder of the
            modified model; None in the others, and where an earlier version inserted them.
        algo_parameters, init_algo_parameters: what the two algorithms have of their own, by name;
            None: nothing.
    """

    layers: Tuple[str, ...] = attrs.field(converter=_strings, validator=min_len(1))
    algo: str
    init_algo: Optional[str]
    batch_num: int
    fixed_min: bool
    record_file: str
    train_state: Optional[NetworkState] = attrs.field(
        default=None, converter=_state, metadata=_LEFT_OUT
    )
    test_state: Optional[NetworkState] = attrs.field(
        default=None, converter=_state, metadata=_LEFT_OUT
    )
    input_shapes: Optional[Mapping[str, Tuple[int, ...]]] = attrs.field(
        default=None, converter=attrs.converters.optional(_shapes), metadata=_LEFT_OUT
    )
    sees_input: Optional[str] = attrs.field(default=None, metadata=_LEFT_OUT)
    float_model: Optional[Mapping[str, Mapping[str, Any]]] = attrs.field(
        default=None, metadata=_LEFT_OUT
    )
    algo_parameters: Optional[Mapping[str, Any]] = attrs.field(
        default=None, converter=_unless_empty, metadata=_LEFT_OUT
    )
    init_algo_parameters: Optional[Mapping[str, Any]] = attrs.field(
        default=None, converter=_unless_empty, metadata=_LEFT_OUT
    )


@attrs.frozen
class WeightParameters:
    """WeightQAT.

    Attributes:
        layer: the quantized layer.
        algo: registered weight algorithm.
        shape: of the weights, as Caffe has them.
        output_axis: the axis that counts output channels.
        channel_wise: one scale per output channel, or one for all.
        batch_num: TRAIN forwards until the record gets its first factors.
        record_file: where the factors go.
        folded: the BatchNorm and Scale behind it that saving folds into it.
        folds_scale: whether a Scale is among them; its gamma is the layer's last blob.
        smallest_scale_d: the smallest scale of the input at which the bias that the layer is saved
            with fits int32, as weights and bias were on insertion; None: any will do.
        bias_channel: the channel that decides that.
        algo_parameters: what the algorithm has of its own, by name; None: nothing.
    """

    layer: str
    algo: str
    shape: Tuple[int, ...] = attrs.field(converter=_integers)
    output_axis: int = attrs.field()
    channel_wise: bool
    batch_num: int
    record_file: str
    folded: Tuple[str, ...] = attrs.field(default=(), converter=_strings)
    folds_scale: bool = False
    smallest_scale_d: Optional[float] = None
    bias_channel: Optional[int] = None
    algo_parameters: Optional[Mapping[str, Any]] = attrs.field(
        default=None, converter=_unless_empty, metadata=_LEFT_OUT
    )

    @output_axis.validator
    def _is_an_axis(self, _: Any, value: int) -> None:
        if not 0 <= value < len(self.shape):
            raise ValueError(f"output_axis is {value}, and shape is {list(self.shape)}")

    @property
    def channels(self) -> int:
        """The number of output channels."""
        return self.shape[self.output_axis]

    @property
    def scale_count(self) -> int:
        """The number of weight scales."""
        return self.channels if self.channel_wise else 1


@attrs.frozen
class ShiftParameters:
    """ShiftSearch, the tap on a layer's output.

    Attributes:
        layer: the quantized layer.
        search: registered shift-N search.
        activation_algo: registered activation algorithm, for the scale of the input.
        fixed_min: as in :class:`ActivationParameters`.
        scale_count: the number of weight scales.
        channels: output channels.
        batch_num: TEST forwards of one search.
        batch_norm_eps: of the BatchNorm that will be folded; None if there is none.
        folds_scale, folds_scale_bias: whether a Scale (with bias) will be folded.
        record_file: where N goes.
        activation_parameters, search_parameters: what the two algorithms have of their own, by
            name; None: nothing.
    """

    layer: str
    search: str
    activation_algo: str
    fixed_min: bool
    scale_count: int
    channels: int
    batch_num: int
    record_file: str
    batch_norm_eps: Optional[float] = None
    folds_scale: bool = False
    folds_scale_bias: bool = False
    activation_parameters: Optional[Mapping[str, Any]] = attrs.field(
        default=None, converter=_unless_empty, metadata=_LEFT_OUT
    )
    search_parameters: Optional[Mapping[str, Any]] = attrs.field(
        default=None, converter=_unless_empty, metadata=_LEFT_OUT
    )

    @property
    def folds(self) -> bool:
        """Whether anything will be folded into the layer."""
        return self.batch_norm_eps is not None or self.folds_scale


@attrs.frozen
class InputShapeParameters:
    """InputShape, which records the shape of a network input.

    Attributes:
        blob: the input.
        entry: of the record, where the shape goes; the layer's own name.
        record_file: the record.
    """

    blob: str
    entry: str
    record_file: str


def _options(values: Any) -> Dict[str, Any]:
    return {key: tuple(v) if isinstance(v, list) else v for key, v in values.items()}


@attrs.frozen
class CalibrationParameters:
    """Calibration, of post-training quantization.

    Attributes:
        layers: the quantized layers that read this blob, in network order.
        blob: its name.
        algo: registered calibrator.
        options: its parameters by name, as :func:`amct_core.ptq.observing.parameters_of` has them.
        batch_num: forwards that complete the factors.
        record_file: where they go; an absolute path.
        kept_as: prefix of the files in which the batches are kept
            (:mod:`amct_core.ptq.kept_batches`); None: they are not.
    """

    layers: Tuple[str, ...] = attrs.field(converter=_strings)
    blob: str
    algo: str
    options: Mapping[str, Any] = attrs.field(converter=_options)
    batch_num: int
    record_file: str
    kept_as: Optional[str] = None


@attrs.frozen
class QuantParameters:
    """Quant of the fake-quant model: float32 ``scale`` is ``1 / scale_d``; offset -128..127."""

    scale: float
    offset: int


@attrs.frozen
class PoolingWindow:
    """The geometry of a quantized AVE Pooling, for its DeQuant; pairs are (height, width).

    ``ceil_mode``: whether the output size is rounded up.
    """

    kernel: Tuple[int, int] = attrs.field(converter=_pair)
    stride: Tuple[int, int] = attrs.field(converter=_pair)
    pad: Tuple[int, int] = attrs.field(converter=_pair)
    ceil_mode: bool = True


def _window(value: Any) -> Optional[PoolingWindow]:
    if value is None or isinstance(value, PoolingWindow):
        return value
    return PoolingWindow(**value)


@attrs.frozen
class DequantParameters:
    """DeQuant of the fake-quant model.

    Attributes:
        scale_count: length of deq_scale and of N.
        bias_count: length of the bias; 0 for none.
        window: the pooling window; None for other layers.
    """

    scale_count: int
    bias_count: int
    window: Optional[PoolingWindow] = attrs.field(default=None, converter=_window)


def to_param_str(parameters: Any) -> str:
    """Return ``parameters`` as one line of JSON."""
    written = attrs.asdict(parameters, filter=_is_written)
    return json.dumps(written, sort_keys=True)


def _is_written(field: Any, value: Any) -> bool:
    return value is not None or "left out" not in field.metadata


def from_param_str(parameters: Type[Parameters], text: str, layer: str = "?") -> Parameters:
    """Return ``text`` as an instance of ``parameters``.

    Raises:
        FileFormatError: the text is not what :func:`to_param_str` wrote, in this version or in the
            first ones.
    """
    try:
        values = parse_json(text)
        if parameters is WeightParameters:
            values = weight_fields(values, layer)
        check_types(values, parameters)
        return parameters(**values)
    except FileFormatError:
        raise
    except (ValueError, TypeError) as error:
        raise FileFormatError(
            f"{text!r} cannot be read as {parameters.__name__}: {error}.",
            layer=layer,
            field="python_param.param_str",
            remedy="Insert the layers again with create_quant_retrain_model.",
        ) from error
