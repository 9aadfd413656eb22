"""InputShape: writes the shape of a network input into the record.

One bottom, which it only looks at, and no top.  For inputs whose shape is known to nobody before
Caffe has set up the data layer: a Python layer, or files that were not there at insertion.
"""

from __future__ import annotations

from typing import Any

from amct_caffe.qat.parameters import InputShapeParameters, from_param_str
from amct_caffe.runtime.pycaffe import TEST, Layer
from amct_caffe.runtime.shape_recorder import ShapeRecorder


class InputShape(Layer):  # type: ignore[misc]
    """The layer; Caffe calls setup, reshape, forward and backward."""

    def setup(self, bottom: Any, top: Any) -> None:
        """Read ``param_str``."""
        parameters = from_param_str(InputShapeParameters, self.param_str)
        self._recorder = ShapeRecorder(
            parameters.blob, [parameters.entry], parameters.record_file, replaces=self.phase == TEST
        )

    def reshape(self, bottom: Any, top: Any) -> None:
        """There is no top to shape."""

    def forward(self, bottom: Any, top: Any) -> None:
        """Record the shape where it is new."""
        self._recorder.see(bottom[0].shape)

    def backward(self, top: Any, propagate_down: Any, bottom: Any) -> None:
        """Nothing comes from here."""
        if propagate_down[0]:
            bottom[0].diff[...] = 0
