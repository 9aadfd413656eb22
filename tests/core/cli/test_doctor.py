"""``amct doctor``."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import json
import re
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from amct_core.cli import checks, purposes
from amct_core.cli.installing import DISTRIBUTIONS

Amct = Callable[..., Any]
AddPlugin = Callable[[str, str], None]
Versions = dict[str, str]

EVERYTHING = {
    **dict.fromkeys(DISTRIBUTIONS, "0.1.0"),
    **dict.fromkeys(checks.OPTIONAL_LIBRARIES, "1.0"),
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
    """Pretend a machine that has everything, CPython 3.9 among it."""
    monkeypatch.setattr(checks.shutil, "which", lambda name, path: f"/opt/mpi/bin/{name}")
    monkeypatch.setattr(checks.sys, "version_info", (3, 9, 18, "final", 0))
    add_plugin("mine", COMPLETE_PLUGIN)
    monkeypatch.chdir(tmp_path)


def failures(amct: Amct) -> dict[str, str]:
    """Return the remedy of each check that fails."""
    document = json.loads(amct("doctor", "--json").out)
    return {check["name"]: check["remedy"] for check in document["checks"] if not check["good"]}


def unserved(amct: Amct, *options: str) -> dict[str, list[str]]:
    """Return what to do for each purpose that is not served; the exit status must agree."""
    done = amct("doctor", "--json", *options)
    document = json.loads(done.out)
    works = [each["works"] for each in document["purposes"]]
    assert document["ok"] == (all(works) if options else any(works))
    assert done.status == (0 if document["ok"] else 1)
    missing = {}
    for each in document["purposes"]:
        assert each["works"] == (not each["missing"]) == (not each["remedies"])
        if not each["works"]:
            missing[each["name"]] = each["remedies"]
    return missing


TRAINING = {"train", "verify", "demo", "mpi"}
EVERYTHING_ELSE = {each.name for each in purposes.PURPOSES} - TRAINING


@pytest.mark.usefixtures("complete")
class TestWholeWorkflow:
    def test_a_complete_machine_passes(self, amct: Amct) -> None:
        assert failures(amct) == {}
        assert unserved(amct) == {}
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
        command = "pip install kendryte-caffe 'numpy<2' 'protobuf<=3.20.3'"
        assert unserved(amct).keys() == TRAINING
        assert all(each[0].startswith(command) for each in unserved(amct).values())

    def test_without_caffe_on_a_python_for_which_there_is_none(
        self, amct: Amct, caffe: Callable[[bool], None], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        caffe(False)
        monkeypatch.setattr(checks.sys, "version_info", (3, 13, 0, "final", 0))
        assert unserved(amct).keys() == TRAINING
        (remedy,) = unserved(amct)["train"]
        assert "CPython 3.9" in remedy
        assert "this is 3.13" in remedy
        assert "pip install --find-links FOLDER 'amct[caffe]==0.1.0'" in remedy

    @pytest.mark.parametrize("name", DISTRIBUTIONS)
    def test_without_a_distribution(self, amct: Amct, versions: Versions, name: str) -> None:
        del versions[name]
        version = "" if name == "amct-core" else "==0.1.0"
        assert failures(amct) == {name: f"pip install --find-links FOLDER {name}{version}"}

    def test_with_a_distribution_of_another_version(self, amct: Amct, versions: Versions) -> None:
        versions["amct-caffe"] = "0.2.0"
        assert failures(amct).keys() == {"amct-caffe"}
        assert "amct-caffe==0.1.0" in failures(amct)["amct-caffe"]

    @pytest.mark.parametrize("name", ["numpy", "protobuf"])
    def test_without_a_library(self, amct: Amct, versions: Versions, name: str) -> None:
        del versions[name]
        limits = {"numpy": "numpy<2", "protobuf": "protobuf<=3.20.3"}
        assert failures(amct) == {name: f"pip install '{limits[name]}'"}
        del versions["kendryte-caffe"]
        (remedy,) = failures(amct).values()
        assert re.fullmatch(f"pip install '{name}>=[0-9.]+'", remedy), "another Caffe"

    def test_an_optional_library_must_not_bring_what_the_caffe_wheel_cannot_use(
        self, amct: Amct, versions: Versions
    ) -> None:
        del versions["onnx"]
        (told,) = unserved(amct, "--for", "onnx").values()
        assert "'numpy<2' 'protobuf<=3.20.3'" in str(told)

    @pytest.mark.parametrize(
        ("name", "names"),
        [
            ("scikit-learn", {"demo"}),
            ("numba", {"fast"}),
            ("onnx", {"onnx"}),
            ("jinja2", {"report"}),
            ("pillow", {"images", "data"}),
            ("h5py", {"hdf5", "data"}),
            ("lmdb", {"data"}),
            ("mpi4py", {"mpi"}),
            ("amct-ascend-backend", {"train", "deploy", "demo", "mpi"}),
            (
                "amct-cpu-sim-backend",
                {"simulate", "verify", "demo", "report", "onnx", "images", "fast"},
            ),
            ("protobuf", TRAINING | EVERYTHING_ELSE),
        ],
    )
    def test_what_is_missing_is_missed_where_it_is_needed(
        self, amct: Amct, versions: Versions, name: str, names: set[str]
    ) -> None:
        del versions[name]
        missing = unserved(amct)
        assert missing.keys() == names
        assert all(
            remedy.startswith("pip install") and name in remedy
            for remedies in missing.values()
            for remedy in remedies
        )

    def test_one_command_gets_all_that_a_purpose_lacks(
        self, amct: Amct, versions: Versions
    ) -> None:
        for name in ("amct-cpu-sim-backend", "jinja2"):
            del versions[name]
        (command,) = unserved(amct)["report"]
        start = "pip install --find-links FOLDER amct-cpu-sim-backend==0.1.0 "
        assert re.fullmatch(f"{start}'?jinja2.*", command)
        assert "FOLDER is where" in amct("doctor").out

    def test_without_a_program_that_starts_processes(
        self, amct: Amct, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(checks.shutil, "which", lambda name, path: None)
        assert unserved(amct) == {"mpi": ["pip install mpich"]}

    def test_one_purpose_can_be_asked_for(
        self, amct: Amct, caffe: Callable[[bool], None], versions: Versions
    ) -> None:
        caffe(False)
        del versions["onnx"]
        assert unserved(amct, "--for", "simulate") == {}
        assert unserved(amct, "--for", "train").keys() == {"train"}
        assert unserved(amct, "--for", "simulate", "--for", "onnx").keys() == {"onnx"}
        assert "onnx" not in amct("doctor", "--for", "train").out

    def test_an_unknown_purpose_is_wrong_usage(self, amct: Amct) -> None:
        done = amct("doctor", "--for", "flying")
        assert done.status == 2
        assert "'simulate'" in done.err

    def test_a_framework_that_lacks_what_a_purpose_needs(
        self, amct: Amct, add_plugin: AddPlugin
    ) -> None:
        add_plugin("able", ABLE_PLUGIN.replace('"flies"', '"several_processes"'))
        assert unserved(amct).keys() == {"mpi"}
        add_plugin(
            "less", ABLE_PLUGIN.replace("able", "less").replace('"flies"', '"python_layers"')
        )
        assert unserved(amct).keys() == TRAINING

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
        assert unserved(amct) == {}, "everything else works"
        assert "plugin broken  Install what it misses" in amct("doctor").out
        assert "No module named 'no_such_module'" in amct("doctor").out

    def test_a_plugin_that_returns_nonsense(self, amct: Amct, add_plugin: AddPlugin) -> None:
        add_plugin("nonsense", "@hookimpl\ndef amct_calibrators():\n    return 3\n")
        assert failures(amct).keys() == {"calibrators"}
        assert unserved(amct).keys() == TRAINING | EVERYTHING_ELSE
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
        assert unserved(amct).keys() == TRAINING
        assert "FAIL  framework of able" in amct("doctor").out

    def test_a_log_file_that_cannot_be_written(self, amct: Amct, tmp_path: Path) -> None:
        (tmp_path / "amct_log").write_text("in the way")
        assert str(tmp_path / "amct_log") in failures(amct)["log file"]

    def test_each_failure_comes_with_its_remedy(self, amct: Amct, versions: Versions) -> None:
        versions.clear()
        done = amct("doctor")
        assert done.status == 1
        report, remedies = done.out.split("\nWhat to do:\n")
        missing = [line.split()[1] for line in report.splitlines() if line.startswith("--")]
        assert missing == [*DISTRIBUTIONS, *checks.NEEDED_LIBRARIES, *checks.OPTIONAL_LIBRARIES]
        assert all(name in remedies for name in missing)
        # What everything needs is said once.
        assert remedies.count("amct-core") == 2
        assert remedies.splitlines()[0].split()[:3] == ["amct-core", "pip", "install"]


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
