"""One-layer networks over the variations of each layer type."""

from __future__ import annotations

import itertools
from typing import Any, Iterable, List, Mapping, Sequence, Tuple

from plugins.cpu_sim_backend.tests.layers.one_layer import Case, Shape

_IMAGE: Shape = (2, 4, 5, 6)
_ROWS: Shape = (3, 7)


def _cases(
    kind: str,
    field: str,
    options: Iterable[Mapping[str, Any]],
    inputs: Sequence[Tuple[Shape, ...]] = ((_IMAGE,),),
    **more: Any,
) -> List[Case]:
    """Return a case for each of ``options`` with each of ``inputs``."""
    pairs = itertools.product(options, inputs)
    return [Case(kind, own, {field: o} if o else {}, **more) for o, own in pairs]


def _windows() -> List[Case]:
    convolution: List[Mapping[str, Any]] = [
        {"kernel_size": 1},
        {"kernel_size": 3, "pad": 1},
        {"kernel_size": 3, "stride": 2},
        {"kernel_size": 2, "dilation": 2, "bias_term": False},
        {"kernel_size": 3, "pad": 2, "dilation": 2, "group": 2},
        {"kernel_size": 3, "group": 4},
        {"kernel_h": 3, "kernel_w": 1, "stride_h": 1, "stride_w": 2, "pad_h": 1, "pad_w": 0},
        {"kernel_h": 1, "kernel_w": 5, "pad_w": 2},
        {"kernel_size": [2, 3], "stride": [1, 2], "pad": [0, 1], "dilation": [2, 1]},
        {"kernel_size": 3, "axis": -3},
    ]
    options = [{"num_output": 8, **option} for option in convolution]
    found = _cases("Convolution", "convolution_param", options)
    found += _cases("Deconvolution", "convolution_param", options)
    found += _cases(
        "Convolution", "convolution_param", options[:2], [((2, 4, 5, 6), (2, 4, 5, 6))], tops=2
    )
    found += _cases(
        "InnerProduct",
        "inner_product_param",
        [
            {"num_output": 6, **option}
            for option in (
                {},
                {"bias_term": False},
                {"transpose": True},
                {"axis": 2},
                {"axis": -1},
                {"axis": -2, "transpose": True, "bias_term": False},
            )
        ],
    )
    return found


def _pooling() -> List[Case]:
    windows: List[Mapping[str, Any]] = [
        {"kernel_size": 2, "stride": 2},
        {"kernel_size": 3, "stride": 2},
        {"kernel_size": 3, "stride": 2, "pad": 1},
        {"kernel_size": 3, "stride": 1, "pad": 1},
        {"kernel_size": 4, "stride": 3, "pad": 2},
        {"kernel_size": 5, "stride": 4, "pad": 2},
        {"kernel_size": 3, "stride": 2, "round_mode": 1},
        {"kernel_size": 3, "stride": 2, "pad": 1, "round_mode": 1},
        {"kernel_h": 3, "kernel_w": 2, "stride_h": 2, "stride_w": 1, "pad_h": 1, "pad_w": 0},
        {"kernel_h": 2, "kernel_w": 3, "stride_h": 2, "stride_w": 3, "pad_h": 1, "pad_w": 0},
        {"global_pooling": True},
    ]
    options = [{"pool": method, **window} for method in (0, 1) for window in windows]
    shapes: List[Tuple[Shape, ...]] = [((2, 3, 7, 7),), ((1, 2, 8, 6),)]
    return _cases("Pooling", "pooling_param", options, shapes)


def _elementwise() -> List[Case]:
    two, three = ((_IMAGE,) * 2,), ((_IMAGE,) * 3,)
    found = _cases("Eltwise", "eltwise_param", [{"operation": o} for o in range(3)], two + three)
    found += _cases(
        "Eltwise",
        "eltwise_param",
        [{"coeff": [1, -1]}, {"coeff": [0.5, 2]}, {"coeff": [0.3, 0.7]}],
        two,
    )
    found += _cases("Eltwise", "eltwise_param", [{"coeff": [0.3, -1.7, 0.1]}], three)
    axes: List[Mapping[str, Any]] = [
        {},
        {"axis": 0},
        {"axis": -1},
        {"axis": 1, "num_axes": 2},
        {"axis": 1, "num_axes": -1},
        {"num_axes": 0},
    ]
    found += _cases("Scale", "scale_param", axes)
    found += _cases("Scale", "scale_param", [{**option, "bias_term": True} for option in axes])
    found += _cases("Scale", "scale_param", [{}, {"bias_term": True}], [(_ROWS,)])
    found += _cases("Scale", "scale_param", [{"axis": 0}], [(_IMAGE, (2, 4)), (_IMAGE, (2,))])
    found += _cases("Bias", "bias_param", axes)
    found += _cases("Bias", "bias_param", [{"axis": 0}], [(_IMAGE, (2, 4)), (_ROWS, (3, 7))])
    return found


def _normalization() -> List[Case]:
    found = _cases(
        "BatchNorm",
        "batch_norm_param",
        [{}, {"eps": 1e-2}, {"use_global_stats": True}],
        [(_IMAGE,), (_ROWS,)],
    )
    sizes = [{"local_size": n, "alpha": 0.7, "beta": 0.75} for n in (1, 3, 5)]
    across = [{}, *sizes, {"k": 2.0, "alpha": 1e-2, "beta": 0.5}]
    within = [{**option, "norm_region": 1} for option in ({}, *sizes)]
    found += _cases("LRN", "lrn_param", [*across, *within], [((2, 7, 5, 6),)])
    flags = (False, True)
    found += _cases(
        "MVN",
        "mvn_param",
        [
            {"normalize_variance": variance, "across_channels": across, "eps": 1e-3}
            for variance, across in itertools.product(flags, flags)
        ],
        [(_IMAGE,), ((3, 4, 5),)],
    )
    return found


def _activations() -> List[Case]:
    both = [(_IMAGE,), (_ROWS,)]
    found = _cases("ReLU", "relu_param", [{}, {"negative_slope": 0.1}], both)
    found += _cases("PReLU", "prelu_param", [{}, {"channel_shared": True}], both)
    found += _cases("ELU", "elu_param", [{}, {"alpha": 0.3}], both)
    found += _cases("Threshold", "threshold_param", [{}, {"threshold": 0.4}], both)
    found += _cases("Swish", "swish_param", [{}, {"beta": 1.7}], both)
    for kind in ("AbsVal", "BNLL", "Sigmoid", "TanH"):
        found += _cases(kind, "", [{}], both)
        found += _cases(kind, "", [{}], [(_IMAGE,)], values="wide")
    powers = [
        {},
        {"scale": 0.3, "shift": -0.1},
        {"shift": 2.5},
        {"power": 2.0},
        {"power": 2.0, "scale": 1.7, "shift": 0.3},
        {"power": 3.0},
        {"scale": 0.0, "shift": 2.0, "power": 3.0},
        {"power": 0.0},
    ]
    found += _cases("Power", "power_param", powers, both)
    positive = [{"power": 0.5, "shift": 1.0}, {"power": -0.75, "scale": 2.0}, {"power": -1.0}]
    found += _cases("Power", "power_param", positive, values="positive")
    bases = [{}, {"base": 2.0}, {"base": 10.0}]
    scaled = [{"scale": 0.5, "shift": 0.25}, {"base": 2.0, "scale": 1.5, "shift": 0.7}]
    found += _cases("Exp", "exp_param", [*bases, *scaled, {"shift": -1.5}])
    found += _cases("Log", "log_param", [*bases, *scaled, {"scale": 3.0}], values="positive")
    return found


def _layout() -> List[Case]:
    found = _cases(
        "Concat",
        "concat_param",
        [{}, {"axis": -3}, {"concat_dim": 1}],
        [(_IMAGE, (2, 3, 5, 6)), (_IMAGE, _IMAGE, (2, 1, 5, 6))],
    )
    found += _cases("Concat", "concat_param", [{"axis": 0}, {"axis": -1}], [(_IMAGE, _IMAGE)])
    found += _cases("Slice", "slice_param", [{}, {"slice_dim": 1}, {"axis": -1}], tops=2)
    found += _cases("Slice", "slice_param", [{"slice_point": [1, 3]}], tops=3)
    found += _cases("Slice", "slice_param", [{"axis": -2, "slice_point": [2]}], tops=2)
    ends = [{}, {"axis": 2}, {"axis": -2}, {"axis": 0, "end_axis": 1}, {"axis": 1, "end_axis": -2}]
    found += _cases("Flatten", "flatten_param", ends)
    found += _cases(
        "Reshape",
        "reshape_param",
        [
            {"shape": {"dim": [0, -1]}},
            {"shape": {"dim": [0, 2, 2, 0, -1]}},
            {"shape": {"dim": [-1]}, "axis": 1, "num_axes": 2},
            {"shape": {"dim": [2, 2]}, "axis": 1, "num_axes": 1},
            {"shape": {"dim": [3, 10]}, "axis": -3},
            {"shape": {"dim": [1]}, "axis": -1},
            {"shape": {"dim": [1]}, "axis": 1, "num_axes": 0},
        ],
    )
    orders = [[0, 2, 3, 1], [0, 3, 1, 2], [1, 0, 2, 3], [0, 2], [3], [0, 1, 2, 3]]
    found += _cases("Permute", "permute_param", [{"order": order} for order in orders])
    crops = [{}, {"offset": [1]}, {"offset": [0, 2]}, {"axis": 1, "offset": [2, 1, 0]}]
    crops += [{"axis": -1, "offset": [3]}, {"axis": -2, "offset": [1, 1]}]
    found += _cases("Crop", "crop_param", crops, [(_IMAGE, (2, 2, 4, 3))])
    tiles = [{"tiles": 3}, {"tiles": 2, "axis": 0}, {"tiles": 2, "axis": -1}, {"tiles": 1}]
    found += _cases("Tile", "tile_param", tiles)
    found += [Case("BatchReindex", (_IMAGE, (5,)), values="labels")]
    found += [Case("Split", (_IMAGE,), tops=2), Case("Dropout", (_IMAGE,))]
    found += [Case("Silence", (_IMAGE,), tops=0)]
    return found


def _constants() -> List[Case]:
    shapes = [{"dim": [2, 3]}, {"dim": [4]}]
    fillers = [{"type": "constant", "value": 0.7}, {"type": "constant"}]
    options = [{"shape": shapes[:1]}, {"shape": shapes[:1], "data_filler": fillers[:1]}]
    found = _cases("DummyData", "dummy_data_param", options, [()])
    both = {"shape": shapes, "data_filler": fillers}
    return [*found, Case("DummyData", (), {"dummy_data_param": both}, tops=2)]


def _large() -> List[Case]:
    """Return layers over inputs so large that a BLAS works in blocks, or in several threads."""
    shape: Shape = (2, 40, 33, 31)
    found = [Case(kind, (shape,)) for kind in ("BatchNorm", "Bias", "PReLU", "Softmax")]
    found += _cases("Scale", "scale_param", [{"bias_term": True}], [(shape,)])
    found += _cases("Eltwise", "eltwise_param", [{"coeff": [0.3, -0.7]}, {}], [(shape, shape)])
    window = {"pool": 1, "kernel_size": 7, "stride": 3, "pad": 3}
    found += _cases("Pooling", "pooling_param", [window, {**window, "pool": 0}], [(shape,)])
    return found


def _reductions() -> List[Case]:
    softmax = [{}, {"axis": 2}, {"axis": -1}]
    found = _cases("Softmax", "softmax_param", softmax, [(_IMAGE,), ((3, 5, 4),)])
    options = [
        {"operation": operation, "axis": axis, "coeff": 0.7}
        for operation, axis in itertools.product((1, 2, 3, 4), (0, 1, -1))
    ]
    found += _cases("Reduction", "reduction_param", [{}, *options])
    arg_max = [{}, {"top_k": 3}, {"axis": 1}, {"axis": -1, "top_k": 2}, {"axis": 0, "top_k": 2}]
    arg_max += [{**option, "out_max_val": True} for option in arg_max]
    found += _cases("ArgMax", "argmax_param", arg_max)
    found += _cases("ArgMax", "argmax_param", arg_max, [(_IMAGE,), (_ROWS,)], values="ties")
    return found


SIMULATED: Tuple[Case, ...] = (
    *_windows(),
    *_pooling(),
    *_elementwise(),
    *_normalization(),
    *_activations(),
    *_layout(),
    *_reductions(),
    *_constants(),
    *_large(),
)
"""Layers that the simulator computes."""

SHAPES_ONLY: Tuple[Case, ...] = (
    Case("EuclideanLoss", (_ROWS, _ROWS)),
    Case("HingeLoss", ((3, 2), (3,)), values="labels"),
    Case("SigmoidCrossEntropyLoss", (_ROWS, _ROWS)),
    Case("SoftmaxWithLoss", (_ROWS, (3,)), values="labels"),
    Case("SoftmaxWithLoss", (_IMAGE, (2, 1, 5, 6)), values="labels"),
    Case("Accuracy", (_ROWS, (3,)), values="labels"),
    Case("Accuracy", (_ROWS, (3,)), {"accuracy_param": {"top_k": 2}}, tops=2, values="labels"),
    Case("Accuracy", (_IMAGE, (2, 5, 6)), {"accuracy_param": {"axis": -3}}, values="labels"),
)
"""Losses and measures, which a deployed network does not have."""
