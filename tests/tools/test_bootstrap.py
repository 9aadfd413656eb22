"""The set-up: which Python it takes, what it asks of uv, and what it tells where that fails.

The machine that runs these tests may have any Python.  So the script sees a PATH and a home of the
test's own, and programs there that stand in for uv and for the interpreters.
"""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from attrs import define

ROOT = Path(__file__).resolve().parents[2]

# Answers what the set-up asks of an interpreter: which version it is.  It makes environments, and
# its pip "installs" the uv that lies beside it as `uv-in-an-index`.
PYTHON = """\
case "$*" in
    -c*) echo "CPython {version}" ;;
    "-m venv "*)
        mkdir -p "$3/bin"
        cp "$0" "$3/bin/python"
        cp "$here/uv-in-an-index" "$3/bin" ;;
    "-m pip install "*) {pip} cp "$here/uv-in-an-index" "$here/uv" ;;
    "-m compileall "*) ;;
    *) exit 1 ;;
esac
"""

# Writes down what it is asked.  It may know an interpreter; it brings one, or says why it cannot.
# Files are where uv puts them, and as with uv, an interpreter that runs makes an environment.
UV = """\
echo "$@" >> "{folder}/asked"
case "$*" in
    "python find "*) test -n "{knows}" && echo "{knows}" ;;
    "python install "*)
        echo "$UV_HTTP_RETRIES" >> "{folder}/retries"
        pythons=${{UV_PYTHON_INSTALL_DIR:-$HOME/.local/share/uv/python}}
        mkdir -p "$pythons"
        touch "$pythons/.lock"
        if [ -e "{folder}/why-not" ]; then cat "{folder}/why-not" >&2; exit 1; fi
        bin=$pythons/cpython-3.9.25-linux-x86_64-gnu/bin
        mkdir -p "$bin"
        cp "{folder}/to-bring" "$bin/python3.9"
        if [ "$UV_PYTHON_INSTALL_BIN" != 0 ]; then mkdir -p "$HOME/.local/bin"; fi ;;
    "venv "*)
        "$5" -c "" && mkdir -p "$6/bin" && ln -s "$5" "$6/bin/python" ;;
esac
"""

# Runs a script as if another interpreter did: the real one may lie in a pyenv that has a 3.9.
AS_IF = """
import runpy, sys
sys.executable = sys.argv[1]
del sys.argv[:2]
runpy.run_path(sys.argv[0], run_name="__main__")
"""

NO_NETWORK = """\
warning: this is not why
error: Failed to install cpython-3.9.25-linux-x86_64-gnu
  cause: Request failed after 1 retry in 1.7s
  cause: Failed to download `https://example.org/cpython-3.9.25.tar.gz`
  cause: error sending request for url (https://example.org/cpython-3.9.25.tar.gz)
  cause: dns error
  cause: failed to lookup address information: Name or service not known"""


@define
class Machine:
    """A folder that holds all that the set-up can see: a checkout, a PATH, a home."""

    folder: Path

    @property
    def checkout(self) -> Path:
        return self.folder / "checkout"

    @property
    def brought(self) -> Path:
        return self.checkout / ".uv/python/cpython-3.9.25-linux-x86_64-gnu/bin/python3.9"

    @property
    def environment(self) -> Path:
        return self.checkout / ".venv"

    def program(self, path: str, source: str) -> Path:
        """Make a program of ``source``, a shell script that knows the folder it lies in."""
        result = self.folder / path
        result.parent.mkdir(parents=True, exist_ok=True)
        head = '#!/bin/sh\nPATH=/usr/bin:/bin\nhere=$(dirname "$0")\n'
        result.write_text(head + source)
        result.chmod(0o755)
        return result

    def python(self, path: str, version: str, pip: str = "") -> Path:
        return self.program(path, PYTHON.format(version=version, pip=pip))

    def uv(self, path: str = "bin/uv", knows: str = "") -> Path:
        return self.program(path, UV.format(folder=self.folder, knows=knows))

    def without_network(self) -> None:
        """Let uv say what it says where it reaches no host."""
        (self.folder / "why-not").write_text(NO_NETWORK)

    def files(self) -> list[Path]:
        return sorted(path for path in self.checkout.rglob("*") if not path.is_dir())

    def asked(self) -> list[str]:
        """Return what uv was asked, other than its version."""
        lines = (self.folder / "asked").read_text().splitlines()
        return [line for line in lines if line != "--version"]

    def asked_to_download(self) -> bool:
        return any(line.startswith("python install ") for line in self.asked())

    def set_up(self, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run the set-up as `make setup` does, with the ``python3`` of PATH."""
        environment = {"PATH": str(self.folder / "bin"), "HOME": str(self.folder / "home")}
        environment.update(variables)
        python = shutil.which("python3", path=environment["PATH"])
        script = self.checkout / "tools/bootstrap.py"
        command = [sys.executable, "-c", AS_IF, str(python), str(script), "3.9", ".venv"]
        return subprocess.run(
            command, env=environment, cwd=self.checkout, text=True, capture_output=True, check=False
        )


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """Return a machine with a newer Python and no 3.9, whose pip finds a uv."""
    needed = ["tools/bootstrap.py", "requirements/dev.txt", "requirements/uv.txt", "pyproject.toml"]
    needed += ["meta/pyproject.toml"]
    needed += [str(path.relative_to(ROOT)) for path in ROOT.glob("plugins/*/pyproject.toml")]
    for path in needed:
        target = tmp_path / "checkout" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / path, target)
    (tmp_path / "home").mkdir()
    machine = Machine(tmp_path)
    machine.python("bin/python3", "3.14")
    machine.python("bin/python3.14", "3.14")
    machine.python("to-bring", "3.9")
    machine.uv("bin/uv-in-an-index")
    return machine


def test_uv_is_asked_for_a_python_that_is_missing(machine: Machine) -> None:
    machine.uv()
    done = machine.set_up()
    assert done.returncode == 0, done.stderr
    assert "python install --no-config 3.9" in machine.asked()
    assert (machine.environment / "bin/python").resolve() == machine.brought


def test_the_set_up_says_in_one_line_what_it_brings_and_how_to_prevent_it(machine: Machine) -> None:
    machine.uv()
    first, second = machine.set_up().stderr.splitlines()
    for words in ("CPython 3.9 was not found", ".uv/python", "AMCT_PYTHON_DOWNLOADS=never"):
        assert words in first
    assert second == f"making .venv with {machine.brought}"


def test_nothing_is_brought_into_the_home(machine: Machine) -> None:
    machine.uv()
    machine.set_up()
    assert list((machine.folder / "home").iterdir()) == []


def test_pip_installs_uv_first_where_there_is_none(machine: Machine) -> None:
    done = machine.set_up()
    assert done.returncode == 0, done.stderr
    assert (machine.checkout / ".uv/bin/uv").exists()
    assert (machine.environment / "bin/python").resolve() == machine.brought


def test_make_clean_removes_what_was_brought(machine: Machine) -> None:
    machine.uv()
    machine.set_up()
    shutil.copy(ROOT / "Makefile", machine.checkout)
    subprocess.run(["make", "clean"], cwd=machine.checkout, check=True, capture_output=True)
    assert not machine.brought.exists()


@pytest.mark.parametrize(
    ("place", "variables"),
    [
        ("bin/python3.9", {}),
        ("home/.pyenv/versions/3.9.18/bin/python3.9", {}),
        ("pyenv/versions/3.9.18/bin/python3.9", {"PYENV_ROOT": "{folder}/pyenv"}),
    ],
    ids=["on PATH", "in pyenv's usual folder", "in PYENV_ROOT"],
)
def test_a_python_that_is_there_is_preferred(
    machine: Machine, place: str, variables: dict[str, str]
) -> None:
    machine.uv()
    there = machine.python(place, "3.9")
    expanded = {name: text.format(folder=machine.folder) for name, text in variables.items()}
    done = machine.set_up(**expanded)
    assert done.stderr == f"making .venv with {there}\n"
    assert not machine.asked_to_download()


def test_a_python_beside_the_running_one_is_preferred(machine: Machine) -> None:
    machine.uv()
    machine.python("pyenv/versions/3.14.0/bin/python3", "3.14")
    there = machine.python("pyenv/versions/3.9.18/bin/python3.9", "3.9")
    done = machine.set_up(PATH=f"{machine.folder}/pyenv/versions/3.14.0/bin:{machine.folder}/bin")
    assert done.stderr == f"making .venv with {there}\n"


@pytest.mark.parametrize("place", ["bin/uv", "bin/uv-in-an-index"])
def test_a_python_that_uv_knows_is_preferred(machine: Machine, place: str) -> None:
    there = machine.python("home/.local/share/uv/python/cpython-3.9/bin/python3.9", "3.9")
    machine.uv(place, knows=str(there))
    done = machine.set_up()
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines()[-1] == f"making .venv with {there}"
    assert not machine.asked_to_download()


def test_a_python_that_does_not_run_or_is_another_is_not_taken(machine: Machine) -> None:
    machine.uv()
    machine.program("bin/python3.9", "echo 'pyenv: python3.9: command not found' >&2; exit 127")
    machine.python("home/.pyenv/versions/3.9.18/bin/python3.9", "3.8")
    done = machine.set_up()
    assert done.returncode == 0, done.stderr
    assert (machine.environment / "bin/python").resolve() == machine.brought


def test_never_keeps_the_set_up_from_downloading(machine: Machine) -> None:
    machine.uv()
    done = machine.set_up(AMCT_PYTHON_DOWNLOADS="never")
    assert done.returncode == 1
    assert done.stderr == (
        "CPython 3.9 was not found: not by uv, not in pyenv's versions, not on PATH.\n"
        "Install it with one of\n"
        "    uv python install 3.9\n"
        "    pyenv install 3.9\n"
        "    your system's package manager (package python3.9 with its venv module)\n"
        "and run the command again.\n"
    )
    assert not machine.asked_to_download()
    assert not (machine.checkout / ".uv").exists()


def test_never_takes_what_was_brought_before(machine: Machine) -> None:
    machine.uv()
    machine.set_up()
    shutil.rmtree(machine.environment)
    done = machine.set_up(AMCT_PYTHON_DOWNLOADS="never")
    assert done.stderr == f"making .venv with {machine.brought}\n"


def test_a_download_that_fails_tells_why_and_what_to_install(machine: Machine) -> None:
    machine.uv()
    machine.without_network()
    done = machine.set_up()
    assert done.returncode == 1
    assert done.stderr.splitlines()[1:] == [
        "CPython 3.9 was not found, and uv could not bring it:",
        "    error: Failed to install cpython-3.9.25-linux-x86_64-gnu",
        "      cause: Request failed after 1 retry in 1.7s",
        "      cause: Failed to download `https://example.org/cpython-3.9.25.tar.gz`",
        "      cause: failed to lookup address information: Name or service not known",
        "Install it with one of",
        "    pyenv install 3.9",
        "    your system's package manager (package python3.9 with its venv module)",
        "or tell uv of your proxy (HTTPS_PROXY) or mirror (UV_PYTHON_INSTALL_MIRROR),",
        "and run the command again.",
    ]


def test_a_download_that_fails_leaves_all_as_it_was(machine: Machine) -> None:
    machine.uv()
    machine.without_network()
    (machine.environment / "bin").mkdir(parents=True)
    (machine.environment / "bin/python").write_text("of an older lock")
    before = machine.files()
    assert machine.set_up().returncode == 1
    assert machine.files() == before


def test_a_brought_python_that_does_not_run_is_reported(machine: Machine) -> None:
    machine.uv()
    machine.program("to-bring", "exit 1")
    done = machine.set_up()
    assert done.returncode == 1
    assert "    what it installed is not in .uv/python, or does not run\n" in done.stderr
    assert not machine.environment.exists()


def test_uv_itself_says_why_it_cannot_download(machine: Machine) -> None:
    """The words of the real uv, which is told that there is no network."""
    uv = Path(sys.executable).with_name("uv")
    if not uv.exists():
        pytest.skip("uv is not installed beside this Python")
    (machine.folder / "bin/uv").symlink_to(uv)
    done = machine.set_up(UV_OFFLINE="1", UV_CACHE_DIR=str(machine.folder / "cache"))
    assert done.returncode == 1
    lines = done.stderr.splitlines()
    assert lines[2].startswith("    error: Failed to install cpython-3.9.")
    assert any("Network connectivity is disabled" in line for line in lines)
    assert max(map(len, lines)) <= 124
    assert not (machine.checkout / ".uv/python").exists()


def test_pip_that_finds_no_uv_is_reported(machine: Machine) -> None:
    machine.python("bin/python3", "3.14", pip="echo 'ERROR: no index' >&2; exit 2;")
    done = machine.set_up()
    assert done.returncode == 1
    first, second, third, *_ = done.stderr.splitlines()
    assert first.startswith("CPython 3.9 was not found")
    assert second == "ERROR: no index"
    assert third.startswith("pip could not install uv")


def test_what_was_brought_makes_the_next_environment_too(machine: Machine) -> None:
    """Even where the old one is activated, so that its Python and uv are the first on PATH."""
    machine.uv()
    machine.set_up()
    machine.python("checkout/.venv/bin/python3", "3.9")
    machine.python("checkout/.venv/bin/python3.9", "3.9")
    machine.uv("checkout/.venv/bin/uv")
    (machine.checkout / "requirements/dev.txt").write_text("# another lock\n")
    done = machine.set_up(PATH=f"{machine.environment}/bin:{machine.folder}/bin")
    assert done.returncode == 0
    assert done.stderr == f"making .venv with {machine.brought}\n"


def test_uv_is_not_asked_for_an_environment(machine: Machine) -> None:
    """Without --system, the real uv finds the environment that is about to be removed."""
    machine.uv()
    machine.set_up()
    found = [words for words in machine.asked() if words.startswith("python find")]
    assert found
    assert all("--system" in words for words in found)


def test_nothing_is_asked_when_nothing_changed(machine: Machine) -> None:
    machine.uv()
    machine.set_up()
    before = machine.asked()
    done = machine.set_up()
    assert (done.returncode, done.stderr) == (0, "")
    assert machine.asked() == before


def test_an_environment_whose_python_is_gone_is_made_again(machine: Machine) -> None:
    machine.uv()
    machine.set_up()
    shutil.rmtree(machine.checkout / ".uv")
    done = machine.set_up()
    assert done.returncode == 0, done.stderr
    assert machine.brought.exists()


@pytest.mark.parametrize(("variables", "retries"), [({}, "1"), ({"UV_HTTP_RETRIES": "5"}, "5")])
def test_a_host_that_does_not_answer_costs_no_minutes(
    machine: Machine, variables: dict[str, str], retries: str
) -> None:
    """uv waits 10 to 30 seconds for an answer; by itself it tries three times more."""
    machine.uv()
    machine.set_up(**variables)
    assert (machine.folder / "retries").read_text().split() == [retries]


def test_the_script_is_valid_python_3_6() -> None:
    ast.parse((ROOT / "tools/bootstrap.py").read_text(), feature_version=(3, 6))
