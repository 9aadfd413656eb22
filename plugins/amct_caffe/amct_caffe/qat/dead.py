"""Warnings of what quantization turns into a constant: told when it is known, not at save."""

from __future__ import annotations

import logging
from typing import List, Sequence

import numpy as np

from amct_caffe.qat.plan import QatPlan
from amct_core.folding import batch_norm_of
from amct_core.graph import Graph
from amct_core.graph.attributes import BatchNorm
from amct_core.numerics import affine
from amct_core.numerics.arrays import channel_list
from amct_core.numerics.clipping import ValueRange

_log = logging.getLogger("amct_caffe.qat")


def warn_of_missing_variance(graph: Graph) -> None:
    """Warn of BatchNorms whose stored variance is 0, so that ``1 / sqrt(eps)`` is their factor.

    Args:
        graph: the network in the TEST phase, with weights.
    """
    without: List[str] = []
    for node in graph.nodes:
        a = node.attributes
        if not isinstance(a, BatchNorm) or a.use_global_stats is False or len(node.weights) != 3:
            continue
        found = batch_norm_of(node)
        assert found is not None
        dead = found.variance == 0
        if found.scale_factor == 0:
            without.append(node.name)
        elif dead.any():
            _log.warning(
                "layer '%s': the stored variance of %s is 0, as that of a channel which was "
                "constant in training; it multiplies what differs from the mean by %.3g "
                "(1 / sqrt(eps))",
                node.name,
                channel_list(dead),
                found.eps**-0.5 if found.eps > 0 else np.inf,
            )
    if without:
        _log.warning(
            "%d BatchNorm layers have no statistics (%s): mean and variance count as 0; train the "
            "network, or give weights that have them",
            len(without),
            ", ".join(repr(name) for name in without[:5]) + (", ..." if len(without) > 5 else ""),
        )


def warn_of_narrow_bounds(plan: QatPlan) -> None:
    """Warn of clip bounds of the config that are nearer to each other than int8 can resolve."""
    for group in plan.groups:
        high, low = group.activation.clip_max, group.activation.clip_min
        if high is None or low is None:
            continue
        if affine.is_below_smallest_scale(high, 0.0 if group.fixed_min else low):
            _log.warning(
                "layer '%s': clip_max %.9g and clip_min %.9g of its config are so near to each "
                "other that scale_d is 1.0 and every input between them becomes 0",
                ", ".join(layer.name for layer in group.layers),
                high,
                low,
            )


def warn_of_dead_input(layers: Sequence[str], seen: ValueRange, batches: int) -> None:
    """Warn of an input that is 0, or as good as 0, in all batches that its bounds come from.

    Args:
        layers: those that read it.
        seen: the range of its values.
        batches: how many there were.
    """
    if affine.is_below_smallest_scale(seen.high, seen.low):
        _log.warning(
            "layer '%s': its input lies between %.9g and %.9g in all of the %d batches that its "
            "clip bounds come from, which is below the smallest scale; so scale_d is 1.0, and such "
            "inputs become 0: look for dead channels or missing data before it",
            ", ".join(layers),
            seen.low,
            seen.high,
            batches,
        )
