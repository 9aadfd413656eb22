"""What a network, its weights and the config show is refused before anything is written.

None of it needs Caffe or data.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pytest

import amct_caffe
from amct_caffe.checks import file_sizes, network
from amct_caffe.checks.file_sizes import Insertion, modified_size
from amct_caffe.checks.machine import Machine
from amct_caffe.training import workflow as training
from amct_core import workflow
from amct_core.errors import AmctError, ModelError, QuantizationError
from amct_core.textproto.scalars import as_text
from plugins.amct_caffe.tests.checks import float_models
from plugins.amct_caffe.tests.checks.float_models import (
    CONFIG,
    CONV,
    DATA,
    MODEL,
    MODIFIED,
    NETWORK,
    NORM,
    REST,
    WEIGHTS,
    FloatModel,
    changed,
    files_below,
)
from plugins.amct_caffe.tests.passes import networks
from plugins.amct_caffe.tests.qat import nets

ACTIVATION_QAT = nets.layer(
    "conv_activation_qat",
    "Python",
    ["data"],
    ["q"],
    'python_param { module: "amct_caffe.layers" layer: "ActivationQAT" }',
)
FAKE_QUANT = ACTIVATION_QAT.replace("ActivationQAT", "Quant")
DEPLOYED = nets.layer(
    "conv_0_quant_layer",
    "Quant",
    ["data"],
    ["q"],
    r'quant_param { scale: 1 offset: "\200" }',
)
RESHAPED = "reshape_param { shape { dim: -1 } }"
GBK = as_text("层".encode("gbk"))
OTHER_INPUT = nets.layer("other", "Input", [], ["other"], "input_param { shape { dim: 1 dim: 3 } }")


def integers() -> dict[str, Any]:
    """Return weights as a deployable model has them."""
    blobs: dict[str, Any] = float_models.weights()
    blobs["conv"][0] = np.ones((4, 3, 3, 3), np.int8)
    return {"blobs": blobs}


def with_layer(name: str) -> dict[str, Any]:
    """Return weights with those of one more layer."""
    return {"blobs": {**float_models.weights(), name: [np.ones(1, np.float32)]}}


def negative_factor() -> dict[str, Any]:
    return changed("norm", 2, -1.0, 0)


@attrs.frozen
class Fault:
    """Something wrong, and the words by which the user is told: where, and what."""

    model: FloatModel
    words: tuple[str, ...]


FAULTS: dict[str, dict[str, Fault]] = {
    "quantized model": {
        "a modified model": Fault(
            FloatModel(DATA + ACTIVATION_QAT + CONV + REST),
            (MODEL, "conv_activation_qat", "a modified model"),
        ),
        "a fake-quant model": Fault(
            FloatModel(DATA + FAKE_QUANT + CONV + REST), (MODEL, "a fake-quant model")
        ),
        "a deployable model": Fault(
            FloatModel(DATA + DEPLOYED + CONV + REST),
            (MODEL, "conv_0_quant_layer", "a deployable model"),
        ),
        "weights of a modified model": Fault(
            FloatModel(**with_layer("conv_weight_qat")), (WEIGHTS, "a modified model")
        ),
        "weights of a fake-quant model": Fault(
            FloatModel(**with_layer("conv_dequant_layer")), (WEIGHTS, "fake-quant")
        ),
        "weights of a deployable model": Fault(
            FloatModel(**integers()), (WEIGHTS, "layer 'conv'", "int8", "a deployable model")
        ),
    },
    "names": {
        "a layer's": Fault(
            FloatModel(NETWORK + nets.layer(GBK, "ReLU", ["ip"], ["relu"])),
            (MODEL, "field 'name'", r"found b'\xb2\xe3'"),
        ),
        "a blob's": Fault(
            FloatModel(NETWORK + nets.layer("relu", "ReLU", ["ip"], [GBK])),
            (MODEL, "layer 'relu', field 'top'", r"found b'\xb2\xe3'"),
        ),
    },
    "finite weights": {
        "NaN in a filter": Fault(
            FloatModel(**changed("conv", 0, np.nan, 2, 0, 0, 0)),
            (WEIGHTS, "layer 'conv'", "blobs[0] (weights)", "channel 2", "NaN"),
        ),
        "infinity in a bias": Fault(
            FloatModel(**changed("ip", 1, np.inf, 4)),
            (WEIGHTS, "layer 'ip'", "blobs[1] (bias)", "channel 4", "infinite"),
        ),
        "NaN in a mean": Fault(
            FloatModel(**changed("norm", 0, np.nan, 1)),
            (WEIGHTS, "layer 'norm'", "blobs[0] (mean)", "channel 1"),
        ),
        "NaN in a variance": Fault(
            FloatModel(**changed("norm", 1, np.nan, 3)),
            (WEIGHTS, "layer 'norm'", "blobs[1] (variance)", "channel 3"),
        ),
        "minus infinity in a beta": Fault(
            FloatModel(**changed("scale", 1, -np.inf, 0)),
            (WEIGHTS, "layer 'scale'", "blobs[1] (beta)", "channel 0"),
        ),
    },
    "BatchNorm statistics": {
        "a negative variance": Fault(
            FloatModel(**changed("norm", 1, -1.0, 2)),
            (WEIGHTS, "layer 'norm'", "blobs[1] (variance)", "channel 2", "-1"),
        ),
        "a negative factor": Fault(FloatModel(**negative_factor()), (WEIGHTS, "layer 'norm'")),
    },
    "input sizes": {
        "a convolution": Fault(
            FloatModel(
                NETWORK.replace("kernel_size: 3", "kernel_size: 9"),
                {**float_models.weights(), "conv": [np.ones((4, 3, 9, 9), np.float32)] * 2},
            ),
            (MODEL, "layer 'conv'", "too small"),
        ),
        "a pooling": Fault(
            FloatModel(NETWORK + nets.pooling("pool", "conv", "MAX", 9, 1)),
            (MODEL, "layer 'pool'", "too small"),
        ),
    },
    "input channels": {
        "of a convolution": Fault(
            FloatModel(NETWORK.replace("dim: 2 dim: 3", "dim: 2 dim: 4")),
            (MODEL, "layer 'conv'", "2 x 4 x 8 x 8", "4 inputs", "for 3"),
        ),
        "of an inner product": Fault(
            FloatModel(NETWORK.replace("dim: 8 dim: 8", "dim: 10 dim: 10")),
            (MODEL, "layer 'ip'", "2 x 4 x 8 x 8", "256 inputs", "for 144"),
        ),
    },
    "outputs": {
        "a layer in place on an input": Fault(
            FloatModel(
                NETWORK + OTHER_INPUT + nets.layer("alone", "Scale", ["other"], ["other"]),
                {**float_models.weights(), "alone": [np.ones(3, np.float32)]},
            ),
            (MODEL, "layer 'alone'", "'other' is an output"),
        ),
    },
    "targets": {
        "a label that comes first": Fault(
            FloatModel(
                DATA
                + CONV
                + NORM
                + nets.relu("relu", "conv")
                + nets.inner_product("ip", "conv", 5)
                + nets.layer("loss", "SoftmaxWithLoss", ["label", "ip"])
            ),
            (MODEL, "layer 'loss', field 'bottom[1]'", "'ip' depends on layer 'ip'", "first"),
        ),
        "indices that are computed": Fault(
            FloatModel(
                NETWORK
                + nets.layer("places", "ArgMax", ["ip"], ["places"])
                + nets.layer("flat", "Reshape", ["places"], ["flat"], RESHAPED)
                + nets.layer("rows", "BatchReindex", ["ip", "flat"], ["rows"], "loss_weight: 1")
            ),
            ("layer 'rows'", "'flat'", "propagate_down: true propagate_down: false"),
        ),
    },
}
"""By name of the check, what it finds."""

# One bias that fits, though its blob is used twice above.
FAULTS["input sizes"]["a convolution"].model.blobs["conv"][1] = np.ones(4, np.float32)  # type: ignore[index]


def config() -> None:
    amct_caffe.create_quant_retrain_config(CONFIG, MODEL, WEIGHTS)


def insert() -> None:
    amct_caffe.create_quant_retrain_model(MODEL, WEIGHTS, CONFIG, *MODIFIED)


def run_all() -> None:
    training.run_all(MODEL, WEIGHTS, "solver.prototxt", "out")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Go to an empty folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refused(step: Callable[[], object], folder: Path) -> ModelError:
    """Run ``step``; return the error after making sure that nothing was written."""
    before = files_below(folder)
    with pytest.raises(ModelError) as caught:
        step()
    assert files_below(folder) == before
    return caught.value


def test_the_model_without_faults_goes_through(folder: Path) -> None:
    FloatModel().write(folder)
    config()
    insert()
    assert {CONFIG, *MODIFIED} <= set(files_below(folder))


@pytest.mark.parametrize("check", network.NETWORK_CHECKS, ids=lambda check: check.name)
def test_each_check_refuses_before_anything_is_written(check: Any, folder: Path) -> None:
    FloatModel().write(folder)
    config()
    (folder / "solver.prototxt").write_text(nets.solver(MODEL, "s"))
    for what, fault in FAULTS[check.name].items():
        fault.model.write(folder)
        (folder / CONFIG).rename(folder / "kept.json")
        errors = [refused(config, folder), refused(run_all, folder)]
        (folder / "kept.json").rename(folder / CONFIG)
        errors.append(refused(insert, folder))
        for error in errors:
            for word in fault.words:
                assert word in str(error), (what, word, str(error))
            assert error.remedy or "\n  - " in str(error), what


@pytest.mark.parametrize("check", network.NETWORK_CHECKS, ids=lambda check: check.name)
def test_each_fault_is_found_by_its_own_check(check: Any, folder: Path) -> None:
    for what, fault in FAULTS[check.name].items():
        fault.model.write(folder)
        views = workflow.frontend_for(MODEL, workflow.registries()).read(MODEL, WEIGHTS)
        assert list(check.find(views)), what


def test_several_faults_are_told_at_once(folder: Path) -> None:
    blobs = float_models.weights()
    blobs["conv"][0][0, 0, 0, 0] = np.nan
    blobs["norm"][1][0] = -1
    FloatModel(blobs=blobs).write(folder)
    lines = str(refused(config, folder)).split("\n  - ")[1:]
    assert [line.split("'")[1] for line in lines] == ["conv", "norm"]


class TestFileSizes:
    """The one check that needs the config, too."""

    @pytest.fixture(autouse=True)
    def small_limit(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        FloatModel().write(folder)
        config()
        # As if Caffe's files were limited to the float weights and the allowance.
        monkeypatch.setattr(file_sizes, "MESSAGE_LIMIT", file_sizes._BESIDE_THE_WEIGHTS + 6000)

    @pytest.mark.parametrize("step", [insert, run_all])
    def test_a_modified_model_above_the_limit_is_refused(
        self, step: Callable[[], None], folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (folder / "solver.prototxt").write_text(nets.solver(MODEL, "s", test_interval=4))
        machine = Machine(
            lacks=lambda *_: iter(()),
            problem_of_class=lambda module, name: None,
            problem_of_building=lambda rehearsal: None,
        )
        monkeypatch.setattr(training, "this_machine", lambda: machine)
        error = refused(step, folder)
        for word in (WEIGHTS, "three times", "'ip' first"):
            assert word in str(error)

    def test_leaving_the_large_layer_unquantized_is_a_way_out(self, folder: Path) -> None:
        data = json.loads((folder / CONFIG).read_text())
        data["ip"]["retrain_enable"] = False
        (folder / CONFIG).write_text(json.dumps(data))
        insert()

    def test_every_check_that_needs_the_config_is_tested_here(self) -> None:
        assert [check.name for check in network.INSERTION_CHECKS] == ["file sizes"]


def test_a_layer_of_743_mb_is_too_large(folder: Path) -> None:
    text = DATA.replace(f"dim: {float_models.SIZE} dim: {float_models.SIZE}", "dim: 1 dim: 1")
    state = networks.network(text + nets.inner_product("fc", "data", 7400), {"fc": [(1, 1), (1,)]})
    # No memory: every value is the same one.
    state.weights["fc"] = [
        np.broadcast_to(np.float32(0.01), (7400, 25088)),
        np.zeros(7400, np.float32),
    ]
    insertion = Insertion(state, networks.plan_of(state))
    weights = 4 * 7400 * 25088
    assert 3 * weights < modified_size(insertion) < 3 * weights + 2**21
    assert [found.file for found in file_sizes.too_large_files(insertion)] == [None]
    unquantized = Insertion(state, attrs.evolve(insertion.plan, groups=()))
    assert not list(file_sizes.too_large_files(unquantized))


@pytest.mark.parametrize("variance", [0.0, -1e-6, 1e-30])
def test_a_variance_that_eps_makes_positive_is_none_of_these(variance: float, folder: Path) -> None:
    FloatModel(**changed("norm", 1, variance, 2)).write(folder)
    views = workflow.frontend_for(MODEL, workflow.registries()).read(MODEL, WEIGHTS)
    assert not list(network.unusable_statistics(views))


def test_a_scale_factor_of_0_is_warned_of(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    FloatModel(**changed("norm", 2, 0.0, 0)).write(folder)
    config()
    (line,) = [each for each in caplog.messages if "scale factor" in each]
    assert "'norm'" in line and WEIGHTS in line


def test_a_mismatch_with_the_weights_of_a_quantized_model_says_so(folder: Path) -> None:
    blobs = {**float_models.weights(), "conv_dequant_layer": [np.ones(4, np.float32)]}
    blobs["conv"] = blobs["conv"][:1]
    FloatModel(blobs=blobs).write(folder)
    with pytest.raises(AmctError, match="weights file of a fake-quant or deployable model"):
        config()


def test_weights_too_large_for_any_scale_are_told_with_their_layer(folder: Path) -> None:
    FloatModel(**changed("ip", 0, 3e38, 1, 2)).write(folder)
    config()
    before = files_below(folder)
    with pytest.raises(QuantizationError, match="the scale is ") as caught:
        insert()
    assert (caught.value.file, caught.value.layer) == (WEIGHTS, "ip")
    assert files_below(folder) == before
