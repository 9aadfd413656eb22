"""``amct doctor``."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import json
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from amct_core.cli import checks

Amct = Callable[..., Any]
AddPlugin = Callable[[str, str], None]
Versions = dict[str, str]

EVERYTHING = {
    **dict.fromkeys(checks.DISTRIBUTIONS, "0.1.0"),
    "numpy": "1.26.4",
    "protobuf": "3.20.3",
    "kendryte-caffe": "1.0.0.20210829",
}

COMPLETE_PLUGIN = """
class MyFrontend(Frontend):
    name = "mine"
    recognises = read = insert = read_retrained = write_fake_quant = fake_quant_executor = None

MyFrontend.__abstractmethods__ = frozenset()

@hookimpl
def amct_frontends():
    return [MyFrontend()]

@hookimpl
def amct_deploy_backends():
    return [DeployBackend(name="mine", description="", write=print)]
"""

ABLE_PLUGIN = """
from amct_core.extensions import Capability

class Able(Frontend):
    name = "able"
    recognises = read = insert = read_retrained = write_fake_quant = fake_quant_executor = None

    def capabilities(self):
        return [
            Capability("flies", "Does it fly?", "no", ("wings",), "too heavy"),
            Capability("swims", "Does it swim?", "crashed", sentence="it sank"),
        ]

Able.__abstractmethods__ = frozenset()

@hookimpl
def amct_frontends():
    return [Able()]
"""


@pytest.fixture
def versions(monkeypatch: pytest.MonkeyPatch) -> Versions:
    """What is installed, for the test to change: at first, everything."""
    installed = dict(EVERYTHING)

    def version(name: str) -> str:
        if name not in installed:
            raise metadata.PackageNotFoundError(name)
        return installed[name]

    monkeypatch.setattr(metadata, "version", version)
    return installed


@pytest.fixture
def caffe(monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], None]:
    """Return a function that says whether a module called caffe can be found; at first, it can."""
    find_spec = importlib.util.find_spec

    def present(there: bool) -> None:
        def find(name: str, package: str | None = None) -> Any:
            if name != "caffe":
                return find_spec(name, package)
            spec = importlib.machinery.ModuleSpec("caffe", None, origin="/opt/caffe/__init__.py")
            return spec if there else None

        monkeypatch.setattr(importlib.util, "find_spec", find)

    present(True)
    return present


@pytest.fixture
def complete(
    versions: Versions,
    caffe: Callable[[bool], None],
    add_plugin: AddPlugin,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Pretend a machine that has everything."""
    add_plugin("mine", COMPLETE_PLUGIN)
    monkeypatch.chdir(tmp_path)


def failures(amct: Amct) -> dict[str, str]:
    """Return the remedy of each check that fails; the exit status must agree."""
    done = amct("doctor", "--json")
    document = json.loads(done.out)
    failed = {check["name"]: check["remedy"] for check in document["checks"] if not check["good"]}
    assert document["ok"] == (not failed)
    assert done.status == (1 if failed else 0)
    return failed


@pytest.mark.usefixtures("complete")
class TestWholeWorkflow:
    def test_a_complete_machine_passes(self, amct: Amct) -> None:
        assert failures(amct) == {}
        done = amct("doctor")
        assert done.status == 0
        assert "FAIL" not in done.out
        assert "What to do" not in done.out

    def test_caffe_is_found_without_being_imported(self, amct: Amct) -> None:
        before = "caffe" in sys.modules
        assert "/opt/caffe/__init__.py" in amct("doctor").out
        assert ("caffe" in sys.modules) == before

    def test_without_caffe(self, amct: Amct, caffe: Callable[[bool], None]) -> None:
        caffe(False)
        assert "pip install kendryte-caffe" in failures(amct)["pycaffe"]

    @pytest.mark.parametrize("name", checks.DISTRIBUTIONS)
    def test_without_a_distribution(self, amct: Amct, versions: Versions, name: str) -> None:
        del versions[name]
        assert failures(amct) == {name: f"pip install {name}"}

    def test_with_a_distribution_of_another_version(self, amct: Amct, versions: Versions) -> None:
        versions["amct-caffe"] = "0.2.0"
        assert failures(amct).keys() == {"amct-caffe"}
        assert "amct-caffe==0.1.0" in failures(amct)["amct-caffe"]

    @pytest.mark.parametrize("name", ["numpy", "protobuf"])
    def test_without_a_library(self, amct: Amct, versions: Versions, name: str) -> None:
        del versions[name]
        assert failures(amct) == {name: f"pip install {name}"}

    @pytest.mark.parametrize(
        ("library", "version", "remedy"),
        [("numpy", "2.0.2", "numpy<2"), ("protobuf", "4.25.1", "protobuf<=3.20.3")],
    )
    def test_libraries_too_new_for_the_caffe_wheel(
        self, amct: Amct, versions: Versions, library: str, version: str, remedy: str
    ) -> None:
        versions[library] = version
        assert failures(amct) == {f"kendryte-caffe with {library}": f"pip install '{remedy}'"}
        del versions["kendryte-caffe"]
        assert failures(amct) == {}, "another Caffe may well work with it"

    def test_a_plugin_that_fails_to_load(self, amct: Amct, add_plugin: AddPlugin) -> None:
        add_plugin("broken", "import no_such_module")
        assert failures(amct).keys() == {"plugin broken"}
        assert "No module named 'no_such_module'" in amct("doctor").out

    def test_a_plugin_that_returns_nonsense(self, amct: Amct, add_plugin: AddPlugin) -> None:
        add_plugin("nonsense", "@hookimpl\ndef amct_calibrators():\n    return 3\n")
        assert failures(amct).keys() == {"calibrators"}
        assert "'nonsense'" in amct("doctor").out

    def test_what_a_framework_can_do_is_listed_and_decides_nothing(
        self, amct: Amct, add_plugin: AddPlugin
    ) -> None:
        add_plugin("able", ABLE_PLUGIN)
        done = amct("doctor", "--json")
        document = json.loads(done.out)
        assert document["capabilities"] == [
            {
                "name": "flies",
                "question": "Does it fly?",
                "answer": "no",
                "found": ["wings"],
                "sentence": "too heavy",
            },
            {
                "name": "swims",
                "question": "Does it swim?",
                "answer": "crashed",
                "found": [],
                "sentence": "it sank",
            },
        ]
        assert (done.status, document["ok"]) == (0, True)
        report = amct("doctor").out
        assert "no       Does it fly?   wings" in report
        assert "crashed  Does it swim?  it sank" in report

    def test_what_there_is_much_of_stands_below_and_folds(
        self, amct: Amct, add_plugin: AddPlugin, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        names = [f"LayerTypeNumber{number}" for number in range(40)]
        add_plugin("able", ABLE_PLUGIN.replace('("wings",)', repr(tuple(names))))
        monkeypatch.setenv("COLUMNS", "60")
        lines = amct("doctor").out.splitlines()
        assert max(map(len, lines)) <= 60
        assert "  no       Does it fly?   40, named below" in lines
        listed = lines[lines.index("Does it fly?") + 1 :]
        assert " ".join(listed).replace(",", "").split() == names

    def test_a_framework_that_answers_nothing_cannot_be_used(
        self, amct: Amct, add_plugin: AddPlugin
    ) -> None:
        add_plugin("able", ABLE_PLUGIN.replace('"no"', '"crashed"'))
        assert failures(amct).keys() == {"framework of able"}
        assert "FAIL  framework of able" in amct("doctor").out

    def test_a_log_file_that_cannot_be_written(self, amct: Amct, tmp_path: Path) -> None:
        (tmp_path / "amct_log").write_text("in the way")
        assert str(tmp_path / "amct_log") in failures(amct)["log file"]

    def test_each_failure_comes_with_its_remedy(self, amct: Amct, versions: Versions) -> None:
        versions.clear()
        done = amct("doctor")
        assert done.status == 1
        report, remedies = done.out.split("\nWhat to do:\n")
        failed = [line.split()[1] for line in report.splitlines() if line.startswith("FAIL")]
        assert failed == [*checks.DISTRIBUTIONS, "numpy", "protobuf"]
        assert [line.split()[0] for line in remedies.splitlines()] == failed
        assert all("pip install" in line for line in remedies.splitlines())


def test_without_plugins_there_is_nothing_to_train_or_deploy_with(
    amct: Amct, versions: Versions, caffe: Callable[[bool], None], add_plugin: AddPlugin
) -> None:
    assert {"frontends", "deploy backends"} <= failures(amct).keys()


@pytest.mark.parametrize(
    ("version", "good"), [((3, 8), False), ((3, 9), True), ((3, 13), True), ((3, 14), False)]
)
def test_supported_pythons(version: tuple[int, int], good: bool) -> None:
    assert checks.check_python(version).good is good


@pytest.mark.parametrize(
    ("version", "numbers"),
    [("3.20.3", (3, 20, 3)), ("2.0.0rc1", (2, 0)), ("1.26.4", (1, 26, 4)), ("dev", ())],
)
def test_version_numbers(version: str, numbers: tuple[int, ...]) -> None:
    assert checks.version_numbers(version) == numbers
