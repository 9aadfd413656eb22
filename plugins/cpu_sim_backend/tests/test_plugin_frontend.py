"""The frontend of the hooks page, in commands, with the page's layer type and deploy backend."""

from __future__ import annotations

import importlib
import inspect
import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path
from types import SimpleNamespace
from typing import List, Set

import numpy as np
import pytest

from amct_caffe.model.formats.caffemodel import writer
from amct_core import hookspecs
from amct_core.errors import EnvironmentUnsuitableError
from amct_core.extensions import Frontend

PARTS = ((hookspecs.amct_frontends, 0), (hookspecs.amct_layer_types, 0))
BACKEND = (hookspecs.amct_deploy_backends, 1)
FLOAT = ["gain.net.txt", "gain.npz"]
DATA = ["--data", "data.npz"]
SAVED = ["out/result/model", *DATA]
ONE_MODEL = ["--save-type", "Deploy", "-o", "one"]


def example(hook: object, number: int) -> str:
    """Return one of the blocks of code in the documentation of a hook."""
    blocks = re.findall(r"::\n\n((?:    .*\n|\n)+)", f"{inspect.getdoc(hook)}\n")
    return textwrap.dedent(blocks[number])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a network as text, its data, and the examples as an installed plugin."""
    folder = tmp_path_factory.mktemp("text")
    modules = []
    for number, (hook, index) in enumerate((*PARTS, BACKEND)):
        (folder / f"example_{number}.py").write_text(example(hook, index), encoding="utf-8")
        modules.append(f"example_{number} = example_{number}")
    distribution = folder / "text_networks-1.0.dist-info"
    distribution.mkdir()
    (distribution / "METADATA").write_text("Name: text-networks\nVersion: 1.0\n")
    (distribution / "entry_points.txt").write_text("\n".join(["[amct]", *modules, ""]))
    random = np.random.default_rng(7)
    (folder / "gain.net.txt").write_text("gain Gain data out\n")
    np.savez(folder / "gain.npz", gain=np.linspace(0.5, 2, 8, dtype=np.float32))
    np.savez(folder / "data.npz", data=random.normal(size=(20, 8)).astype(np.float32))
    (folder / "broken.net.txt").write_text("gain Gain data\n")
    return folder


def amct(folder: Path, *words: str, expected: int = 0) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "amct_core", *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder), "COLUMNS": "400"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
    )
    assert done.returncode == expected, done.stdout
    return " ".join(done.stdout.split())


@pytest.fixture(scope="module")
def commands() -> List[List[str]]:
    """The commands of the page."""
    page = f"{inspect.getdoc(hookspecs.amct_frontends)}\n"
    (block,) = re.findall(r"code-block:: sh\n\n((?:    .*\n|\n)+)", page)
    block = block.replace("\\\n", " ")
    return [line.split()[1:] for line in block.splitlines() if line.strip()]


@pytest.fixture(scope="module")
def quantized(folder: Path, commands: List[List[str]]) -> Path:
    amct(folder, *commands[0])
    return folder


class TestThePage:
    def test_has_three_commands(self, commands: List[List[str]]) -> None:
        assert [each[0] for each in commands] == ["ptq", "verify", "evaluate"]

    def test_the_model_is_verified(self, quantized: Path, commands: List[List[str]]) -> None:
        assert "exact" in amct(quantized, *commands[1])

    def test_the_model_is_evaluated(self, quantized: Path, commands: List[List[str]]) -> None:
        said = amct(quantized, *commands[2])
        assert "gain.net.txt with gain.npz, simulated" in said
        assert "fake-quant is left out" in said


def test_an_exception_in_a_method_names_plugin_frontend_and_method(folder: Path) -> None:
    said = amct(folder, "ptq", "config", "broken.net.txt", "gain.npz", "-o", "c.json", expected=1)
    assert "plugin 'example_0', frontend 'text': read failed with ValueError: not enough" in said
    assert "Internal error" not in said


def test_what_only_caffe_can_do_says_so(folder: Path) -> None:
    said = amct(folder, "lint", "--model", "gain.net.txt", "--weights", "gain.npz", expected=1)
    assert "gain.net.txt: it is a network of the frontend 'text'" in said
    assert "'amct lint' looks at Caffe's files only" in said


class TestAModelThatOnlyItsBackendReads:
    def test_is_told_to_have_no_float_model(self, quantized: Path) -> None:
        words = ("out/result/model", "--data", "data.npz")
        for command in ("evaluate", "report"):
            said = amct(quantized, command, *words, expected=1)
            assert "the deploy backend 'chip' does not note" in said, command
            assert "--float MODEL WEIGHTS" in said
            assert "quant.json" not in said

    def test_is_reported_beside_its_float_model(self, quantized: Path) -> None:
        words = ("out/result/model", "--data", "data.npz", "--float", *FLOAT)
        assert "gain" in amct(quantized, "report", *words)

    def test_is_compared_between_engines(self, quantized: Path) -> None:
        said = amct(quantized, "verify", "out/result/model", "--data", "data.npz", expected=1)
        assert "--against reference" in said

    def test_is_nothing_for_lint(self, quantized: Path) -> None:
        said = amct(quantized, "lint", "out/result/model", expected=1)
        assert "out/result/model: it was written by the deploy backend 'chip'" in said
        assert "'amct lint' looks at Caffe's files only" in said


RECORDED = """
class Recorded(TextFrontend):
    def __getattribute__(self, name):
        if not name.startswith("_"):
            with open("calls.txt", "a") as stream:
                stream.write(name + "\\n")
        return super().__getattribute__(name)

@hookimpl
def amct_frontends():
    return [Recorded()]
"""
NOT_LISTED = {"name", "recognises", "runs_modules_of_users"}
OF_DEFAULTS = {"read", "read_for_inference", "read_deployed"}
"""What the default of another method calls."""


def listed(command: str) -> Set[str]:
    """Return the methods in the rows of the page's table that name ``command``."""
    page = inspect.getdoc(hookspecs.amct_frontends) or ""
    table = re.split(r"^=+ +=+$", page, flags=re.MULTILINE)[2]
    rows = re.split(r"\n(?=``(?!ptq auto``  ))", table)
    return {
        method
        for row in rows
        if f"``{command}``" in row
        for method in re.findall(r"``(\w+)``", row)
        if hasattr(Frontend, method)
    }


@pytest.mark.parametrize(
    ("words", "called"),
    [
        (["qat", "config", *FLOAT, "-o", "q.json"], {"read", "check"}),
        (["ptq", "config", *FLOAT, "-o", "c.json"], {"read_for_inference", "check"}),
        (
            ["ptq", "run", *FLOAT, *DATA, "--backend", "chip", *ONE_MODEL],
            {"read_for_inference", "check", "rebuilt", "input_shapes", "runs_here"}
            | {"without_training_layers"},
        ),
        (
            ["evaluate", *SAVED, "--float", *FLOAT],
            {"check_float", "read_for_inference", "runs_here", "read_inference"},
        ),
        (["report", *SAVED, "--float", *FLOAT], {"read_float"}),
    ],
    ids=lambda value: value[0] + value[1][:6] if isinstance(value, list) else "",
)
def test_commands_call_what_the_table_lists(
    quantized: Path, words: List[str], called: Set[str]
) -> None:
    module = quantized / "example_0.py"
    plain = module.read_text(encoding="utf-8")
    module.write_text(plain + RECORDED, encoding="utf-8")
    calls = quantized / "calls.txt"
    calls.write_text("")
    try:
        amct(quantized, *words)
    finally:
        module.write_text(plain, encoding="utf-8")
    found = set(calls.read_text().split()) - NOT_LISTED
    assert found - OF_DEFAULTS == called - OF_DEFAULTS
    command = " ".join(words[:2]) if words[0] in ("ptq", "qat") else words[0]
    assert called <= listed(command)


def test_verify_says_what_works_where_a_framework_does_not_run_the_model(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refused(*args: object) -> object:
        raise EnvironmentUnsuitableError("this Caffe has no layer type Gain.", layer="gain")

    frontend = SimpleNamespace(
        name="caffe", fake_quant_executor=lambda path: None, fake_quant_layers=lambda path: None
    )
    saved = SimpleNamespace(frontend=frontend, is_backends_alone=False)
    module = importlib.import_module("cpu_sim_backend.verify")
    monkeypatch.setattr(module, "saved_model", lambda *args: saved)
    monkeypatch.setattr(module, "mixed_files", lambda saved: ())
    monkeypatch.setattr(module, "compare", refused)
    monkeypatch.setattr(module, "_in_framework", lambda *args: None)
    monkeypatch.setattr(module.Simulator, "from_saved", lambda *args, **kwargs: None)
    with pytest.raises(EnvironmentUnsuitableError) as error:
        module.verify("model", {})
    assert error.value.layer == "gain"
    assert "with --against reference" in error.value.remedy


class TestANetworkOfCaffeThatOnlyAPluginsBackendReads:
    @pytest.fixture(scope="class")
    def saved(self, folder: Path) -> Path:
        (folder / "n.prototxt").write_text(
            'layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 8 } '
            '} } layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip" '
            "inner_product_param { num_output: 4 bias_term: false } }"
        )
        weights = np.random.default_rng(8).normal(size=(4, 8)).astype(np.float32)
        with (folder / "n.caffemodel").open("wb") as stream:
            writer.write(stream, "n", [("ip", "InnerProduct", [weights])])
        words = ("--data", "data.npz", "--engine", "simulator", "--batch-num", "1")
        words += ("--backend", "chip", "--save-type", "Deploy", "-o", "caffe")
        amct(folder, "ptq", "run", "n.prototxt", "n.caffemodel", *words)
        assert not (folder / "caffe/result/model_deploy_model.prototxt").exists()
        return folder

    @pytest.mark.parametrize("command", ["evaluate", "report"])
    def test_is_judged_beside_its_float_model(self, saved: Path, command: str) -> None:
        words = ("caffe/result/model", "--data", "data.npz")
        assert "--float MODEL WEIGHTS" in amct(saved, command, *words, expected=1)
        said = amct(saved, command, *words, "--float", "n.prototxt", "n.caffemodel")
        assert "n.prototxt with n.caffemodel" in said or command == "report"
        assert "ip" in said
