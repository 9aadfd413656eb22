"""What Caffe does with BatchNorm."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from amct_caffe.runtime.capabilities.probe import Finding, Probe

_ACROSS = (0, 2, 3)
_TOLERANCE = 1e-3
_MARK = 5.0


def _trained() -> Finding:
    from amct_caffe.runtime.capabilities.nets import build, input_text, layer_text

    body = "batch_norm_param { use_global_stats: false }"
    text = "force_backward: true\n" + input_text(4, 2, 3, 3)
    there = follows_the_batch(build(text + layer_text("BatchNorm", ["data"], "norm", body)))
    return Finding(
        there, sentence="" if there else "its forward ignores the statistics of the batch"
    )


def follows_the_batch(net: Any) -> bool:
    """Return whether forward and backward of BatchNorm both follow the statistics of the batch.

    Then the outputs have mean 0 and variance 1 in each channel, and a gradient that is constant
    over a channel comes back as 0, because moving all inputs of a channel moves no output.  In the
    package on the package index the forward normalises with the stored statistics in every phase,
    while the backward assumes those of the batch, and training explodes without an error.

    Args:
        net: blob ``data`` goes through a new BatchNorm into blob ``norm``.
    """
    generator = np.random.default_rng(1)
    # Far from the statistics of a new layer, whose mean is 0.
    net.blobs["data"].data[...] = generator.normal(5, 3, net.blobs["data"].data.shape)
    net.forward()
    output: NDArray[np.float32] = np.array(net.blobs["norm"].data)
    if not np.isfinite(output).all():
        return False
    net.blobs["norm"].diff[...] = 1
    net.backward()
    gradient: NDArray[np.float32] = np.array(net.blobs["data"].diff)
    return bool(
        np.abs(output.mean(_ACROSS)).max() < _TOLERANCE
        and np.abs(output.var(_ACROSS) - 1).max() < _TOLERANCE
        and np.abs(gradient).max() < _TOLERANCE
    )


def _names_kept() -> Finding:
    """Let two layers share their blobs by name, and look whether they do.

    Caffe 1.0 and forks of its time drop every ``param`` of a BatchNorm that has three of them, as
    an upgrade of old files (``UpgradeNetBatchNorm``); later ones set their multipliers to 0.
    """
    from amct_caffe.runtime.capabilities.nets import build, input_text, layer_text

    specs = " ".join(f'param {{ name: "shared{i}" lr_mult: 0 decay_mult: 0 }}' for i in range(3))
    net = build(
        input_text(2, 2, 3, 3)
        + layer_text("BatchNorm", ["data"], "first", specs)
        + layer_text("BatchNorm", ["first"], "second", specs)
    )
    net.params["first"][0].data[...] = _MARK
    there = bool((net.params["second"][0].data == _MARK).all())
    return Finding(there, sentence="" if there else "blobs that share a name are not shared")


def _rates_masked() -> Finding:
    """Train a BatchNorm without ``param``, and look whether weight decay moves its statistics."""
    from amct_caffe.runtime.capabilities.nets import layer_text, written
    from amct_caffe.runtime.pycaffe import caffe

    # What learns stands before it, or some Caffes have nothing to update.
    filler = "data_filler { type: 'constant' value: 1 }"
    shape = "shape { dim: 2 dim: 2 dim: 3 dim: 3 }"
    net = written(
        layer_text("DummyData", [], "data", f"dummy_data_param {{ {shape} {filler} }}")
        + layer_text("DummyData", [], "label", f"dummy_data_param {{ {shape} {filler} }}")
        + layer_text("Scale", ["data"], "scale")
        + layer_text("BatchNorm", ["scale"], "norm", "batch_norm_param { use_global_stats: true }")
        + layer_text("EuclideanLoss", ["norm", "label"], "loss")
    )
    solver = caffe.get_solver(
        written(
            f'net: "{net}" base_lr: 0.1 lr_policy: "fixed" weight_decay: 0.5 max_iter: 1 '
            f'snapshot_prefix: "{os.path.splitext(net)[0]}" snapshot_after_train: false\n'
        )
    )
    statistics = solver.net.params["norm"]
    for blob in statistics:
        blob.data[...] = _MARK
    solver.step(1)
    there = all(bool((blob.data == _MARK).all()) for blob in statistics)
    return Finding(
        there, sentence="" if there else "the solver decays them where no param says lr_mult: 0"
    )


TRAINED = Probe("batch_norm_trained", "Can it train BatchNorm?", _trained)
NAMES_KEPT = Probe(
    "batch_norm_names_kept", "Does it keep the names of BatchNorm's parameters?", _names_kept
)
RATES_MASKED = Probe(
    "batch_norm_rates_masked",
    "Does it leave BatchNorm's statistics out of training by itself?",
    _rates_masked,
)
