"""Layers whose sums exceed 2^24 are split in the fake-quant model, and stay exact.

The inputs and weights here are as large as can be, so that float32 sums of the whole layer do go
wrong: without the split these tests fail.
"""

from __future__ import annotations

from typing import Any, Dict, List, Tuple

import numpy as np
import pytest

from amct_caffe.model.formats.prototxt import document as documents
from amct_core.numerics import exactness
from cpu_sim_backend.verify import verify
from plugins.amct_caffe.tests.qat import nets
from plugins.amct_caffe.tests.qat.bench import Bench, Modified

pytestmark = pytest.mark.caffe

CHANNELS = 96


@pytest.fixture
def bench(tmp_path: Any) -> Bench:
    """Return an empty folder with Caffe."""
    from amct_caffe.runtime.pycaffe import caffe

    return Bench(caffe, tmp_path)


def network(bench: Bench, layer: str, shape: Tuple[int, ...]) -> Tuple[Modified, np.ndarray]:
    """Return a network of one layer with large positive weights, trained and saved."""
    random = np.random.default_rng(3)
    data = random.uniform(0.9, 1, (4, *shape)).astype(np.float32)
    modified = bench.modify(
        nets.batches(bench.data(data=data), ["data"], 2),
        layer,
        nets.layer("loss", "Reduction", ["layer"], body="include { phase: TRAIN } loss_weight: 1"),
        shift_n_algo="none",
        data_config={"clip_max": 1.0, "clip_min": -0.01},
    )
    modified.solver(max_iter=1, base_lr=0).solve()
    modified.save(modified.snapshot(1), "Both")
    return modified, data


FILLERS = 'weight_filler { type: "uniform" min: 0.8 max: 1 } bias_filler { type: "constant" }'
LAYERS: Dict[str, Tuple[str, Tuple[int, ...]]] = {
    "convolution": (
        nets.layer(
            "layer",
            "Convolution",
            ["data"],
            body=f"convolution_param {{ num_output: 4 kernel_size: 5 pad: 2 {FILLERS} }}",
        ),
        (CHANNELS, 9, 9),
    ),
    "grouped convolution": (
        nets.layer(
            "layer",
            "Convolution",
            ["data"],
            body=f"convolution_param {{ num_output: 4 group: 2 kernel_size: 5 {FILLERS} }}",
        ),
        (2 * CHANNELS, 9, 9),
    ),
    "deconvolution": (
        nets.layer(
            "layer",
            "Deconvolution",
            ["data"],
            body=f"convolution_param {{ num_output: 4 kernel_size: 5 stride: 2 {FILLERS} }}",
        ),
        (CHANNELS, 5, 5),
    ),
    "inner product over an image": (
        nets.layer(
            "layer",
            "InnerProduct",
            ["data"],
            body=f"inner_product_param {{ num_output: 4 {FILLERS} }}",
        ),
        (CHANNELS, 5, 5),
    ),
}


@pytest.mark.parametrize("kind", LAYERS)
def test_a_layer_beyond_the_limit_is_split_and_exact(bench: Bench, kind: str) -> None:
    modified, data = network(bench, *LAYERS[kind])
    report = verify(str(modified.folder / "saved"), {"data": data}, batch_size=2)
    (layer,) = report.layers
    assert (layer.input_int8_mismatches, layer.accumulator_mismatches) == (0, 0)
    assert exactness.EXACT_LIMIT / 3 < layer.max_abs_partial_sum_bound < exactness.EXACT_LIMIT
    assert report.exact
    names = layers_of(modified)
    assert [n for n in names if "_part" in n][:2] == [f"layer_accumulator_part{i}" for i in (0, 1)]
    assert ("layer_accumulator_slice" in names) == (kind != "grouped convolution")
    assert "layer" not in names


def test_in_one_piece_float32_would_not_be_exact(bench: Bench, monkeypatch: Any) -> None:
    from amct_caffe.saving import fake_quant
    from cpu_sim_backend import counterparts
    from cpu_sim_backend import verify as verify_module

    def whole(*_: Any) -> Tuple[slice, ...]:
        return (slice(None),)

    monkeypatch.setattr(fake_quant, "accumulator_parts", whole)
    monkeypatch.setattr(counterparts, "accumulator_parts", whole)
    monkeypatch.setattr(verify_module, "accumulator_parts", whole)
    modified, data = network(bench, *LAYERS["convolution"])
    report = verify(str(modified.folder / "saved"), {"data": data}, batch_size=2)
    (layer,) = report.layers
    assert layer.accumulator_mismatches > 0
    assert layer.max_abs_partial_sum_bound > exactness.EXACT_LIMIT
    assert not report.exact


def layers_of(modified: Modified) -> List[str]:
    """Return the names of the layers of the fake-quant model."""
    document = documents.read(str(modified.folder / "saved_fake_quant_model.prototxt"))
    return [layer.name for layer in document.layers]
