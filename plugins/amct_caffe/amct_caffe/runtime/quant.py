"""Quant of the fake-quant model: float32 to integer-valued floats ``q - offset``.

The layer behind it multiplies these by integer-valued weights, in float32 and yet exactly, as long
as its partial sums stay below 2**24.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from amct_caffe.qat.parameters import QuantParameters, from_param_str
from amct_caffe.runtime.pycaffe import Layer
from amct_core.numerics import affine


class Quant(Layer):  # type: ignore[misc]
    """The layer; Caffe calls setup, reshape and forward."""

    def setup(self, bottom: Any, top: Any) -> None:
        """Read ``param_str``."""
        self._parameters = from_param_str(QuantParameters, self.param_str)

    def reshape(self, bottom: Any, top: Any) -> None:
        """Shape the top like the bottom."""
        top[0].reshape(*bottom[0].shape)

    def forward(self, bottom: Any, top: Any) -> None:
        """Quantize; see :func:`amct_core.numerics.affine.quantize`."""
        offset = self._parameters.offset
        q = affine.quantize(bottom[0].data, np.float32(self._parameters.scale), offset)
        np.subtract(q, np.float32(offset), out=top[0].data, casting="unsafe")

    def backward(self, top: Any, propagate_down: Any, bottom: Any) -> None:
        """Refuse: a saved model is not trained."""
        if any(propagate_down):
            raise NotImplementedError("a fake-quant model is for testing; train the modified model")
