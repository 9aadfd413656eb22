"""``amct qat config``, ``insert`` and ``save``: what they hand to the workflow and print."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import Mock, create_autospec

import attrs
import pytest

from amct_core import workflow
from amct_core.config import forms, json_format
from amct_core.config.edits import Edits
from amct_core.config.model import ActivationConfig, LayerConfig, QatConfig
from amct_core.errors import ModelError
from amct_core.workflow import ConfigReport
from tests.core.config.networks import CONVOLUTION, POOLING, PRODUCT, of_types

Amct = Callable[..., Any]
AddPlugin = Callable[[str, str], None]


@pytest.fixture
def step(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Mock]:
    """Return a function that replaces a step of the workflow by a mock of the same signature."""

    def replace(name: str) -> Mock:
        mock: Mock = create_autospec(getattr(workflow, name))
        monkeypatch.setattr(workflow, name, mock)
        return mock

    return replace


class TestInsert:
    ARGUMENTS = ("qat", "insert", "m.prototxt", "m.caffemodel", "-c", "config.json", "-o", "out")
    FILES = (
        os.path.join("out", "modified_model.prototxt"),
        os.path.join("out", "modified_model.caffemodel"),
        os.path.join("out", "record.txt"),
    )

    def test_the_files_have_the_documented_names(
        self, amct: Amct, step: Callable[[str], Mock], configured: list[str]
    ) -> None:
        insert = step("insert")
        done = amct(*self.ARGUMENTS)
        insert.assert_called_once_with(
            "m.prototxt",
            "m.caffemodel",
            "config.json",
            *self.FILES,
            solver_file=None,
            input_shapes={},
            first_bounds=None,
        )
        assert (done.status, done.out.split()) == (0, list(self.FILES))
        assert configured == ["configured"]

    def test_the_solver_reaches_the_workflow(self, amct: Amct, step: Callable[[str], Mock]) -> None:
        insert = step("insert")
        amct(*self.ARGUMENTS, "--solver", "s.prototxt")
        assert insert.call_args.kwargs["solver_file"] == "s.prototxt"

    def test_shapes_of_inputs_reach_the_workflow(
        self, amct: Amct, step: Callable[[str], Mock]
    ) -> None:
        insert = step("insert")
        options = ("--input-shape", "data:1,3,224,224;a:b:1", "--input-shape", "im info:2, 3")
        assert amct(*self.ARGUMENTS, *options).status == 0
        assert insert.call_args.kwargs["input_shapes"] == {
            "data": (1, 3, 224, 224),
            "a:b": (1,),
            "im info": (2, 3),
        }

    @pytest.mark.parametrize(
        "text", ["data", "data:", ":1,3", "1,3", "data:1,-1", "data:1,x", "data:0,3", "data:1.0"]
    )
    def test_what_is_no_shape_is_wrong_usage(
        self, amct: Amct, step: Callable[[str], Mock], text: str
    ) -> None:
        insert = step("insert")
        done = amct(*self.ARGUMENTS, "--input-shape", text)
        assert done.status == 2
        assert "--input-shape data:1,3,224,224" in done.err
        insert.assert_not_called()

    def test_an_input_given_twice_is_wrong_usage(
        self, amct: Amct, step: Callable[[str], Mock]
    ) -> None:
        step("insert")
        options = ("--input-shape", "data:1,3", "--input-shape", "data:2,3")
        done = amct(*self.ARGUMENTS, *options)
        assert (done.status, "'data' is given twice" in done.err) == (2, True)

    def test_json_lists_the_files(self, amct: Amct, step: Callable[[str], Mock]) -> None:
        step("insert")
        assert json.loads(amct(*self.ARGUMENTS, "--json").out) == {"files": list(self.FILES)}

    def test_an_error_prints_no_files(self, amct: Amct, step: Callable[[str], Mock]) -> None:
        step("insert").side_effect = ModelError("not a network.", file="m.prototxt")
        done = amct(*self.ARGUMENTS, "--json")
        assert (done.status, done.out) == (1, "")
        assert done.err == "Error: m.prototxt: not a network.\n"


class TestSave:
    ARGUMENTS = ("qat", "save", "m.prototxt", "s.caffemodel", "--save-path", "r/m")
    FILES = ("r/m_deploy_model.prototxt", "r/m_quant.json")

    def test_both_models_are_saved_unless_told_otherwise(
        self, amct: Amct, step: Callable[[str], Mock]
    ) -> None:
        save = step("save")
        save.return_value = self.FILES
        arguments = ("-c", "config.json", "--record", "record.txt", "--solver", "s.prototxt")
        done = amct(*self.ARGUMENTS, *arguments)
        save.assert_called_once_with(
            model_file="m.prototxt",
            weights_file="s.caffemodel",
            save_path="r/m",
            save_type="Both",
            record_file="record.txt",
            config_file="config.json",
            backend=None,
            solver_file="s.prototxt",
            input_shapes={},
        )
        assert (done.status, done.out.split()) == (0, list(self.FILES))

    @pytest.mark.parametrize("save_type", workflow.SAVE_TYPES)
    def test_the_save_type_and_the_backend_are_options(
        self, amct: Amct, step: Callable[[str], Mock], save_type: str
    ) -> None:
        save = step("save")
        save.return_value = self.FILES
        done = amct(*self.ARGUMENTS, "--save-type", save_type, "--backend", "mine", "--json")
        save.assert_called_once_with(
            model_file="m.prototxt",
            weights_file="s.caffemodel",
            save_path="r/m",
            save_type=save_type,
            record_file=None,
            config_file=None,
            backend="mine",
            solver_file=None,
            input_shapes={},
        )
        assert json.loads(done.out) == {"files": list(self.FILES)}

    def test_another_save_type_is_wrong_usage(
        self, amct: Amct, step: Callable[[str], Mock]
    ) -> None:
        save = step("save")
        assert amct(*self.ARGUMENTS, "--save-type", "both").status == 2
        save.assert_not_called()


CONFIG = QatConfig(layers={"conv": LayerConfig(), "pool": LayerConfig(weight=None)})

NETWORK = of_types(
    {"conv": CONVOLUTION, "pool": POOLING, "fc": PRODUCT}, {"fc": "transpose is true"}
)

PLUGIN = """
@hookimpl
def amct_activation_algorithms():
    return [ActivationAlgorithm(name="my_activation", forward=len, backward=len, factors=len)]

@hookimpl
def amct_calibrators():
    return [Calibrator(name="my_calibrator", calibrate=len)]

@hookimpl
def amct_shift_searches():
    return [ShiftSearch(name="my_search")]

@hookimpl
def amct_deploy_backends():
    return [DeployBackend(name="my_backend", description="", write=print)]
"""

NAME_OPTIONS = ("--activation-algo", "--init-algo", "--shift-n-algo", "--backend")


class TestConfig:
    ARGUMENTS = ("qat", "config", "m.prototxt", "m.caffemodel", "-o")

    @pytest.fixture
    def config_file(self, step: Callable[[str], Mock], tmp_path: Path) -> str:
        """The config to write; creating it writes CONFIG and reports two layers."""

        def create_config(
            model_file: str,
            weights_file: str,
            config_file: str,
            simple: str | None = None,
            *,
            solver_file: str | None = None,
            base_file: str | None = None,
            edits: Edits,
        ) -> ConfigReport:
            assert base_file is None
            config = edits.apply(CONFIG, NETWORK, forms.QAT, lambda each: each)
            json_format.write(config_file, config)
            before = None if config is CONFIG else CONFIG
            return ConfigReport(config, ("conv", "pool"), {"fc": "transpose is true"}, before)

        step("create_config").side_effect = create_config
        return str(tmp_path / "config.json")

    def test_the_files_reach_the_workflow(self, amct: Amct, step: Callable[[str], Mock]) -> None:
        create_config = step("create_config")
        create_config.return_value = ConfigReport(CONFIG, (), {})
        amct(*self.ARGUMENTS, "config.json", "--simple", "quant.cfg", "--solver", "s.prototxt")
        create_config.assert_called_once_with(
            *("m.prototxt", "m.caffemodel", "config.json", "quant.cfg"),
            solver_file="s.prototxt",
            base_file=None,
            edits=Edits(),
        )

    def test_it_says_what_can_be_quantized_and_why_the_rest_cannot(
        self, amct: Amct, config_file: str
    ) -> None:
        done = amct(*self.ARGUMENTS, config_file)
        assert done.status == 0
        assert done.out.splitlines() == [
            "2 layers can be quantized:",
            "  conv, pool",
            "1 layer left out: transpose is true",
            "  fc",
            config_file,
        ]

    def test_json_tells_the_same(self, amct: Amct, config_file: str) -> None:
        assert json.loads(amct(*self.ARGUMENTS, config_file, "--json").out) == {
            "config": config_file,
            "quantizable": ["conv", "pool"],
            "not_quantizable": {"fc": "transpose is true"},
        }

    def test_without_options_the_config_stays_as_the_workflow_wrote_it(
        self, amct: Amct, config_file: str
    ) -> None:
        amct(*self.ARGUMENTS, config_file)
        assert json_format.read(config_file) == CONFIG

    def test_options_set_what_they_name(
        self, amct: Amct, config_file: str, add_plugin: AddPlugin
    ) -> None:
        add_plugin("mine", PLUGIN)
        done = amct(
            *(*self.ARGUMENTS, config_file),
            *("--activation-algo", "my_activation", "--init-algo", "my_calibrator"),
            *("--shift-n-algo", "my_search", "--batch-num", "3", "--batch-norm", "fold"),
            *("--backend", "my_backend"),
        )
        assert done.status == 0
        activation = ActivationConfig(algo="my_activation", init_algo="my_calibrator")
        assert json_format.read(config_file) == QatConfig(
            batch_num=3,
            shift_n_algo="my_search",
            batch_norm="fold",
            deploy_backend="my_backend",
            layers={
                "conv": LayerConfig(activation=activation),
                "pool": LayerConfig(activation=activation, weight=None),
            },
        )

    def test_one_option_changes_nothing_else(self, amct: Amct, config_file: str) -> None:
        amct(*self.ARGUMENTS, config_file, "--batch-num", "7")
        assert json_format.read(config_file) == attrs.evolve(CONFIG, batch_num=7)

    @pytest.mark.parametrize("option", NAME_OPTIONS)
    def test_an_unknown_name_is_the_error_of_the_registry_and_nothing_is_written(
        self, amct: Amct, config_file: str, add_plugin: AddPlugin, option: str
    ) -> None:
        add_plugin("mine", PLUGIN)
        done = amct(*self.ARGUMENTS, config_file, option, "my_invention")
        assert (done.status, done.out) == (1, "")
        assert "'my_invention'; known: " in done.err and "(from mine)" in done.err
        assert not os.path.exists(config_file)

    @pytest.mark.parametrize(
        "options", [["--batch-num", "0"], ["--batch-num", "x"], ["--batch-norm", "drop"]]
    )
    def test_a_value_out_of_range_is_wrong_usage(
        self, amct: Amct, config_file: str, options: list[str]
    ) -> None:
        assert amct(*self.ARGUMENTS, config_file, *options).status == 2
        assert not os.path.exists(config_file)


def test_a_missing_model_is_an_error_that_names_it(amct: Amct, tmp_path: Path) -> None:
    missing = str(tmp_path / "missing.prototxt")
    done = amct("qat", "config", missing, "w.caffemodel", "-o", str(tmp_path / "config.json"))
    assert (done.status, done.out) == (1, "")
    assert missing in done.err
    assert list(tmp_path.iterdir()) == []
