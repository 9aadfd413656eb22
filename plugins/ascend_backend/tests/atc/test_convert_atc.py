"""What becomes of the output in every way in which ``atc`` can end."""

from __future__ import annotations

import io
import os
import signal
import stat
from pathlib import Path

import attrs
import pytest

from amct_core.errors import AmctError, EnvironmentUnsuitableError
from ascend_backend.atc.command import arguments
from ascend_backend.atc.convert import ConversionError, convert
from ascend_backend.atc.run import run as run_program


@pytest.fixture
def run(saved, atc, acts):
    """Return a function that converts with a stand-in that acts as told."""

    def run(what, conversion=None, timeout=None):
        acts(what)
        echoed = []
        made = convert(
            conversion or saved.conversion(),
            atc,
            f"{saved.prefix}.atc.log",
            echoed.append,
            timeout,
        )
        return Path(made), b"".join(echoed).decode()

    return run


def test_success_leaves_the_om_and_the_log_and_nothing_else(run, saved):
    made, echoed = run("success")
    assert made == Path(f"{saved.prefix}.om")
    assert made.read_text() == f"compiled from {saved.model.read_text()}"
    assert saved.files() == {"net.om", "net.atc.log"}
    assert "ATC run success" in echoed


def test_the_log_holds_the_command_and_all_that_was_streamed(run, saved, atc):
    _, echoed = run("success")
    first, rest = Path(f"{saved.prefix}.atc.log").read_text().split("\n", 1)
    assert first.startswith(str(atc.path))
    assert rest
    assert echoed.startswith(rest)


def test_a_warning_of_a_successful_run_is_explained(run):
    _, echoed = run("success")
    assert "W11001: A layer has no implementation of high performance" in echoed


def test_an_existing_om_is_replaced_by_success(run, saved):
    Path(f"{saved.prefix}.om").write_text("old")
    made, _ = run("success")
    assert made.read_text().startswith("compiled")


def test_a_name_with_system_and_architecture_is_kept(run, saved):
    made, _ = run("named for a system")
    assert made.name == "net_linux_x86_64.om"
    assert saved.files() == {made.name, "net.atc.log"}


def test_external_weights_join_those_of_other_models(run, saved):
    (saved.folder / "weight").mkdir()
    (saved.folder / "weight" / "of another").write_text("kept")
    run("external weights")
    names = {path.name for path in (saved.folder / "weight").iterdir()}
    assert names == {"of another", "weight_1"}


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("refusal", r"exit status 255(?s:.*)E11009: .*'amct lint'(?s:.*)E19999: "),
        ("refusal without a code", r"exit status 1\..*no error code"),
        ("crash", "signal 11"),
        ("crash behind a shell script", "signal 11"),
        ("no output", "it made none"),
        ("empty output", "it made an empty one"),
    ],
)
def test_failure_says_why_and_leaves_the_old_om(run, saved, what, message):
    Path(f"{saved.prefix}.om").write_text("old")
    with pytest.raises(ConversionError, match=message):
        run(what)
    assert Path(f"{saved.prefix}.om").read_text() == "old"
    assert saved.files() == {"net.om", "net.atc.log"}


def test_a_missing_library_points_at_the_environment_script(run, atc, saved):
    with pytest.raises(EnvironmentUnsuitableError, match=r"source .*set_env\.sh"):
        run("library missing")
    assert saved.files() == {"net.atc.log"}


def test_a_program_for_another_machine_is_named(run, atc):
    atc.path.write_bytes(b"\x7fELF of something else")
    with pytest.raises(EnvironmentUnsuitableError, match="cannot be started"):
        run("success")


@pytest.mark.usefixtures("from_its_start_on")
def test_the_time_limit_ends_atc_and_its_children(run, saved, processes):
    with pytest.raises(ConversionError, match=r"'--timeout'.*not ended after 0\.1 seconds"):
        run("hang", timeout=0.1)
    assert processes.gone()
    assert saved.files() == {"net.atc.log"}


@pytest.mark.usefixtures("from_its_start_on")
def test_an_atc_that_does_not_end_when_asked_is_killed(saved, atc, acts, processes):
    acts("hang and ignore SIGTERM")
    command = arguments(saved.conversion(), str(atc.path))
    outcome = run_program(command, io.BytesIO(), lambda line: None, timeout=0.1, grace=0.2)
    assert (outcome.status, outcome.timed_out) == (-signal.SIGKILL, True)
    assert processes.gone()


def test_a_child_left_behind_by_a_successful_atc_is_ended(run, processes):
    made, _ = run("leaves a child")
    assert made.read_text() == "compiled"
    assert processes.gone()


def test_extra_options_arrive_as_they_are_and_behind_the_own_ones(run, saved, received):
    extra = ("--log=info", "--out_nodes=a:0;b:1", "-x", "$HOME `id` \"'*", "", "--precision_mode")
    run("success", saved.conversion(*extra))
    arguments = received()["arguments"]
    assert tuple(arguments[-len(extra) :]) == extra
    own = [argument.split("=")[0] for argument in arguments[: -len(extra)]]
    assert own == [
        "--model",
        "--weight",
        "--framework",
        "--output",
        "--soc_version",
        "--input_shape",
    ]


def test_atc_runs_where_the_user_is(run, received, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run("success")
    assert received()["folder"] == str(tmp_path)


def test_paths_with_spaces_arrive_whole(run, save, tmp_path):
    saved = save(tmp_path / "a folder; with 'odd' names")
    made, _ = run("success", saved.conversion())
    assert made == Path(f"{saved.prefix}.om")


def test_a_folder_that_does_not_exist_is_made(run, saved):
    output = saved.folder / "deep" / "er" / "net"
    made, _ = run("success", attrs.evolve(saved.conversion(), output=str(output)))
    assert made == Path(f"{output}.om")


def test_an_output_below_a_file_is_an_error_and_atc_is_not_run(run, saved, received):
    output = saved.model / "net"
    with pytest.raises(AmctError, match="cannot be written"):
        run("success", attrs.evolve(saved.conversion(), output=str(output)))
    with pytest.raises(FileNotFoundError):
        received()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_an_output_in_a_folder_without_permission_is_an_error(run, saved):
    saved.folder.chmod(stat.S_IRUSR | stat.S_IXUSR)
    try:
        with pytest.raises(AmctError, match=r"cannot be written: Permission denied"):
            run("success")
    finally:
        saved.folder.chmod(stat.S_IRWXU)


def test_an_om_that_cannot_take_its_place_is_an_error(run, saved):
    Path(f"{saved.prefix}.om").mkdir()
    with pytest.raises(AmctError, match="cannot be written"):
        run("success")
    assert saved.files() == {"net.om", "net.atc.log"}


def test_a_log_that_cannot_be_written_is_an_error(saved, atc):
    with pytest.raises(AmctError, match=r"cannot be written"):
        convert(saved.conversion(), atc, str(saved.folder), lambda line: None)


def test_a_terminal_that_goes_away_ends_atc(saved, atc, acts, processes):
    def closed(line):
        raise BrokenPipeError(32, "Broken pipe")

    acts("hang")
    with pytest.raises(AmctError, match="Broken pipe"):
        convert(saved.conversion(), atc, f"{saved.prefix}.atc.log", closed, 60)
