"""DeQuant of the fake-quant model: accumulators (integer-valued floats) to float32.

Adds the int32 bias, applies shift N and multiplies by ``deq_scale``.  An int32 does not fit a
float32, so the bias comes in two blobs, its high and its low 16 bits.

Blobs: ``deq_scale``, ``shift_n``, ``bias_high``, ``bias_low`` (the last two only with a bias).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from amct_caffe.qat.parameters import DequantParameters, from_param_str
from amct_caffe.runtime.pycaffe import Layer
from amct_core.errors import QuantizationError
from amct_core.numerics import dequant, exactness, pooling

_INT32 = np.iinfo(np.int32)


class DeQuant(Layer):  # type: ignore[misc]
    """The layer; Caffe calls setup, reshape and forward.

    Several bottoms are parts of one accumulator and are added first.  For AVE Pooling there is a
    second bottom, the pooling's input, of which only the shape is read.
    """

    def setup(self, bottom: Any, top: Any) -> None:
        """Read ``param_str`` and, in a fresh net, make the blobs."""
        self._parameters = from_param_str(DequantParameters, self.param_str)
        if len(self.blobs) == 0:
            self.blobs.add_blob(self._parameters.scale_count)
            self.blobs.add_blob(self._parameters.scale_count)
            if self._parameters.bias_count:
                self.blobs.add_blob(self._parameters.bias_count)
                self.blobs.add_blob(self._parameters.bias_count)

    def reshape(self, bottom: Any, top: Any) -> None:
        """Shape the top like the accumulator."""
        top[0].reshape(*bottom[0].shape)

    def forward(self, bottom: Any, top: Any) -> None:
        """Dequantize; see :mod:`amct_core.numerics.dequant`."""
        deq_scale = np.array(self.blobs[0].data, np.float32)
        if self._parameters.window is not None:
            top[0].data[...] = self._pooled(bottom, deq_scale)
            return
        accumulator = np.rint(bottom[0].data).astype(np.int64)
        for index in range(1, len(bottom)):
            accumulator += np.rint(bottom[index].data).astype(np.int64)
        if self._parameters.bias_count:
            bias = exactness.join_bias(self.blobs[2].data, self.blobs[3].data)
            accumulator += bias.astype(np.int64).reshape((1, -1) + (1,) * (accumulator.ndim - 2))
        shift_n = np.array(self.blobs[1].data).astype(np.uint8)
        top[0].data[...] = dequant.dequantize(_as_int32(accumulator), deq_scale, shift_n, 1)

    def _pooled(self, bottom: Any, deq_scale: NDArray[np.float32]) -> NDArray[np.float32]:
        window = self._parameters.window
        assert window is not None
        height, width = bottom[1].shape[2:]
        areas = pooling.window_areas(
            height, width, window.kernel, window.stride, window.pad, window.ceil_mode
        )
        sums = pooling.integer_sums(bottom[0].data, areas)
        return pooling.dequantize_sum(sums, deq_scale[0], areas, window.kernel)

    def backward(self, top: Any, propagate_down: Any, bottom: Any) -> None:
        """Refuse: a saved model is not trained."""
        if any(propagate_down):
            raise NotImplementedError("a fake-quant model is for testing; train the modified model")


def _as_int32(accumulator: NDArray[np.int64]) -> NDArray[np.int32]:
    low, high = int(accumulator.min(initial=0)), int(accumulator.max(initial=0))
    if low < _INT32.min or high > _INT32.max:
        raise QuantizationError(
            f"an accumulator ({low} .. {high}) does not fit int32.",
            remedy="Disable the layer in the config.",
        )
    return accumulator.astype(np.int32)
