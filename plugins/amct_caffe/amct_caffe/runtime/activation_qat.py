"""ActivationQAT: fake quantization of one blob, with learned clip bounds.

One bottom, one top of the same shape.  Blobs: ``clip_max`` [1], ``clip_min`` [1], ``state`` [4]
(see :mod:`amct_caffe.qat.bounds`), and what the algorithm learns or keeps beside them
(:mod:`amct_caffe.qat.values`).  Everything is shaped by the bottom at every reshape, so batch
and image size may change at any time.
"""

from __future__ import annotations

import logging
from typing import Any, Optional

import numpy as np
from numpy.typing import NDArray

from amct_caffe.qat.bounds import STATE_SIZE, BoundState, calibrated
from amct_caffe.qat.dead import warn_of_dead_input
from amct_caffe.qat.parameters import ActivationParameters, from_param_str
from amct_caffe.qat.recording import activation_factors
from amct_caffe.qat.values import Values, values_of
from amct_caffe.runtime.preparation import prepare
from amct_caffe.runtime.pycaffe import TEST, Layer
from amct_caffe.runtime.ranks.processes import SharedCalibration, processes, update_record
from amct_caffe.runtime.shape_recorder import ShapeRecorder
from amct_core.contracts.activations import CheckedActivation
from amct_core.errors import QuantizationError, TrainingError
from amct_core.numerics.clipping import ValueRange
from amct_core.plugins import registries
from amct_core.supervision.stopping import stop_in_test

_FIRST_VALUE = 3
"""The first blob behind those of the bounds."""

_log = logging.getLogger("amct_caffe.qat")


class ActivationQAT(Layer):  # type: ignore[misc]
    """The layer; Caffe calls setup, reshape, forward and backward."""

    def setup(self, bottom: Any, top: Any) -> None:
        """Read ``param_str`` and, in a fresh net, make the blobs."""
        self._parameters = from_param_str(ActivationParameters, self.param_str)
        parameters = self._parameters
        self._layers = ", ".join(parameters.layers)
        self._algorithm = (
            registries()
            .activation_algorithms.get(parameters.algo)
            .bound(parameters.algo_parameters or {}, layer=self._layers)
        )
        self._checked = CheckedActivation(self._algorithm, self._layers)
        self._calibrator = (
            registries()
            .calibrators.get(parameters.init_algo)
            .bound(parameters.init_algo_parameters or {}, layer=self._layers)
            if parameters.init_algo is not None
            else None
        )
        self._shape_recorder = self._make_shape_recorder()
        self._calibration: Optional[SharedCalibration] = None
        self._seen = ValueRange()
        self._restart()
        self._gradients_count = True
        if len(self.blobs) == 0:
            for size in (1, 1, STATE_SIZE):
                self.blobs.add_blob(size)
            for blob in self._algorithm.blobs:
                self.blobs.add_blob(*blob.shape)
                self.blobs[len(self.blobs) - 1].data[...] = blob.initial
        # What takes time once is done here, so that no iteration is slower than the others.
        prepare(self._layers, self._algorithm, self._calibrator)

    def reshape(self, bottom: Any, top: Any) -> None:
        """Shape the top like the bottom."""
        top[0].reshape(*bottom[0].shape)

    def forward(self, bottom: Any, top: Any) -> None:
        """Quantize and dequantize; in TRAIN, initialise the bounds first."""
        x = bottom[0].data
        own = self.blobs
        blobs = own[0].data, own[1].data, own[2].data  # several times faster than by iteration
        state = BoundState.from_blobs(*blobs)
        if self.phase == TEST:
            stop_in_test()
            state = self._for_testing(state)
        else:
            state = self._for_training(state, x)
            for blob, contents in zip(blobs, state.to_blobs()):
                blob[...] = contents
        self._bounds = state.clip_max, state.clip_min, self._parameters.fixed_min
        self._values = self._values_for(state, x)
        if self._shape_recorder is not None and self.phase == TEST:
            self._shape_recorder.see(bottom[0].shape)
        first_factors = self.phase != TEST and state.forwards == self._parameters.batch_num
        scale, offset = self._checked.forward(
            x, top[0].data, *self._bounds, values=self._values, thorough=first_factors
        )
        if first_factors:
            self._record(scale, offset, bottom[0].shape)
            if self._shape_recorder is not None:
                self._shape_recorder.see(bottom[0].shape)

    def backward(self, top: Any, propagate_down: Any, bottom: Any) -> None:
        """Straight-through for the bottom; add the gradients of the parameters to their diffs.

        The gradients are those at the parameters that the forward pass took.
        """
        d_clip_max, d_clip_min, learned = self._checked.backward(
            bottom[0].data,
            top[0].diff,
            bottom[0].diff if propagate_down[0] else None,
            *self._bounds,
            values=self._values,
        )
        if self._gradients_count:
            # Added, not assigned: with iter_size > 1 earlier passes are in there already.
            self.blobs[0].diff[...] += d_clip_max
            if not self._parameters.fixed_min:
                self.blobs[1].diff[...] += d_clip_min
            for index, parameter in enumerate(self._algorithm.learned, _FIRST_VALUE):
                self.blobs[index].diff[...] += learned[parameter.name]

    def _make_shape_recorder(self) -> Optional[ShapeRecorder]:
        parameters = self._parameters
        if parameters.sees_input is None:
            return None
        return ShapeRecorder(
            parameters.sees_input, parameters.layers, parameters.record_file, replaces=True
        )

    def _for_testing(self, state: BoundState) -> BoundState:
        parameters = self._parameters
        from_data = self._calibrator is not None or self._algorithm.initialise is not None
        if not state.initialised(parameters.batch_num, from_data):
            raise TrainingError(
                f"a TEST pass met clip bounds that are not initialised: that takes "
                f"{parameters.batch_num} TRAIN forwards (batch_num); {state.forwards} have run.",
                layer=self._layers,
                remedy="Set test_initialization: false, and test_interval of at least batch_num.",
            )
        # Not written back: a TEST pass changes nothing that training reads.
        return state.repaired(parameters.fixed_min)

    def _for_training(self, state: BoundState, x: NDArray[np.float32]) -> BoundState:
        parameters = self._parameters
        calibrating = self._calibrator is not None and state.forwards < parameters.batch_num
        if calibrating:
            if self._calibration is None or state.forwards != self._calibration.observed:
                state = self._restarted(state)
            state = self._calibrated(state.counted(), x)
        else:
            state = state.counted()
        initialising = calibrating or self._algorithm.initialise is not None
        self._gradients_count = not initialising or state.forwards >= parameters.batch_num
        return state.repaired(parameters.fixed_min)

    def _values_for(self, state: BoundState, x: NDArray[np.float32]) -> Values:
        """Return what the algorithm learns and keeps; in TRAIN, as it becomes with ``x``."""
        algorithm, parameters = self._algorithm, self._parameters
        if not algorithm.blobs:
            return {}
        arrays = [self.blobs[i].data for i in range(_FIRST_VALUE, len(self.blobs))]
        values = values_of(algorithm, arrays, self._layers)
        if self.phase == TEST or not (algorithm.initialise or algorithm.observe):
            return values
        initialising = algorithm.initialise and state.forwards <= parameters.batch_num
        if not (initialising or algorithm.observe):
            return values
        found = self._checked.new_values(
            processes().whole(x),  # that of all processes: they must find the same
            *self._bounds,
            values=values,
            batch=state.forwards if initialising else None,
        )
        for blob, array in zip(algorithm.blobs, arrays):
            if blob.name in found:
                array[...] = found[blob.name]
        return values_of(algorithm, arrays, self._layers)

    def _calibrated(self, state: BoundState, x: NDArray[np.float32]) -> BoundState:
        """Return the state with bounds from ``x`` and the batches before it."""
        parameters, calibration = self._parameters, self._calibration
        assert calibration is not None
        try:
            calibration.observe(x)
            self._seen = self._seen.observed(x)
            scale, offset = calibration.result()
        except QuantizationError as error:
            raise error.at(layer=self._layers) from error
        state = calibrated(state, scale, offset, parameters.fixed_min)
        if state.forwards < parameters.batch_num:
            calibration.keep()
        else:
            warn_of_dead_input(parameters.layers, self._seen, calibration.observed)
            self._calibration = None
        return state

    def _restart(self) -> None:
        self._calibration = (
            SharedCalibration(self._calibrator, self._layers)
            if self._calibrator is not None
            else None
        )
        self._seen = ValueRange()

    def _restarted(self, state: BoundState) -> BoundState:
        """Return the state before initialisation: weights were loaded in the middle of it."""
        if state.forwards > 0:
            _log.warning(
                "layer '%s': training was interrupted after %d of %d batches of initialisation; "
                "initialisation starts again",
                self._layers,
                state.forwards,
                self._parameters.batch_num,
            )
        self._restart()
        return BoundState(state.clip_max, state.clip_min)

    def _record(self, scale: Any, offset: int, shape: Any) -> None:
        parameters = self._parameters
        update_record(
            parameters.record_file,
            lambda record: activation_factors(record, parameters.layers, scale, offset, shape),
        )
        _log.info(
            "layer '%s': activation factors after %d batches: scale_d %.9g, offset_d %d",
            self._layers,
            parameters.batch_num,
            scale,
            offset,
        )
