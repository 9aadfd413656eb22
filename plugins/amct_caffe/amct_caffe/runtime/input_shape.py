"""InputShape: writes the shape of a network input into the record.

One bottom, which it only looks at, and no top.  For inputs whose shape is known to nobody before
Caffe has set up the data layer: a Python layer, or files that were not there at insertion.
"""

from __future__ import annotations

import logging
from typing import Any, Optional, Tuple

from amct_caffe.qat.parameters import InputShapeParameters, from_param_str
from amct_caffe.qat.recording import most_axes, sample_shape
from amct_caffe.runtime.pycaffe import TEST, Layer
from amct_caffe.runtime.ranks.processes import update_record

_log = logging.getLogger("amct_caffe.qat")


class InputShape(Layer):  # type: ignore[misc]
    """The layer; Caffe calls setup, reshape, forward and backward."""

    def setup(self, bottom: Any, top: Any) -> None:
        """Read ``param_str``."""
        self._parameters = from_param_str(InputShapeParameters, self.param_str)
        self._recorded: Optional[Tuple[int, ...]] = None

    def reshape(self, bottom: Any, top: Any) -> None:
        """There is no top to shape."""

    def forward(self, bottom: Any, top: Any) -> None:
        """Record the shape where it is new; that of TEST wins over that of TRAIN."""
        shape = tuple(bottom[0].shape)[1:]
        if shape == self._recorded:
            return
        first = self._recorded is None
        self._recorded = shape
        parameters = self._parameters
        if len(shape) > most_axes():
            _log.warning(
                "input '%s' has samples of shape %s, which a record cannot hold; save the model "
                "with --input-shape %s:N,%s",
                parameters.blob,
                shape,
                parameters.blob,
                ",".join(map(str, shape)),
            )
        elif first or self.phase == TEST:
            update_record(
                parameters.record_file,
                lambda record: sample_shape(
                    record, parameters.entry, shape, replaces=self.phase == TEST
                ),
            )

    def backward(self, top: Any, propagate_down: Any, bottom: Any) -> None:
        """Nothing comes from here."""
        if propagate_down[0]:
            bottom[0].diff[...] = 0
