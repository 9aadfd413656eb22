"""WeightQAT: fake quantization of one layer's weights.

In place on the quantized layer's input blob, which it leaves alone: it stands there so that Caffe
runs it just before the layer, and its backward just after the layer's.

Blobs:

0. ``master``: the float32 weights that the solver trains.
1. ``quantized``: what the layer computes with, shared with it through Caffe's named parameters.
2. ``scale_w``: one scale per output channel, or one; the solver trains it where the algorithm
   learns scales.
3. ``state``: shared with the ActivationQAT in front; counts TRAIN forwards.
4. ``gamma``: shared with the Scale that saving folds into the layer; only where there is one.
"""

from __future__ import annotations

import logging
import math
from typing import Any

import numpy as np

from amct_caffe.qat.bounds import STATE_SIZE
from amct_caffe.qat.parameters import WeightParameters, from_param_str
from amct_caffe.qat.recording import require_fitting_bias, weight_factors
from amct_caffe.runtime.preparation import prepare
from amct_caffe.runtime.pycaffe import TEST, Layer
from amct_caffe.runtime.ranks.processes import update_record
from amct_core.errors import TrainingError
from amct_core.kernels import gradients
from amct_core.plugins import registries
from amct_core.record import Record
from amct_core.weight_quantization import fake_quantize_into, learned_gradients

_log = logging.getLogger("amct_caffe.qat")


class WeightQAT(Layer):  # type: ignore[misc]
    """The layer; Caffe calls setup, reshape, forward and backward."""

    def setup(self, bottom: Any, top: Any) -> None:
        """Read ``param_str`` and, in a fresh net, make the blobs."""
        self._parameters = from_param_str(WeightParameters, self.param_str)
        parameters = self._parameters
        self._algorithm = (
            registries()
            .weight_algorithms.get(parameters.algo)
            .bound(parameters.algo_parameters or {}, layer=parameters.layer)
        )
        if len(self.blobs) == 0:
            shape = self._parameters.shape
            for blob_shape in (shape, shape, (self._parameters.scale_count,), (STATE_SIZE,)):
                self.blobs.add_blob(*blob_shape)
            if self._parameters.folds_scale:
                self.blobs.add_blob(self._parameters.channels)
            # Loading weights replaces these; training with weights that never came is caught.
            self.blobs[0].data[...] = np.nan
        prepare(self._parameters.layer, self._algorithm)
        self._is_checked = False

    def reshape(self, bottom: Any, top: Any) -> None:
        """In place: nothing to shape."""

    def forward(self, bottom: Any, top: Any) -> None:
        """Quantize the master weights into the shared blob; the master stays as it is."""
        parameters = self._parameters
        master = self.blobs[0].data
        if math.isnan(master.item(0)):
            raise TrainingError(
                "the master weights were never loaded (or training made them NaN).",
                layer=parameters.layer,
                remedy=(
                    "Load the modified weights first: solver.net.copy_from(modified_weights_file), "
                    "or a snapshot of the modified model; if they were loaded, lower base_lr."
                ),
            )
        scale_w = fake_quantize_into(
            self.blobs[1].data,
            master,
            self._algorithm,
            parameters.output_axis,
            parameters.channel_wise,
            self._gamma(),
            self.blobs[2].data if self._algorithm.learns_scales else None,
            layer=parameters.layer,
            thorough=not self._is_checked,
        )
        self._is_checked = True
        self.blobs[2].data[...] = scale_w
        first_factors = self.phase != TEST and self.blobs[3].data[0] == parameters.batch_num
        if first_factors:
            update_record(parameters.record_file, lambda record: self._recorded(record, scale_w))

    def _recorded(self, record: Record, scale_w: Any) -> Record:
        """Return ``record``, in which the ActivationQAT in front has put its scale just now."""
        require_fitting_bias(record, self._parameters)
        return weight_factors(record, self._parameters.layer, scale_w)

    def backward(self, top: Any, propagate_down: Any, bottom: Any) -> None:
        """Move the gradient of the quantized weights to the master (straight-through).

        Where scales are learned, the algorithm says both gradients.
        """
        # Added, because iter_size and user-shared weights add up in the master's diff; cleared,
        # because the layer will add to the shared diff again and the solver must not move it.
        if not self._algorithm.learns_scales:
            gradients.move(self.blobs[1].diff, self.blobs[0].diff)
            return
        parameters = self._parameters
        d_weights, d_scale = learned_gradients(
            self.blobs[0].data,
            self.blobs[1].diff,
            self._algorithm,
            parameters.output_axis,
            parameters.channel_wise,
            self._gamma(),
            self.blobs[2].data,
            layer=parameters.layer,
        )
        self.blobs[0].diff[...] += d_weights
        self.blobs[2].diff[...] += d_scale
        self.blobs[1].diff[...] = 0

    def _gamma(self) -> Any:
        """Return the gamma of the Scale that saving will fold; None: there is none."""
        return self.blobs[4].data if self._parameters.folds_scale else None
