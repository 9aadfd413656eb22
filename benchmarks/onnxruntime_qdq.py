"""The peer of the integer simulation: onnxruntime's own QDQ int8 model of the same network.

The network, with BatchNorm folded, is written as a float32 ONNX model and quantized by
``onnxruntime.quantization.quantize_static``.  Its settings are those with which onnxruntime is
fastest on x86: uint8 activations, int8 weights per channel (with int8 activations only part of the
convolutions is fused), everything that can be quantized quantized, and all graph optimizations.
"""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path
from typing import Any, Dict, Optional, Tuple

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process

from amct_caffe.model.network import CaffeNetwork, read_network
from amct_caffe.model.to_graph import to_graph
from amct_caffe.passes.fold_batch_norm import FoldBatchNorm
from amct_core.graph import Graph
from amct_core.graph.attributes import Convolution, InnerProduct
from amct_core.graph.shapes import known_shapes
from cpu_sim_backend.onnx_export import export

Array = NDArray[np.float32]
_INTEGER_PRODUCTS = ("QLinearConv", "ConvInteger", "QGemm", "QLinearMatMul", "MatMulInteger")
_FLOAT_PRODUCTS = ("Conv", "FusedConv", "Gemm", "FusedGemm", "MatMul")


class _OneBatch(CalibrationDataReader):  # type: ignore[misc]
    """Gives one batch to calibrate with: the bounds do not change the time."""

    def __init__(self, batch: Dict[str, Array]) -> None:
        self._batch: Optional[Dict[str, Array]] = batch

    def get_next(self) -> Optional[Dict[str, Array]]:
        """Return the batch, and None at the second call."""
        batch, self._batch = self._batch, None
        return batch


def folded_network(model: Path, weights: Path) -> CaffeNetwork:
    """Return a network with BatchNorm and Scale folded into the layers before them."""
    network = read_network(str(model), str(weights))
    nodes = to_graph(network, "TEST").nodes
    names = tuple(n.name for n in nodes if isinstance(n.attributes, (Convolution, InnerProduct)))
    return FoldBatchNorm(names).run(network)


def write_models(graph: Graph, folder: Path, batch: Dict[str, Array]) -> Tuple[Path, Path]:
    """Write a float network as a float32 and as a QDQ int8 model; return their paths.

    Args:
        graph: float, without BatchNorm.
        folder: where files go.
        batch: inputs to calibrate with.
    """
    files = [str(folder / f"{name}.onnx") for name in ("float", "prepared", "qdq")]
    onnx.save(export(graph), files[0])
    quant_pre_process(files[0], files[1], skip_symbolic_shape=True)
    quantize_static(
        files[1],
        files[2],
        _OneBatch(batch),
        quant_format=QuantFormat.QDQ,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        per_channel=True,
    )
    return Path(files[0]), Path(files[2])


def session(model: Path, threads: int) -> Tuple[Any, Dict[str, int]]:
    """Return a session and how many nodes of each kind onnxruntime's optimizations leave."""
    optimized = model.with_name("optimized.onnx")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.optimized_model_filepath = str(optimized)
    options.log_severity_level = 3  # it warns that an optimized file fits this machine only
    # Its threads wait actively during a run, which is the default and the fastest, and not after.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    providers = ["CPUExecutionProvider"]
    made = onnxruntime.InferenceSession(str(model), options, providers=providers)
    nodes = onnx.load(str(optimized), load_external_data=False).graph.node
    return made, dict(Counter(node.op_type for node in nodes).most_common())


def products(nodes: Dict[str, int]) -> Dict[str, int]:
    """Return how many convolutions and matrix products run in integers, and how many in float."""
    return {
        "in_integers": sum(nodes.get(kind, 0) for kind in _INTEGER_PRODUCTS),
        "in_float32": sum(nodes.get(kind, 0) for kind in _FLOAT_PRODUCTS),
    }


def macs_by_layer(graph: Graph) -> Dict[str, int]:
    """Return the multiply-accumulates of one image, of convolutions and inner products."""
    shapes = known_shapes(graph)
    found = {}
    for node in graph.nodes:
        if isinstance(node.attributes, (Convolution, InnerProduct)):
            _batch, *output = shapes[node.outputs[0]]
            # Every output is a sum over one row of the weights.
            found[node.name] = int(np.prod(output)) * node.weights[0].size // len(node.weights[0])
    return found


def product_rate(threads: int) -> float:
    """Return the most GMAC/s that onnxruntime's products of uint8 by int8 matrices reach here.

    Large products with constant weights: a measured peak for whatever is built of them.
    """
    return round(max(_rate_of(size, threads) for size in _PRODUCT_SIZES), 1)


_PRODUCT_SIZES = ((784, 1152, 256), (3136, 576, 128), (2048, 2048, 1024))
"""Rows, depth and columns: two convolutions of ResNet-50, and one larger than any of them."""


def _rate_of(size: Tuple[int, int, int], threads: int) -> float:
    rows, depth, columns = size
    generator = np.random.default_rng(0)
    weights = generator.integers(0, 127, (depth, columns)).astype(np.int8)
    shapes = (("x", TensorProto.UINT8, [rows, depth]), ("y", TensorProto.INT32, [rows, columns]))
    x, y = (helper.make_tensor_value_info(*shape) for shape in shapes)
    node = helper.make_node("MatMulInteger", ["x", "w"], ["y"])
    graph = helper.make_graph([node], "product", [x], [y], [numpy_helper.from_array(weights, "w")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.force_spinning_stop", "1")
    made = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    inputs = {"x": generator.integers(0, 255, (rows, depth)).astype(np.uint8)}
    seconds = []
    for _ in range(12):
        start = time.perf_counter()
        made.run(None, inputs)
        seconds.append(time.perf_counter() - start)
    return rows * depth * columns / min(seconds) / 1e9
