"""The checks of a network before insertion: they need neither Caffe nor data."""

from __future__ import annotations

from typing import Optional, Sequence, Tuple

from amct_caffe.checks.batch_norm import unusable_statistics
from amct_caffe.checks.check import Check, Violation, find_all, listed
from amct_caffe.checks.file_sizes import Insertion, too_large_files
from amct_caffe.checks.gradients import learned_targets
from amct_caffe.checks.input_sizes import inputs_that_do_not_fit_weights, too_small_inputs
from amct_caffe.checks.names import unreadable_names
from amct_caffe.checks.outputs import outputs_that_are_inputs
from amct_caffe.checks.quantized_models import quantized_already
from amct_caffe.checks.weight_values import values_that_are_not_finite
from amct_core.errors import ModelError
from amct_core.extensions.frontend import NetworkViews

NETWORK_CHECKS: Tuple[Check[NetworkViews], ...] = (
    Check(
        "quantized model",
        "a fake-quant, deployable or modified model, or the weights of one, as input",
        quantized_already,
    ),
    Check("names", "names of layers and blobs that are not UTF-8", unreadable_names),
    Check("finite weights", "weights that are NaN or infinite", values_that_are_not_finite),
    Check(
        "BatchNorm statistics",
        "a BatchNorm whose variance + eps is not above 0",
        unusable_statistics,
    ),
    Check(
        "input sizes",
        "a kernel that is larger than its padded input, where the input's shape is known",
        too_small_inputs,
    ),
    Check(
        "input channels",
        "an input of another number of channels or values than the weights are for",
        inputs_that_do_not_fit_weights,
    ),
    Check("outputs", "an output that is an input, with no layer between", outputs_that_are_inputs),
    Check(
        "targets",
        "a label, target or index for which Caffe has no gradient, behind layers that learn",
        learned_targets,
    ),
)
"""What network and weights show."""

INSERTION_CHECKS: Tuple[Check[Insertion], ...] = (
    Check("file sizes", "a modified model above 2 GiB, which Caffe cannot read", too_large_files),
)
"""What they show together with the config."""

CHECKS = (*NETWORK_CHECKS, *INSERTION_CHECKS)
"""All of them."""


def require_quantizable(views: NetworkViews) -> None:
    """Raise a ModelError that tells everything that :data:`NETWORK_CHECKS` find."""
    _raise(list(find_all(NETWORK_CHECKS, views)), views.source.model_file)


def require_insertable(insertion: Insertion) -> None:
    """Raise a ModelError that tells everything that :data:`INSERTION_CHECKS` find."""
    _raise(list(find_all(INSERTION_CHECKS, insertion)), insertion.network.model_file)


def _raise(violations: Sequence[Violation], model_file: Optional[str]) -> None:
    if len(violations) == 1:
        raise violations[0].as_error(ModelError)
    if violations:
        raise ModelError(
            f"this network cannot be quantized:\n{listed(violations)}", file=model_file
        )
