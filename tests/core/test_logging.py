"""Logging: levels from the environment, the console, and the log file."""

from __future__ import annotations

import logging
import os
import re
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import amct_core
from amct_core import logging as amct_logging

LINE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} - (\w+) - \[AMCT\]:\[([^]]+)\]: (.*)")
REPOSITORY = Path(amct_core.__file__).parents[1]


def run(code: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run ``code`` in a process of its own: handlers and umask belong to a process."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("AMCT_LOG")}
    kept["PYTHONPATH"] = os.pathsep.join([str(REPOSITORY), kept.get("PYTHONPATH", "")])
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=cwd,
        env={**kept, **environment},
        capture_output=True,
        text=True,
        check=True,
    )


LOG_ALL_LEVELS = """
import logging
from amct_core.logging import configure
configure()
log = logging.getLogger("amct_caffe.somewhere")
for level in ("debug", "info", "warning", "error"):
    getattr(log, level)("a %s record", level)
"""


def levels_in(text: str) -> list[str]:
    return [match[1] for match in LINE.finditer(text)]


def log_text(folder: Path) -> str:
    return (folder / "amct_log" / "amct_caffe.log").read_text(encoding="utf-8")


@pytest.fixture
def unconfigured() -> Iterator[None]:
    """Put our loggers into the state that a fresh process has, and back."""
    loggers = [logging.getLogger(name) for name in amct_logging.LOGGERS]
    before = [(log.handlers[:], log.level, log.propagate) for log in loggers]
    for log in loggers:
        log.handlers[:], log.propagate = [], True
        log.setLevel(logging.NOTSET)
    yield
    for log, (handlers, level, propagate) in zip(loggers, before):
        for handler in set(log.handlers) - set(handlers):
            handler.close()
        log.handlers[:], log.propagate = handlers, propagate
        log.setLevel(level)


class TestLevels:
    def test_both_are_info_by_default(self) -> None:
        assert amct_logging.levels({}) == amct_logging.Levels(logging.INFO, logging.INFO, ())

    @pytest.mark.parametrize("name", ["DEBUG", "INFO", "WARNING", "ERROR"])
    def test_case_does_not_matter(self, name: str) -> None:
        for spelling in (name, name.lower(), name.capitalize(), f" {name} "):
            found = amct_logging.levels({"AMCT_LOG_LEVEL": spelling})
            assert found == amct_logging.Levels(getattr(logging, name), logging.INFO, ())

    def test_each_variable_chooses_its_own_destination(self) -> None:
        found = amct_logging.levels({"AMCT_LOG_LEVEL": "error", "AMCT_LOG_FILE_LEVEL": "debug"})
        assert (found.console, found.file) == (logging.ERROR, logging.DEBUG)

    @pytest.mark.parametrize("variable", ["AMCT_LOG_LEVEL", "AMCT_LOG_FILE_LEVEL"])
    @pytest.mark.parametrize("value", ["VERBOSE", "10", "CRITICAL"])
    def test_an_unknown_value_is_one_complaint_that_names_variable_and_choices(
        self, variable: str, value: str
    ) -> None:
        found = amct_logging.levels({variable: value})
        assert (found.console, found.file) == (logging.INFO, logging.INFO)
        (complaint,) = found.complaints
        for word in (variable, value, "DEBUG", "INFO", "WARNING", "ERROR"):
            assert word in complaint


class TestConfigure:
    def test_console_and_file_follow_their_own_levels(self, tmp_path: Path) -> None:
        done = run(LOG_ALL_LEVELS, tmp_path, AMCT_LOG_LEVEL="warning", AMCT_LOG_FILE_LEVEL="DEBUG")
        assert done.stdout == ""
        assert levels_in(done.stderr) == ["WARNING", "ERROR"]
        assert levels_in(log_text(tmp_path)) == ["DEBUG", "INFO", "WARNING", "ERROR"]

    def test_every_line_has_the_format_of_amct(self, tmp_path: Path) -> None:
        done = run(LOG_ALL_LEVELS, tmp_path)
        assert all(LINE.fullmatch(line) for line in done.stderr.splitlines())
        assert log_text(tmp_path) == done.stderr

    def test_the_module_of_a_line_is_the_one_that_logged(self, tmp_path: Path) -> None:
        (tmp_path / "searching.py").write_text(
            "import logging\ndef go():\n    logging.getLogger('amct.third_party').info('hello')\n"
        )
        code = (
            "from amct_core.logging import configure\nconfigure()\nimport searching\nsearching.go()"
        )
        assert "INFO - [AMCT]:[searching]: hello" in run(code, tmp_path).stderr

    def test_a_second_call_repeats_nothing_and_empties_nothing(self, tmp_path: Path) -> None:
        done = run(LOG_ALL_LEVELS + "configure()\nlog.info('last')", tmp_path)
        assert levels_in(done.stderr) == ["INFO", "WARNING", "ERROR", "INFO"]
        assert levels_in(log_text(tmp_path)) == ["INFO", "WARNING", "ERROR", "INFO"]

    def test_a_new_process_starts_an_empty_file(self, tmp_path: Path) -> None:
        run(LOG_ALL_LEVELS, tmp_path)
        run(LOG_ALL_LEVELS, tmp_path)
        assert levels_in(log_text(tmp_path)) == ["INFO", "WARNING", "ERROR"]

    def test_importing_makes_no_folder(self, tmp_path: Path) -> None:
        run("import amct_core.logging", tmp_path)
        assert list(tmp_path.iterdir()) == []

    def test_the_file_appears_with_the_first_record_that_is_for_it(self, tmp_path: Path) -> None:
        configured = "from amct_core.logging import configure; configure()\nimport logging\n"
        quiet = "logging.getLogger('amct_core.x').debug('not for it')"
        run(configured + quiet, tmp_path)
        assert list(tmp_path.iterdir()) == []
        run(configured + quiet.replace("debug", "info"), tmp_path)
        assert "not for it" in log_text(tmp_path)

    def test_a_variable_moves_the_folder(self, tmp_path: Path) -> None:
        run(LOG_ALL_LEVELS, tmp_path, AMCT_LOG_DIR=str(tmp_path / "else/where"))
        assert not (tmp_path / "amct_log").exists()
        assert levels_in((tmp_path / "else/where/amct_caffe.log").read_text()) == [
            "INFO",
            "WARNING",
            "ERROR",
        ]

    def test_who_has_a_handler_of_their_own_decides(self, tmp_path: Path) -> None:
        code = """
import logging
from amct_core.logging import configure_for_script
logging.getLogger("amct_core").addHandler(logging.NullHandler())
configure_for_script()
logging.getLogger("amct_caffe.x").error("heard by nobody of ours")
"""
        run(code, tmp_path)
        assert list(tmp_path.iterdir()) == []

    def test_a_command_shows_warnings_until_it_configures(self, tmp_path: Path) -> None:
        code = """
import logging
from amct_core.logging import configure, leave_to_command
log = logging.getLogger("amct_core.x")
leave_to_command()
log.warning("plain")
log.info("not shown")
configure()
log.warning("once")
"""
        done = run(code, tmp_path)
        assert done.stderr.splitlines()[0] == "plain"
        assert done.stderr.count("once") == 1
        assert "not shown" not in done.stderr

    def test_folder_and_file_modes(self, tmp_path: Path) -> None:
        run("import os; os.umask(0)\n" + LOG_ALL_LEVELS, tmp_path)
        folder = tmp_path / "amct_log"
        assert stat.S_IMODE(folder.stat().st_mode) == 0o750
        assert stat.S_IMODE((folder / "amct_caffe.log").stat().st_mode) == 0o640

    def test_an_unknown_level_is_one_warning(self, tmp_path: Path) -> None:
        done = run(LOG_ALL_LEVELS + "configure()", tmp_path, AMCT_LOG_LEVEL="loud")
        (first, *rest) = done.stderr.splitlines()
        assert "WARNING" in first and "AMCT_LOG_LEVEL is 'loud'" in first
        assert [LINE.fullmatch(line)[1] for line in rest] == ["INFO", "WARNING", "ERROR"]  # type: ignore[index]

    def test_where_the_file_cannot_be_written_the_console_goes_on(self, tmp_path: Path) -> None:
        (tmp_path / "amct_log").write_text("a file where the folder should be")
        done = run(LOG_ALL_LEVELS, tmp_path)
        assert levels_in(done.stderr) == ["WARNING", "INFO", "WARNING", "ERROR"]
        assert str(tmp_path / "amct_log" / "amct_caffe.log") in done.stderr

    def test_a_program_with_a_console_of_its_own_sees_each_record_once(
        self, tmp_path: Path
    ) -> None:
        code = "import logging; logging.basicConfig(level='INFO')\n" + LOG_ALL_LEVELS
        assert run(code, tmp_path).stderr.count("a warning record") == 1

    def test_so_it_does_where_it_sets_its_console_up_later(self, tmp_path: Path) -> None:
        late = "configure()\nlogging.basicConfig(level='INFO')\n"
        code = LOG_ALL_LEVELS.replace("configure()\n", late, 1)
        assert run(code, tmp_path).stderr.count("a warning record") == 1

    def test_a_log_file_of_the_program_still_gets_our_records(self, tmp_path: Path) -> None:
        code = "import logging; logging.basicConfig(filename='own.log')\n" + LOG_ALL_LEVELS
        assert run(code, tmp_path).stderr.count("a warning record") == 1
        assert "a warning record" in (tmp_path / "own.log").read_text()

    def test_the_root_logger_is_left_alone(self, tmp_path: Path) -> None:
        code = LOG_ALL_LEVELS + "print(logging.root.handlers, logging.root.level)"
        assert run(code, tmp_path).stdout == f"[] {logging.WARNING}\n"

    def test_the_console_is_the_standard_error_of_the_moment(
        self,
        unconfigured: None,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        monkeypatch.chdir(tmp_path)
        amct_logging.configure()
        logging.getLogger("ascend_backend.x").error("captured")
        assert "captured" in capsys.readouterr().err


def test_a_record_may_name_the_module_of_amct_that_would_have_said_it(tmp_path: Path) -> None:
    code = """
import logging
from amct_core.logging import configure, said_by
configure()
log = logging.getLogger("amct_core.somewhere")
log.info("The model_file is saved in m", extra=said_by("Utils"))
log.info("our own")
"""
    for text in (run(code, tmp_path).stderr, log_text(tmp_path)):
        said = [match.groups() for match in LINE.finditer(text)]
        assert said[0] == ("INFO", "Utils", "The model_file is saved in m")
        assert said[1] == ("INFO", "<string>", "our own")
