"""The tutorial's commands do what the page says."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.site import page_runner
from tests.site.page_runner import Step

PAGE = Path(__file__).resolve().parents[2] / "docs/tutorial.md"
STEPS = page_runner.steps(PAGE)
SAID = "line one 1.5\n2026-01-02 - INFO - layer 'a': 17 of 300\nlast\n"


@pytest.mark.caffe
@pytest.mark.slow
@pytest.mark.needs("hdf5_data")
def test_every_step_does_what_the_page_says(tmp_path: Path) -> None:
    environment = Path(sys.prefix)
    for step in STEPS:
        page_runner.run(step, tmp_path, environment, {"HOME": str(tmp_path)})
    assert (tmp_path / "qat/result/model_atc_bundle.tar.gz").is_file()


def test_every_block_of_the_page_is_a_step_or_what_one_prints() -> None:
    blocks = PAGE.read_text(encoding="utf-8").count("\n```") // 2
    of_install = 2
    assert len(STEPS) + sum(step.shown is not None for step in STEPS) + of_install == blocks
    assert [step.file for step in STEPS if step.file][:2] == ["make_data.py", "digits.prototxt"]


def test_nothing_of_the_checkout_is_used() -> None:
    for step in STEPS:
        assert "/work" not in step.text and "../" not in step.text


@pytest.mark.parametrize(
    "shown", ["line one 2.5\nlast", "... layer 'a': 3 of 4", "line  one 7", "last", ""]
)
def test_numbers_blanks_and_what_is_left_out_do_not_matter(shown: str) -> None:
    assert page_runner.first_missing(shown, SAID) is None


@pytest.mark.parametrize(
    ("shown", "missing"),
    [
        ("line two 1.5", "line two 1.5"),
        ("last\nline one 1.5", "line one 1.5"),
        ("... layer 'b': 17 of 300", "... layer 'b': 17 of 300"),
        ("las", "las"),
    ],
)
def test_other_words_and_another_order_do(shown: str, missing: str) -> None:
    assert page_runner.first_missing(shown, SAID) == missing


def test_a_command_that_fails_is_told_with_what_it_printed(tmp_path: Path) -> None:
    step = Step("2. Data", "echo before\nfalse\necho behind\n")
    with pytest.raises(AssertionError, match=r"exit status 1\nbefore\n$"):
        page_runner.run(step, tmp_path, Path(sys.prefix), {})


def test_commands_find_the_programs_of_the_environment_and_no_path_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", "somewhere")
    (tmp_path / "bin").mkdir()
    tool = tmp_path / "bin" / "amct"
    tool.write_text('#!/bin/sh\necho "path ${PYTHONPATH-unset}"\n')
    tool.chmod(0o755)
    page_runner.run(Step("2. Data", "amct\n", shown="path unset\n"), tmp_path, tmp_path, {})


def test_sections_can_be_chosen_by_number(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "page.md"
    file = "`{0}`:\n\n```text\n{0}\n```\n"
    page.write_text(
        "## 1. Install\n\n```sh\nfalse\n```\n\n"
        f"## 2. A\n\n{file.format('a')}\n## 3. B\n\n{file.format('b')}"
    )
    assert page_runner.main([str(page), sys.prefix, str(tmp_path), "3"]) == 0
    assert sorted(file.name for file in tmp_path.iterdir()) == ["b", "page.md"]
    assert capsys.readouterr().out == "3. B: b\n"
