"""ShiftSearch: the tap on a quantized layer's output that finds shift factor N in TEST passes.

In place on the layer's output as it will be after folding (after BatchNorm and Scale, before an
in-place ReLU), which it leaves alone.  It stands in both phases, because only then does Caffe keep
its shared blobs pointing at the trained ones; in TRAIN it does nothing.

Blobs, shared by name with their owners: ``clip_max``, ``clip_min``, ``state`` and ``scale_w``;
then mean, variance and factor of a BatchNorm, gamma and beta of a Scale, where these are folded;
then what the activation algorithm learns or keeps beside the bounds.
The statistics of a BatchNorm that is frozen are not shared: they are the layer's own, loaded with
its weights.
"""

from __future__ import annotations

import logging
import math
from typing import Any, Optional, Tuple

import numpy as np
from numpy.typing import NDArray

from amct_caffe.qat.bounds import STATE_SIZE, BoundState
from amct_caffe.qat.parameters import ShiftParameters, from_param_str
from amct_caffe.qat.recording import shift_factors
from amct_caffe.qat.values import values_of
from amct_caffe.runtime.preparation import prepare
from amct_caffe.runtime.pycaffe import TEST, Layer
from amct_caffe.runtime.ranks.processes import SharedShiftSearch, update_record
from amct_core.contracts.activations import CheckedActivation
from amct_core.errors import PluginError, TrainingError
from amct_core.folding import batch_norm_values, scale_values
from amct_core.numerics import bn_fold
from amct_core.plugins import registries

_VARIANCE = 5
"""The blob of BatchNorm's variance."""

_log = logging.getLogger("amct_caffe.qat")


class ShiftSearch(Layer):  # type: ignore[misc]
    """The layer; Caffe calls setup, reshape, forward and backward."""

    def setup(self, bottom: Any, top: Any) -> None:
        """Read ``param_str`` and, in a fresh net, make the blobs."""
        self._parameters = from_param_str(ShiftParameters, self.param_str)
        parameters = self._parameters
        search = registries().shift_searches.get(parameters.search)
        if search.start is None:
            raise PluginError(
                f"shift-N search '{search.name}' searches nothing, so no layer can run it.",
                layer=self._parameters.layer,
            )
        self._search = search.bound(parameters.search_parameters or {}, layer=parameters.layer)
        if self.phase == TEST:
            prepare(parameters.layer, search)
        algorithm = registries().activation_algorithms.get(parameters.activation_algo)
        self._activation = algorithm.bound(
            parameters.activation_parameters or {}, layer=parameters.layer
        )
        self._checked = CheckedActivation(self._activation, parameters.layer)
        self._searcher: Any = None
        self._batches_left = 0
        self._searched_at: Optional[Tuple[bytes, ...]] = None
        if len(self.blobs) == 0:
            for size in self._blob_sizes():
                self.blobs.add_blob(size)
            for blob in self._activation.blobs:
                self.blobs.add_blob(*blob.shape)
            if self._parameters.batch_norm_eps is not None:
                # Sharing or loading replaces these; statistics that never came are caught.
                self.blobs[_VARIANCE].data[...] = np.nan

    def reshape(self, bottom: Any, top: Any) -> None:
        """In place: nothing to shape."""

    def forward(self, bottom: Any, top: Any) -> None:
        """In TEST, take in one batch of outputs; after ``batch_num`` of them, record N."""
        self._require_statistics()
        if self.phase != TEST:
            return
        y = bottom[0].data
        snapshot = tuple(self.blobs[i].data.tobytes() for i in range(len(self.blobs)))
        if snapshot != self._searched_at:
            # Training has gone on (its forwards are counted in a blob): this is a new TEST pass.
            self._searched_at = snapshot
            broadcast = y.ndim == 4 and y.shape[2:] == (1, 1)
            self._searcher = SharedShiftSearch(
                self._search, self._deq_scale(), broadcast, self._parameters.layer
            )
            self._batches_left = self._parameters.batch_num
        if self._batches_left == 0:
            return
        self._searcher.observe(y)
        self._batches_left -= 1
        if self._batches_left == 0:
            self._record(self._searcher.result())
            self._searcher = None

    def backward(self, top: Any, propagate_down: Any, bottom: Any) -> None:
        """In place: the diff is where it belongs."""

    def _require_statistics(self) -> None:
        parameters = self._parameters
        if parameters.batch_norm_eps is None:
            return
        if math.isnan(self.blobs[_VARIANCE].data.item(0)):
            raise TrainingError(
                "the statistics of the BatchNorm behind it never came: the modified weights were "
                "not loaded (or training made them NaN), or this Caffe clears the names by which "
                "they are shared.",
                layer=parameters.layer,
                remedy=(
                    "Load the modified weights first: solver.net.copy_from(modified_weights_file); "
                    "if they were loaded, insert again on this machine: BatchNorm is then frozen. "
                    "'amct doctor' shows what this Caffe does."
                ),
            )

    def _blob_sizes(self) -> Tuple[int, ...]:
        parameters = self._parameters
        sizes = [1, 1, STATE_SIZE, parameters.scale_count]
        if parameters.batch_norm_eps is not None:
            sizes += [parameters.channels, parameters.channels, 1]
        if parameters.folds_scale:
            sizes += [parameters.channels] * (2 if parameters.folds_scale_bias else 1)
        return tuple(sizes)

    def _activation_factors(self) -> Tuple[Any, int]:
        state = BoundState.from_blobs(*(self.blobs[i].data for i in range(3)))
        fixed_min = self._parameters.fixed_min
        valid = state.repaired(fixed_min)
        arrays = [self.blobs[i].data for i in range(self._own_blobs(), len(self.blobs))]
        values = values_of(self._activation, arrays, self._parameters.layer)
        return self._checked.factors(valid.clip_max, valid.clip_min, fixed_min, values=values)

    def _own_blobs(self) -> int:
        """Return how many blobs there are before those of the activation algorithm."""
        return len(self.blobs) - len(self._activation.blobs)

    def _scale_w(self) -> NDArray[np.float32]:
        scale_w = np.array(self.blobs[3].data, np.float32)
        parameters = self._parameters
        if not parameters.folds:
            return scale_w
        rest = [np.array(self.blobs[i].data) for i in range(4, self._own_blobs())]
        batch_norm = scale = None
        if parameters.batch_norm_eps is not None:
            batch_norm = batch_norm_values(rest[:3], parameters.batch_norm_eps)
            rest = rest[3:]
        if parameters.folds_scale:
            scale = scale_values(rest)
        multiplier, _ = bn_fold.multiplier_and_shift(batch_norm, scale)
        return bn_fold.fold_scales(scale_w, multiplier)

    def _deq_scale(self) -> NDArray[np.float32]:
        scale_d, _ = self._activation_factors()
        return np.asarray(np.float32(scale_d) * self._scale_w(), np.float32)

    def _record(self, shift_n: NDArray[np.uint8]) -> None:
        parameters = self._parameters
        scale_d, offset_d = self._activation_factors()
        scale_w = self._scale_w()
        update_record(
            parameters.record_file,
            lambda record: shift_factors(
                record, parameters.layer, scale_d, offset_d, scale_w, shift_n
            ),
        )
        _log.info(
            "layer '%s': shift N searched over %d batches: %d to %d",
            parameters.layer,
            parameters.batch_num,
            int(np.min(shift_n)),
            int(np.max(shift_n)),
        )
