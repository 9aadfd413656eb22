"""Networks whose layers depend on stages and levels, through real training.

What must be saved is the network that Caffe tests first.  Its layers are taken from Caffe itself.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import amct_caffe
from amct_caffe.model.formats.caffemodel import reader
from amct_caffe.model.formats.prototxt import document as documents
from amct_caffe.training import workflow as training
from amct_caffe.training.start import Start
from amct_core import record as records
from amct_core import workflow
from amct_core.config import json_format
from amct_core.errors import AmctError, ModelError, TrainingError
from amct_core.network_state import NetworkState
from cpu_sim_backend import Simulator
from cpu_sim_backend.verify import verify

pytestmark = pytest.mark.caffe

FILLERS = 'weight_filler { type: "msra" } bias_filler { type: "gaussian" std: 0.1 }'


def data(rule: str = "", values: str = 'type: "gaussian" std: 1', label: bool = True) -> str:
    """Return layers that make images and labels."""
    text = (
        'layer { name: "data" type: "DummyData" top: "data" dummy_data_param { '
        f"shape {{ dim: 4 dim: 3 dim: 6 dim: 6 }} data_filler {{ {values} }} }} {rule} }}\n"
    )
    if label:
        text += (
            'layer { name: "label" type: "DummyData" top: "label" dummy_data_param { '
            f'shape {{ dim: 4 }} data_filler {{ type: "constant" value: 1 }} }} {rule} }}\n'
        )
    return text


def conv(name: str, bottom: str, rule: str = "") -> str:
    """Return a convolution of four outputs."""
    return (
        f'layer {{ name: "{name}" type: "Convolution" bottom: "{bottom}" top: "{name}" {rule} '
        f"convolution_param {{ num_output: 4 kernel_size: 3 {FILLERS} }} }}\n"
    )


def smaller(rule: str, blob: str = "c1") -> str:
    """Return a layer in place that makes a blob four times smaller."""
    return (
        f'layer {{ name: "smaller" type: "Power" bottom: "{blob}" top: "{blob}" {rule} '
        "power_param { scale: 0.25 } }\n"
    )


FC = (
    'layer { name: "fc" type: "InnerProduct" bottom: "c1" top: "fc" '
    f"inner_product_param {{ num_output: 4 {FILLERS} }} }}\n"
)
LOSS = 'layer {{ name: "loss" type: "SoftmaxWithLoss" bottom: "fc" bottom: "label" {} }}\n'.format
PLAIN = data() + conv("c1", "data") + FC + LOSS("")
STAGED = data() + conv("c1", "data") + smaller('include { stage: "special" }') + FC + LOSS("")
DIGITS = (
    data('include { stage: "train" }')
    + data('include { stage: "val" }')
    + 'layer { name: "data" type: "Input" top: "data" include { stage: "deploy" } '
    "input_param { shape { dim: 1 dim: 3 dim: 6 dim: 6 } } }\n"
    + conv("c1", "data")
    + FC
    + LOSS('exclude { stage: "deploy" }')
    + 'layer { name: "accuracy" type: "Accuracy" bottom: "fc" bottom: "label" top: "accuracy" '
    'include { stage: "val" } }\n'
    + 'layer { name: "softmax" type: "Softmax" bottom: "fc" top: "softmax" '
    'include { stage: "deploy" } }\n'
)

SOLVER = """
{net}
max_iter: 2 test_interval: 2 test_initialization: false snapshot_prefix: "s"
base_lr: 0 lr_policy: "fixed" random_seed: 1
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Go to an empty folder with the weights of the plain network."""
    monkeypatch.chdir(tmp_path)
    Path("plain.prototxt").write_text(PLAIN)
    save_weights("plain.prototxt", "net.caffemodel")
    return tmp_path


def save_weights(model: str, weights: str) -> None:
    """Write random weights."""
    from amct_caffe.runtime.pycaffe import caffe

    caffe.set_random_seed(3)
    caffe.Net(model, caffe.TEST).save(weights)


def solver_file(fields: str = "test_iter: 1", net: str = 'net: "net.prototxt"') -> str:
    """Write a solver."""
    Path("solver.prototxt").write_text(SOLVER.format(net=net) + fields)
    return "solver.prototxt"


def run(network: str, fields: str = "test_iter: 1", net: str = 'net: "net.prototxt"') -> None:
    """Take a network through the whole workflow."""
    Path("net.prototxt").write_text(network)
    arguments = ("net.prototxt", "net.caffemodel", solver_file(fields, net), "qat")
    training.run_all(*arguments, restart=True)


def images(spread: float = 1.0) -> dict[str, np.ndarray]:
    """Return one batch of random images."""
    generator = np.random.default_rng(7)
    return {"data": generator.normal(0, spread, (4, 3, 6, 6)).astype(np.float32)}


def caffe_layers(model: str, **state: Any) -> list[str]:
    """Return the layers that Caffe itself makes of a file in TEST, without its Splits."""
    from amct_caffe.runtime.pycaffe import caffe

    net = caffe.Net(model, caffe.TEST, **state)
    return [name for name, layer in zip(net._layer_names, net.layers) if layer.type != "Split"]


def float_in_caffe(**state: Any) -> np.ndarray:
    """Return ``fc`` of the images, as the network without quantization gives it in a state."""
    from amct_caffe.runtime.pycaffe import caffe

    net = caffe.Net("net.prototxt", caffe.TEST, weights="net.caffemodel", **state)
    net.blobs["data"].data[...] = images()["data"]
    net.forward(start="c1", end="fc")
    return np.array(net.blobs["fc"].data)


def deployed(blob: str = "fc") -> np.ndarray:
    """Return a blob of the images, as the deployable model gives it."""
    simulator = Simulator(
        "qat/result/model_deploy_model.prototxt", "qat/result/model_deploy_weights.caffemodel"
    )
    return simulator.run(images(), [blob])[blob]


def check_saved(**state: Any) -> None:
    """The saved models are what Caffe makes of the network in a state."""
    fake_quant = "qat/result/model_fake_quant_model.prototxt"
    quantized = ("quant_layer", "dequant_layer")
    kept = [name for name in caffe_layers(fake_quant) if not name.endswith(quantized)]
    assert kept == caffe_layers("net.prototxt", **state)
    assert caffe_layers(fake_quant) == [layer.name for layer in documents.read(fake_quant).layers]
    reference = float_in_caffe(**state)
    assert np.abs(deployed() - reference).max() < 0.2 * np.abs(reference).max()  # int8, little data
    assert verify("qat/result/model", images(), batch_size=4).exact


class TestTheNetworkOfTheSolversTestState:
    def test_a_layer_of_its_stage_is_saved(self) -> None:
        state = 'train_state { stage: "special" } test_state { stage: "special" } test_iter: 1'
        run(STAGED, state)
        check_saved(stages=["special"])
        without = float_in_caffe()
        assert np.abs(deployed() - without).max() > 0.5 * np.abs(without).max()

    def test_networks_of_digits_are_saved_as_they_are_validated(self) -> None:
        run(DIGITS, 'train_state { stage: "train" } test_state { stage: "val" } test_iter: 1')
        check_saved(stages=["val"])
        deploy = [
            layer.type for layer in documents.read("qat/result/model_deploy_model.prototxt").layers
        ]
        assert deploy[0] == "Input"
        assert deploy[-1] == "Softmax"

    def test_networks_of_digits_need_their_solver(self) -> None:
        Path("net.prototxt").write_text(DIGITS)
        with pytest.raises(ModelError, match=r"test_state no stage: name the solver \(--solver\)"):
            workflow.create_config("net.prototxt", "net.caffemodel", "c.json")
        assert not Path("c.json").exists()

    @pytest.mark.parametrize(
        ("rule", "state", "is_there"),
        [
            ('exclude { stage: "fast" }', 'stage: "fast"', False),
            ('exclude { stage: "fast" }', "", True),
            ('include { not_stage: "fast" }', 'stage: "fast"', False),
            ('include { not_stage: "fast" }', 'stage: "other"', True),
            ('include { stage: "a" stage: "b" }', 'stage: "a"', False),
            ('include { stage: "a" stage: "b" }', 'stage: "b" stage: "a"', True),
            ("include { min_level: 1 }", "level: 1", True),
            ("include { min_level: 1 }", "", False),
            ("include { max_level: 1 }", "level: 2", False),
            ("exclude { min_level: 1 max_level: 3 }", "level: 3", False),
            ("exclude { min_level: 1 max_level: 3 }", "level: 4", True),
        ],
    )
    def test_every_kind_of_rule_counts(self, rule: str, state: str, is_there: bool) -> None:
        run(
            data() + conv("c1", "data") + smaller(rule) + FC + LOSS(""),
            f"train_state {{ {state} }} test_state {{ {state} }} test_iter: 1",
        )
        saved = [
            [
                layer.name
                for layer in documents.read(f"qat/result/model_{kind}_model.prototxt").layers
            ]
            for kind in ("deploy", "fake_quant")
        ]
        assert [("smaller" in names) for names in saved] == [is_there] * 2
        assert ("smaller" in caffe_layers("qat/result/model_fake_quant_model.prototxt")) is is_there
        given = documents.state_of(
            documents.from_text(f"state {{ {state} }} {PLAIN}").fields.message("state")
        )
        check_saved(level=given.level or 0, stages=list(given.stages))

    def test_the_state_of_the_file_and_that_of_the_solver_are_merged(self) -> None:
        network = (
            'state { level: 2 stage: "own" }\n'
            + data()
            + conv("c1", "data")
            + smaller('include { min_level: 2 stage: "own" stage: "special" }')
            + FC
            + LOSS("")
        )
        run(
            network, 'train_state { stage: "special" } test_state { stage: "special" } test_iter: 1'
        )
        check_saved(level=2, stages=["special"])

    def test_training_and_testing_may_be_in_different_states(self) -> None:
        network = (
            data()
            + conv("c1", "data")
            + 'layer { name: "noise" type: "Dropout" bottom: "c1" top: "c1" '
            'include { stage: "t" } }\n' + smaller('include { stage: "v" }') + FC + LOSS("")
        )
        run(network, 'train_state { stage: "t" } test_state { stage: "v" } test_iter: 1')
        check_saved(stages=["v"])


class TestTheStateOfTheFile:
    def test_top_level_fields_are_in_the_fake_quant_model(self) -> None:
        fields = 'name: "special net"\nforce_backward: true\nstate {\n  stage: "special"\n}\n'
        run(fields + STAGED)
        check_saved()
        assert "smaller" in caffe_layers("qat/result/model_fake_quant_model.prototxt")
        text = Path("qat/result/model_fake_quant_model.prototxt").read_text()
        assert text.startswith(fields)


class TestSeveralTests:
    SMALL, LARGE = ('type: "constant" value: 0.001', 'type: "gaussian" std: 30')
    NETWORK = (
        data("include { phase: TRAIN }")
        + data('include { phase: TEST stage: "small" }', SMALL)
        + data('include { phase: TEST stage: "large" }', LARGE)
        + conv("c1", "data")
        + FC
        + LOSS("")
    )

    def shifts(self) -> list[tuple[int, ...]]:
        """Return N of each layer."""
        record = records.read("qat/record.txt")
        return [record.get(name).shift_bit for name in ("c1", "fc")]

    def run_in(self, *stages: str) -> list[tuple[int, ...]]:
        """Train with tests in these stages; return N of each layer."""
        run(self.NETWORK, "".join(f'test_iter: 1 test_state {{ stage: "{s}" }}' for s in stages))
        check_saved(stages=[stages[0]])
        return self.shifts()

    def test_n_is_searched_in_the_first(self) -> None:
        alone = self.run_in("small")
        assert self.run_in("large") != alone
        assert self.run_in("small", "large") == alone

    def test_a_test_of_another_state_may_be_shorter_than_the_search(self) -> None:
        Path("net.prototxt").write_text(self.NETWORK)
        solver = solver_file(
            'test_iter: 2 test_state { stage: "small" } test_iter: 1 test_state { stage: "large" }'
        )
        Path("quant.cfg").write_text(
            "batch_num: 2 retrain_data_quant_config {} retrain_weight_quant_config {}"
        )
        arguments = ("net.prototxt", "net.caffemodel", solver, "qat")
        training.run_all(*arguments, simplified_config_file="quant.cfg")
        assert all(self.shifts())

    def test_layers_that_the_other_state_lacks_do_not_hinder_it(self) -> None:
        network = (
            data()
            + conv("c1", "data")
            + conv("c2", "c1", 'exclude { stage: "first" }')
            + FC
            + LOSS("")
        )
        save_weights_of(network)
        run(network, 'test_iter: 1 test_iter: 1 test_state { } test_state { stage: "first" }')
        assert records.read("qat/record.txt").get("c2").shift_bit

    def test_training_and_testing_files_become_the_one_network(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        run(
            PLAIN,
            "test_iter: 1 test_iter: 2",
            'train_net: "net.prototxt" test_net: "net.prototxt" test_net: "other.prototxt"',
        )
        check_saved()
        assert "testing net 2 of 'solver.prototxt' (test_net 'other.prototxt')" in caplog.text

    def test_a_network_inside_the_solver_is_replaced_with_its_tests(self) -> None:
        run(
            self.NETWORK,
            'test_iter: 1 test_state: { stage: "small" } '
            'test_iter: 1 test_state: { stage: "large" }',
            f"net_param {{ {self.NETWORK} }}",
        )
        check_saved(stages=["small"])


def save_weights_of(network: str) -> None:
    """Write random weights of a network."""
    Path("net.prototxt").write_text(network)
    save_weights("net.prototxt", "net.caffemodel")


class TestOtherStates:
    BRANCH = (
        data()
        + conv("c1", "data")
        + conv("extra", "c1", 'include { stage: "other" }')
        + FC
        + LOSS("")
    )

    def test_their_weights_are_kept(self) -> None:
        network = self.BRANCH.replace('include { stage: "other" }', "")
        save_weights_of(network)
        Path("net.prototxt").write_text(self.BRANCH)
        workflow.create_config("net.prototxt", "net.caffemodel", "c.json")
        workflow.insert(
            *("net.prototxt", "net.caffemodel", "c.json", "m.prototxt", "m.caffemodel", "r.txt")
        )
        before = reader.read("net.caffemodel").by_name()["extra"].blobs
        after = reader.read("m.caffemodel").by_name()["extra"].blobs
        assert [blob.tolist() for blob in after] == [blob.tolist() for blob in before]
        assert "extra" in caffe_layers("m.prototxt", stages=["other"])
        assert "extra" not in caffe_layers("m.prototxt")

    def test_they_need_no_weights(self, caplog: pytest.LogCaptureFixture) -> None:
        run(self.BRANCH)
        check_saved()
        assert "has no weights" not in caplog.text

    def test_weights_that_training_would_not_have_are_refused_at_insertion(self) -> None:
        save_weights_of(self.BRANCH.replace('include { stage: "other" }', ""))
        Path("net.prototxt").write_text(
            self.BRANCH.replace('stage: "other"', 'stage: "other" phase: TEST')
        )
        with pytest.raises(ModelError, match=r"layer 'extra', .*not in the TRAIN net"):
            training.run_all(
                *("net.prototxt", "net.caffemodel"),
                solver_file('test_iter: 1 test_state { stage: "other" }'),
                "qat",
            )
        assert not Path("qat/modified_model.prototxt").exists()

    def test_a_layer_of_the_same_name_may_have_another_shape_there(self) -> None:
        other = FC.replace("num_output: 4", "num_output: 9").replace(
            "inner_product_param", 'include { stage: "other" } inner_product_param'
        )
        ours = FC.replace("inner_product_param", 'exclude { stage: "other" } inner_product_param')
        run(data() + conv("c1", "data") + other + ours + LOSS(""))
        check_saved()
        modified = documents.read("qat/modified_model.prototxt")
        assert [layer.bottoms for layer in modified.layers if layer.name == "fc"] == [
            ["c1"],
            ["fc_activation_qat"],
        ]

    def test_a_layer_of_the_same_name_may_have_another_shape_outside_the_state(self) -> None:
        parameters = "inner_product_param"
        ours = FC.replace(parameters, f'include {{ stage: "special" }} {parameters}')
        other = FC.replace("num_output: 4", "num_output: 9").replace(
            parameters, f'exclude {{ stage: "special" }} {parameters}'
        )
        state = '{ stage: "special" }'
        run(
            data() + conv("c1", "data") + ours + other + LOSS(""),
            f"train_state {state} test_state {state} test_iter: 1",
        )
        check_saved(stages=["special"])


class TestTheConfigKnowsTheStates:
    FIELDS = (
        'train_state { stage: "special" } test_state { level: 0 stage: "special" } test_iter: 1'
    )

    def insert(self, fields: str = FIELDS) -> None:
        """Create the config with a solver, and insert without it."""
        Path("net.prototxt").write_text(STAGED)
        amct_caffe.create_quant_retrain_config(
            "c.json", "net.prototxt", "net.caffemodel", solver_file=solver_file(fields)
        )
        amct_caffe.create_quant_retrain_model(
            *("net.prototxt", "net.caffemodel", "c.json", "m.prototxt", "m.caffemodel", "r.txt")
        )

    def solve(self, fields: str) -> str:
        """Train in Caffe; return the snapshot."""
        from amct_caffe.runtime.pycaffe import caffe

        solver = caffe.get_solver(solver_file(fields, 'net: "m.prototxt"'))
        solver.net.copy_from("m.caffemodel")
        solver.solve()
        return "s_iter_2.caffemodel"

    def test_later_steps_need_no_solver(self) -> None:
        self.insert()
        config = json_format.read("c.json")
        assert config.train_state == NetworkState(stages=["special"])
        assert config.test_state == NetworkState(0, ["special"])
        solver = solver_file(self.FIELDS, 'net: "m.prototxt"')
        amct_caffe.check_solver(solver, "c.json", "m.prototxt")
        snapshot = self.solve(self.FIELDS)
        amct_caffe.save_quant_retrain_model(
            "m.prototxt", snapshot, "Both", "qat/result/model", "r.txt", "c.json"
        )
        check_saved(stages=["special"])

    def test_a_solver_at_insertion_counts_more(self) -> None:
        self.insert()
        arguments = ("net.prototxt", "net.caffemodel", "c.json")
        other = solver_file('test_state { stage: "none" } train_state { level: 1 } test_iter: 1')
        workflow.insert(*(*arguments, "m.prototxt", "m.caffemodel", "r.txt"), solver_file=other)
        Path("again.prototxt").write_text(Path("solver.prototxt").read_text().replace("net.", "m."))
        amct_caffe.check_solver("again.prototxt", "c.json", "m.prototxt")

    @pytest.mark.parametrize(
        ("fields", "explanation"),
        [
            (
                'train_state { stage: "special" } test_iter: 1',
                "test_state: it is no stage: the TEST net lacks 'smaller'",
            ),
            (
                'test_state { stage: "special" } test_iter: 1',
                "train_state: it is no stage: the TRAIN net lacks 'smaller'",
            ),
            (
                FIELDS.replace("train_state {", "train_state { phase: TEST"),
                "train_state.phase: it is TEST",
            ),
        ],
    )
    def test_a_solver_of_another_state_is_refused_before_training(
        self, fields: str, explanation: str
    ) -> None:
        self.insert()
        solver = solver_file(fields, 'net: "m.prototxt"')
        files = sorted(Path().iterdir())
        with pytest.raises(TrainingError) as caught:
            amct_caffe.check_solver(solver, "c.json", "m.prototxt")
        assert explanation in str(caught.value)
        with pytest.raises(TrainingError):
            training.train(solver, Start("m.caffemodel"))
        assert sorted(Path().iterdir()) == files

    def test_saving_for_another_state_is_refused_and_writes_nothing(self) -> None:
        self.insert()
        snapshot = self.solve(self.FIELDS)
        files = sorted(Path().iterdir())
        with pytest.raises(AmctError, match=r"train_state.*: it is no stage.*'smaller'"):
            workflow.save(
                *("m.prototxt", snapshot, "result", "Both", "r.txt"), solver_file=solver_file()
            )
        assert sorted(Path().iterdir()) == files

    def test_a_config_for_another_test_than_the_solvers_is_refused_by_qat_run(self) -> None:
        self.insert()
        with pytest.raises(TrainingError, match="test_state"):
            training.run_all(
                "net.prototxt", "net.caffemodel", solver_file(), "qat", config_file="c.json"
            )
        assert not Path("qat/modified_model.prototxt").exists()


COUNTS = [
    ("test_iter: 1 test_state { } test_state { }", 'net: "m.prototxt"', "test_state"),
    ("test_iter: 1 test_iter: 1 test_state { }", 'net: "m.prototxt"', "test_state"),
    ("test_iter: 1", 'train_net: "m.prototxt" net: "m.prototxt"', "train_net"),
    ("test_iter: 1", 'net: "m.prototxt"' + 2 * ' test_net: "m.prototxt"', "test_iter"),
    (
        "test_iter: 1 test_iter: 1",
        'train_net: "m.prototxt" test_net: "m.prototxt"',
        "test_iter",
    ),
]


@pytest.mark.parametrize(("fields", "net", "field"), COUNTS)
def test_counts_that_end_caffe_are_refused(fields: str, net: str, field: str) -> None:
    Path("net.prototxt").write_text(PLAIN)
    workflow.create_config("net.prototxt", "net.caffemodel", "c.json")
    workflow.insert(
        *("net.prototxt", "net.caffemodel", "c.json", "m.prototxt", "m.caffemodel", "r.txt")
    )
    solver = solver_file(fields, net)
    with pytest.raises(TrainingError, match=f"  - {field}: it is there"):
        amct_caffe.check_solver(solver, "c.json", "m.prototxt")
    in_caffe = f"import caffe; caffe.get_solver({solver!r})"
    done = subprocess.run([sys.executable, "-c", in_caffe], capture_output=True, check=False)
    assert done.returncode != 0


def test_a_first_test_that_cannot_be_made_is_refused_before_anything_is_trained() -> None:
    network = (
        data("include { phase: TRAIN }")
        + data('include { phase: TEST stage: "a" }')
        + conv("c1", "data")
        + FC
        + LOSS("")
    )
    with pytest.raises(TrainingError, match="test_state 1: it is no stage, and Caffe cannot make"):
        run(network)
    assert not Path("qat/modified_model.prototxt").exists()


def test_a_further_test_that_cannot_be_made_is_refused_before_anything_is_trained() -> None:
    network = (
        data("include { phase: TRAIN }")
        + data('include { phase: TEST stage: "a" }')
        + conv("c1", "data")
        + FC
        + LOSS("")
    )
    problem = r"test_state 2: it is stage 'b', and Caffe cannot make .*'data', which no layer"
    with pytest.raises(TrainingError, match=problem):
        run(
            network,
            'test_iter: 1 test_iter: 1 test_state { stage: "a" } test_state { stage: "b" }',
        )
    assert not Path("qat/modified_model.prototxt").exists()
