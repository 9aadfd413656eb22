"""In which order ``atc`` is looked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from ascend_backend.atc.find import find_atc


def install(path: Path, mode: int = 0o755) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(mode)
    return path


@pytest.fixture
def system(tmp_path: Path) -> Path:
    return tmp_path / "system"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


def test_the_order_is_path_then_the_variables_then_the_system_then_the_home(tmp_path, system, home):
    installed = [
        install(tmp_path / "path" / "atc"),
        install(tmp_path / "toolkit" / "bin" / "atc"),
        install(tmp_path / "ascend" / "bin" / "atc"),
        install(system / "ascend-toolkit" / "latest" / "bin" / "atc"),
        install(home / "Ascend" / "ascend-toolkit" / "latest" / "bin" / "atc"),
    ]
    environment = {
        "PATH": str(tmp_path / "path"),
        "ASCEND_TOOLKIT_HOME": str(tmp_path / "toolkit"),
        "ASCEND_HOME_PATH": str(tmp_path / "ascend"),
        "HOME": str(home),
    }
    origins = []
    for expected in installed:
        found = find_atc(environment, system)
        assert found is not None
        assert found.path == expected
        origins.append(found.origin)
        expected.unlink()
    assert find_atc(environment, system) is None
    assert origins[:3] == ["PATH", "ASCEND_TOOLKIT_HOME", "ASCEND_HOME_PATH"]
    assert origins[3:] == [
        str(system / "ascend-toolkit" / "latest"),
        str(home / "Ascend" / "ascend-toolkit" / "latest"),
    ]


@pytest.mark.parametrize(
    "below",
    [
        "cann/bin/atc",
        "ascend-toolkit/latest/bin/atc",
        "ascend-toolkit/latest/compiler/bin/atc",
        "ascend-toolkit/latest/atc/bin/atc",
        "ascend-toolkit/5.0.2/atc/bin/atc",
        "cann-9.0.0/bin/atc",
        "latest/atc/bin/atc",
    ],
)
def test_each_layout_of_the_installers_is_found(below, system):
    expected = install(system / below)
    found = find_atc({}, system)
    assert found is not None
    assert found.path == expected


def test_the_current_version_goes_before_numbered_ones_and_new_before_old(system):
    old = install(system / "ascend-toolkit" / "8.0.9" / "bin" / "atc")
    new = install(system / "ascend-toolkit" / "8.0.10" / "bin" / "atc")
    current = install(system / "ascend-toolkit" / "latest" / "bin" / "atc")
    for expected in (current, new, old):
        found = find_atc({}, system)
        assert found is not None
        assert found.path == expected
        expected.unlink()


def test_a_file_that_cannot_be_executed_is_no_atc(system):
    install(system / "cann" / "bin" / "atc", mode=0o644)
    assert find_atc({}, system) is None


def test_a_folder_called_atc_is_no_atc(system):
    (system / "cann" / "bin" / "atc").mkdir(parents=True)
    assert find_atc({}, system) is None


def test_an_empty_variable_and_an_absent_path_name_nothing(system, tmp_path, monkeypatch):
    install(tmp_path / "bin" / "atc")
    monkeypatch.chdir(tmp_path)
    assert find_atc({"ASCEND_HOME_PATH": "", "HOME": ""}, system) is None


def test_the_script_that_sets_the_environment_is_found_with_it(system):
    install(system / "ascend-toolkit" / "latest" / "atc" / "bin" / "atc")
    script = install(system / "ascend-toolkit" / "set_env.sh")
    found = find_atc({}, system)
    assert found is not None
    assert found.environment_script == script
