"""accuracy_based_auto_calibration from the float network to the saved model, in real Caffe."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import amct_caffe as amct
from amct_caffe.common.auto_calibration import (
    AutoCalibrationEvaluatorBase,
    AutoCalibrationStrategyBase,
    BinarySearchStrategy,
    CosineSimilaritySensitivity,
    SensitivityBase,
    StrategySearch,
)
from amct_core import record as records
from amct_core.errors import AutoCalibrationError, ConfigError
from cpu_sim_backend.verify import verify
from plugins.amct_caffe.tests.ptq import networks
from plugins.amct_caffe.tests.ptq.networks import LAYERS, arrays, run

caffe = pytest.importorskip("caffe")

pytestmark = pytest.mark.caffe

CONFIG, RECORD, SAVE = "config.json", "tmp/record.txt", "results/net"
RANKING = "results/accuracy_based_auto_calibration_ranking_information.json"
FINAL = "results/accuracy_based_auto_calibration_final_config.json"
HISTORY = "amct_log/accuracy_based_auto_calibration_record.json"
MODELS = (
    "net_fake_quant_model.prototxt",
    "net_fake_quant_weights.caffemodel",
    "net_deploy_model.prototxt",
    "net_deploy_weights.caffemodel",
    "net_quant.json",
)


class Evaluator(AutoCalibrationEvaluatorBase):
    """Accepts a model with at most ``most`` quantized layers; its metric is their number."""

    def __init__(self, most: int, batch_num: int = 2) -> None:
        self.most, self.batch_num = most, batch_num
        self.evaluated: list[str] = []
        super().__init__()

    def calibration(self, model_file: str, weights_file: str) -> None:
        net = caffe.Net(model_file, weights_file, caffe.TEST)
        for seed in range(self.batch_num):
            run(net, arrays(seed))

    def evaluate(self, model_file: str, weights_file: str) -> int:
        net = caffe.Net(model_file, weights_file, caffe.TEST)
        run(net, arrays(0))
        self.evaluated.append(model_file)
        return Path(model_file).read_text().count('layer: "DeQuant"')

    def metric_eval(self, original_metric: int, new_metric: int) -> tuple[Any, Any]:
        return np.bool_(new_metric <= self.most), new_metric - original_metric


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    """Return the network's files; the folder is the working folder, with a config."""
    monkeypatch.chdir(tmp_path)
    files = networks.write(tmp_path)
    amct.create_quant_config(CONFIG, *files, None, 2)
    return files


def calibrate(files: tuple[str, str], evaluator: Any, *others: Any) -> None:
    amct.accuracy_based_auto_calibration(*files, evaluator, CONFIG, RECORD, SAVE, *others)


def read(path: str) -> Any:
    return json.loads(Path(path).read_text())


def quantized() -> set[str]:
    """Return the layers of the final config that are quantized."""
    config = read(FINAL)
    return {name for name in LAYERS if config[name]["quant_enable"]}


def test_the_fewest_of_the_most_sensitive_layers_stay_in_float(files) -> None:
    before = Path(CONFIG).read_bytes()
    evaluator = Evaluator(most=4)
    calibrate(files, evaluator)
    ranking = read(RANKING)
    assert sorted(layer for layer, _ in ranking) == sorted(LAYERS)
    scores = [score for _, score in ranking]
    assert scores == sorted(scores)
    assert all(0.9 < score <= 1 for score in scores)
    kept = {layer for layer, _ in ranking[3:]}
    assert quantized() == kept == set(records.read(RECORD))
    assert verify(SAVE, arrays(5)).exact
    history = read(HISTORY)
    assert [sum(step["roll_back_config"].values()) for step in history] == [7, 3, 5, 4]
    assert [step["metric_eval"] for step in history] == [
        [False, 7.0],
        [True, 3.0],
        [False, 5.0],
        [True, 4.0],
    ]
    assert len(evaluator.evaluated) == 5  # the original, and each candidate once
    assert Path(CONFIG).read_bytes() == before
    assert sorted(path.name for path in Path("results").iterdir()) == sorted(
        [*MODELS, Path(RANKING).name, Path(FINAL).name]
    )


def test_the_files_are_those_of_a_calibration_by_hand(files) -> None:
    evaluator = Evaluator(most=4)
    calibrate(files, evaluator)
    graph = amct.init(FINAL, *files, "hand/record.txt")
    amct.quantize_model(graph, "hand/m.prototxt", "hand/m.caffemodel")
    evaluator.calibration("hand/m.prototxt", "hand/m.caffemodel")
    amct.save_model(graph, "Both", "hand/net")
    for name in MODELS:
        assert Path("results", name).read_bytes() == Path("hand", name).read_bytes(), name
    assert Path(RECORD).read_bytes() == Path("hand/record.txt").read_bytes()


def test_a_model_that_is_good_enough_is_quantized_throughout(files, capfd) -> None:
    calibrate(files, Evaluator(most=7))
    assert quantized() == set(LAYERS)
    assert len(read(HISTORY)) == 1
    assert Path(RANKING).is_file()
    assert verify(SAVE, arrays(5)).exact


def test_where_nothing_satisfies_only_files_of_its_own_are_removed(files) -> None:
    calibrate(files, Evaluator(most=7))
    Path("results/other_deploy_model.prototxt").write_text("mine")
    calibrate(files, Evaluator(most=0))
    assert sorted(path.name for path in Path("results").iterdir()) == [
        Path(RANKING).name,
        "other_deploy_model.prototxt",
    ]
    assert not Path(RECORD).exists()
    assert not any(step["metric_eval"][0] for step in read(HISTORY))


def test_the_lines_are_those_of_amct(files, caplog) -> None:
    caplog.set_level("INFO")
    calibrate(files, Evaluator(most=4))
    said = [each.getMessage() for each in caplog.records if each.__dict__.get("said_by") == "AMCT"]
    wanted = [
        r"original evaluation accurcay: 0",
        r"global calibration accuracy: 7",
        *[rf"\*{{8}} sensitivity of module {layer} is \S+ \*{{8}}" for layer, _ in read(RANKING)],
        r"\*{20} fine search step 1 \*{20}",
        r"quant layers:",
        r"metric_eval: \(True, 3\.0\)",
        r"\*{20} fine search step 2 \*{20}",
        r"metric_eval: \(False, 5\.0\)",
        r"Fine search finish, automatic calibration succeed!",
        r"accuracy based auto calibration search record:",
        r"Accuracy of original model is         0",
        r"Accuracy of global quantized model is 7",
        r"Accuracy of saved model is            4",
        rf"The generated model is stored in dir: {re.escape(str(Path('results').resolve()))}",
        rf"The records file is stored in dir:    {re.escape(str(Path('tmp').resolve()))}",
        r"\*{53}",
        r"#>Func name: accuracy_based_auto_calibration",
        r"#>Cost time: 0 hours, \d+ minutes, [\d.]+ seconds",
        r"\*{53}",
    ]
    rest = iter(said)
    for line in wanted:
        assert any(re.fullmatch(line, each) for each in rest), line


def test_amcts_classes_give_what_their_names_give(files) -> None:
    calibrate(files, Evaluator(most=4))
    by_name = read(RANKING), read(FINAL)
    calibrate(files, Evaluator(most=4), BinarySearchStrategy(), CosineSimilaritySensitivity())
    assert (read(RANKING), read(FINAL)) == by_name


class LeastSquares(SensitivityBase):
    def compare(self, data: Any, other: Any) -> float:
        return -float(np.square(data - other).mean())


class WithoutPool(AutoCalibrationStrategyBase):
    """Rolls back the pooling alone, and stops."""

    def initialize(self, ranking_info: Any) -> None:
        self.layers = [layer for layer, _ in ranking_info]

    def update_quant_config(self, metric_eval: Any) -> dict[str, Any]:
        flags = {layer: layer != "pool" for layer in self.layers}
        return {"stop_flag": True, "roll_back_config": flags}


def test_classes_of_the_users_own_decide(files) -> None:
    calibrate(files, Evaluator(most=6), WithoutPool(), LeastSquares())
    assert quantized() == set(LAYERS) - {"pool"}
    assert read(RANKING)[0][1] < 0


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"nope": True}, r"unknown layers: \['nope'\]; layers that are missing: \["),
        ({layer: True for layer in LAYERS if layer != "pool"}, r"that are missing: \['pool'\]"),
        ({**dict.fromkeys(LAYERS, True), "nope": False}, r"unknown layers: \['nope'\]; expected"),
    ],
)
def test_a_strategy_speaks_of_each_layer_of_the_ranking_and_no_other(flags, message) -> None:
    class Mine(AutoCalibrationStrategyBase):
        def initialize(self, ranking_info: Any) -> None:
            pass

        def update_quant_config(self, metric_eval: Any) -> dict[str, Any]:
            return {"stop_flag": True, "roll_back_config": flags}

    with pytest.raises(AutoCalibrationError, match=message) as caught:
        StrategySearch(Mine(), [(layer, 1.0) for layer in LAYERS], (False, 1.0))
    assert caught.value.field == "Mine.update_quant_config"


def test_what_an_earlier_run_has_saved_stays_where_a_later_one_fails(files) -> None:
    calibrate(files, Evaluator(most=len(LAYERS)))
    saved = {path: path.read_bytes() for path in Path("results").iterdir()}
    with pytest.raises(RuntimeError, match="1 of 2"):
        calibrate(files, Evaluator(most=4, batch_num=1))
    assert {path: path.read_bytes() for path in Path("results").iterdir()} == saved


def test_an_error_of_the_evaluator_is_its_own_and_leaves_nothing_behind(files) -> None:
    class Broken(Evaluator):
        def calibration(self, model_file: str, weights_file: str) -> None:
            raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine") as caught:
        calibrate(files, Broken(most=4))
    assert caught.traceback[-1].path.name == "test_auto_calibration.py"
    assert not list(Path("results").iterdir())


def test_an_evaluator_that_refuses_the_original_is_told_so(files) -> None:
    with pytest.raises(ConfigError, match="please check the metric_eval"):
        calibrate(files, Evaluator(most=-1))


def test_too_few_batches_are_told_as_by_save_model(files) -> None:
    with pytest.raises(RuntimeError, match="1 of 2"):
        calibrate(files, Evaluator(most=4, batch_num=1))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((object(),), "the model evaluator is not inherited from base class"),
        ((Evaluator(4), object()), "strategy is not inherited from base class"),
        ((Evaluator(4), "BinarySearch", 3), "sensitivity is not inherited from base class"),
    ],
)
def test_arguments_of_other_classes_are_refused_in_amcts_words(files, arguments, message) -> None:
    with pytest.raises(AutoCalibrationError, match=message):
        calibrate(files, *arguments)


def test_a_missing_config_is_named(files) -> None:
    Path(CONFIG).unlink()
    with pytest.raises(RuntimeError, match="Can not find the config_file at"):
        calibrate(files, Evaluator(4))
