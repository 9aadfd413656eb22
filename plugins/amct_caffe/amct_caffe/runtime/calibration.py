"""Calibration: finds the factors of one blob from the data that pass, and records them.

One bottom, no top: the network computes the same as without it.  Shapes may change from forward to
forward.  After ``batch_num`` forwards of one net the factors go into the record, and the layer does
nothing any more; a new net begins again.
"""

from __future__ import annotations

import logging
from typing import Any

from amct_caffe.qat.parameters import CalibrationParameters, from_param_str
from amct_caffe.qat.recording import activation_factors, records
from amct_caffe.runtime.preparation import prepare
from amct_caffe.runtime.pycaffe import Layer
from amct_core.plugins import registries
from amct_core.ptq import kept_batches, progress
from amct_core.ptq.observing import observer_for, require_finite

_log = logging.getLogger("amct_caffe.ptq")


class Calibration(Layer):  # type: ignore[misc]
    """The layer; Caffe calls setup, reshape, forward and backward."""

    def setup(self, bottom: Any, top: Any) -> None:
        """Read ``param_str`` and begin a calibration."""
        self._parameters = from_param_str(CalibrationParameters, self.param_str)
        calibrator = registries().calibrators.get(self._parameters.algo)
        layers = ", ".join(self._parameters.layers)
        prepare(layers, calibrator)
        self._observer = observer_for(calibrator, self._parameters.options, layers)
        self._seen = 0

    def reshape(self, bottom: Any, top: Any) -> None:
        """Take any shape."""

    def forward(self, bottom: Any, top: Any) -> None:
        """Take in one batch; with the last one record the factors."""
        parameters = self._parameters
        if self._seen >= parameters.batch_num:
            return
        x = bottom[0].data
        require_finite(x, self._seen + 1, parameters.layers, parameters.blob)
        self._observer.observe(x)
        self._seen += 1
        if parameters.kept_as is not None:
            kept_batches.keep(parameters.kept_as, self._seen, x)
        _log.info(
            "Doing layer: %s calibration, already store %d/%d data.",
            self._names,
            self._seen,
            parameters.batch_num,
        )
        if self._seen == parameters.batch_num:
            self._record(bottom[0].shape)
        progress.note(parameters.record_file, parameters.layers, self._seen, parameters.batch_num)

    def backward(self, top: Any, propagate_down: Any, bottom: Any) -> None:
        """Give no gradient: nothing depends on this layer."""

    @property
    def _names(self) -> str:
        return ", ".join(f'"{name}"' for name in self._parameters.layers)

    def _record(self, shape: Any) -> None:
        parameters = self._parameters
        scale, offset = self._observer.result()
        records.update(
            parameters.record_file,
            lambda record: activation_factors(record, parameters.layers, scale, offset, shape),
        )
        _log.info(
            "Do layer:%s activation calibration success! scale_d %.9g, offset_d %d",
            self._names,
            scale,
            offset,
        )
