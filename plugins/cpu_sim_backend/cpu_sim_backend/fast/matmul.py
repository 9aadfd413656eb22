"""Products of 8-bit matrices with int32 sums, by onnxruntime.

MatMulInteger multiplies uint8 by int8 with the instructions that processors have for it.  Without
those (VNNI) the kernel for uint8 x int8 saturates pairs of products at int16, which is not exact;
then uint8 x uint8 is used, which is.  Which of them is right here is found out, not assumed.
"""

from __future__ import annotations

import functools
from typing import Any

import attrs
import numpy as np
import onnxruntime
from numpy.typing import NDArray

_UINT8, _INT8, _INT32 = 2, 3, 6
_OPSET, _IR_VERSION = 13, 8


@attrs.frozen(eq=False)
class IntegerProduct:
    """``(x - zero) @ weights`` for one matrix of weights.

    Attributes:
        session: runs the product.
    """

    session: Any

    @classmethod
    def of(cls, weights: NDArray[np.int8], zero: int, threads: int) -> IntegerProduct:
        """Prepare the product.

        Args:
            weights: int8 ``[depth, columns]``.
            zero: the value of ``x`` that stands for zero, 0..255.
            threads: of the product.
        """
        return cls(_session(weights, zero, threads, signed_weights_are_exact()))

    def __call__(self, rows: NDArray[np.uint8]) -> NDArray[np.int32]:
        """Return int32 ``[rows, columns]`` for uint8 ``[rows, depth]``; sums must fit int32."""
        (result,) = self.session.run(None, {"x": rows})
        product: NDArray[np.int32] = result
        return product


@functools.lru_cache(maxsize=1)
def signed_weights_are_exact() -> bool:
    """Return whether uint8 x int8 is exact on this processor, at the largest values there are."""
    for weight in (-128, 127):
        weights = np.full((64, 16), weight, np.int8)
        session = _session(weights, 0, 1, signed=True)
        (found,) = session.run(None, {"x": np.full((8, 64), 255, np.uint8)})
        if (found != 255 * weight * 64).any():
            return False
    return True


def _session(weights: NDArray[np.int8], zero: int, threads: int, signed: bool) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # A thread that spins takes its core away from the passes between the products.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    stored = weights if signed else (weights.view(np.uint8) ^ np.uint8(128))
    return onnxruntime.InferenceSession(
        _model(np.ascontiguousarray(stored), zero), options, providers=["CPUExecutionProvider"]
    )


def _model(weights: NDArray[Any], zero: int) -> bytes:
    """Return an ONNX model of one MatMulInteger.

    Three messages do not need the onnx package: field numbers are those of onnx.proto.
    """
    signed = weights.dtype == np.int8
    names = ["x", "w", "zero"] + ([] if signed else ["weight_zero"])
    node = b"".join(_text(1, name) for name in names) + _text(2, "y") + _text(4, "MatMulInteger")
    initializers = [
        _tensor("w", _INT8 if signed else _UINT8, weights.shape, weights.tobytes()),
        _tensor("zero", _UINT8, (), bytes([zero])),
    ]
    if not signed:
        initializers.append(_tensor("weight_zero", _UINT8, (), b"\x80"))
    graph = _field(1, node) + _text(2, "product")
    graph += b"".join(_field(5, initializer) for initializer in initializers)
    graph += _field(11, _value("x", _UINT8)) + _field(12, _value("y", _INT32))
    opset = _text(1, "") + _number(2, _OPSET)
    return _number(1, _IR_VERSION) + _field(7, graph) + _field(8, opset)


def _tensor(name: str, kind: int, shape: tuple[int, ...], data: bytes) -> bytes:
    dims = b"".join(_number(1, dim) for dim in shape)
    return dims + _number(2, kind) + _text(8, name) + _field(9, data)


def _value(name: str, kind: int) -> bytes:
    dimension = _field(1, b"")
    tensor_type = _number(1, kind) + _field(2, dimension + dimension)
    return _text(1, name) + _field(2, _field(1, tensor_type))


def _varint(value: int) -> bytes:
    result = bytearray()
    while value >= 0x80:
        result.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*result, value])


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _field(field: int, data: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(data)) + data


def _text(field: int, text: str) -> bytes:
    return _field(field, text.encode())
