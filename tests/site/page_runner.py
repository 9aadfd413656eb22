"""Runs the commands of a page as a reader would: in order, in one folder, in one environment.

A page that can be run has blocks of three kinds:

* ``sh``: commands.
* any block right below a line that holds a name in backticks and a colon: the text of that file.
* ``text`` behind commands: lines of what they print, in order.  Numbers are those of one run, so
  every number stands for any; blanks count once; ``...`` stands for the beginning of a line, and
  lines between those that are shown may be left out.

The first section is about installing, and is not run: the environment is given.

    python -m tests.site.page_runner docs/tutorial.md ENVIRONMENT FOLDER [NUMBER ...]

runs the sections of these numbers only: an environment without Caffe can go on where one with Caffe
has begun, in the same folder.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Dict, List, Optional, Sequence, Tuple

import attrs

INSTALL = "1. Install"
LIMIT = 600
_BLOCK = re.compile(r"(?:^`([^`\n]+)`:\n\n)?^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_NUMBER = re.compile(r"-?\d[\d,]*(\.\d+)?(e[-+]?\d+)?")


@attrs.frozen
class Step:
    """A file to write, or commands to run.

    Attributes:
        section: the heading above.
        text: of the file, or the commands.
        file: the file's name; None for commands.
        shown: what the page says that commands print; None: it does not say.
    """

    section: str
    text: str
    file: Optional[str] = None
    shown: Optional[str] = None

    def __str__(self) -> str:
        return self.file or self.text.strip().splitlines()[0]


def steps(page: Path) -> List[Step]:
    """Return the steps of a page, in order, without those of its section about installing."""
    found: List[Step] = []
    for section, body in sections(page.read_text(encoding="utf-8")):
        if section == INSTALL:
            continue
        for file, language, text in _BLOCK.findall(body):
            if file:
                found.append(Step(section, text, file))
            elif language == "sh":
                found.append(Step(section, text))
            elif language == "text":
                found[-1] = attrs.evolve(found[-1], shown=text)
            else:
                raise ValueError(f"{page}: a block of {language} is neither a file nor commands")
    return found


def files(page: Path) -> Dict[str, str]:
    """Return the files that a page holds, by name, in order."""
    found = _BLOCK.findall(page.read_text(encoding="utf-8"))
    return {file: text for file, _, text in found if file}


def install_plugin(page: Path, folder: Path) -> None:
    """Write the files of a page's plugin, and what installing them adds: the entry point."""
    for file, text in files(page).items():
        (folder / file).parent.mkdir(exist_ok=True)
        (folder / file).write_text(text, encoding="utf-8")
    project = (folder / "pyproject.toml").read_text(encoding="utf-8")
    line = project.partition("[project.entry-points.amct]\n")[2].splitlines()[0]
    information = folder / "my_amct_plugin-0.1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: my-amct-plugin\n")
    (information / "entry_points.txt").write_text("[amct]\n" + line.replace('"', "") + "\n")


def sections(text: str) -> List[Tuple[str, str]]:
    """Return the sections of the second level as pairs of heading and text."""
    parts = re.split(r"^## (.*)$", text, flags=re.MULTILINE)[1:]
    return list(zip(parts[::2], parts[1::2]))


def run(step: Step, folder: Path, environment: Path, variables: Dict[str, str]) -> None:
    """Take one step in ``folder``.

    Args:
        step: the step.
        folder: the reader's working folder.
        environment: a virtual environment; its programs come first on PATH.
        variables: to be set, beside those of this process or in place of them.

    Raises:
        AssertionError: a command failed, or printed something else than the page shows.
    """
    if step.file is not None:
        (folder / step.file).write_text(step.text, encoding="utf-8")
        return
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", step.text],
        cwd=folder,
        env=surroundings(environment, variables),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        timeout=LIMIT,
    )
    assert done.returncode == 0, f"{step}\nexit status {done.returncode}\n{done.stdout}"
    if step.shown is not None:
        missing = first_missing(step.shown, done.stdout)
        assert missing is None, f"{step}\nnothing like this was printed: {missing}\n{done.stdout}"


def surroundings(environment: Path, variables: Dict[str, str]) -> Dict[str, str]:
    """Return the variables of a shell in which the environment is activated."""
    # What other tests have set for Caffe's log is none of the reader's.
    foreign = ("PYTHON", "GLOG_", "AMCT_LOG")
    kept = {key: value for key, value in os.environ.items() if not key.startswith(foreign)}
    path = os.pathsep.join([str(environment / "bin"), kept.get("PATH", os.defpath)])
    return {**kept, "VIRTUAL_ENV": str(environment), "PATH": path, **variables}


def first_missing(shown: str, printed: str) -> Optional[str]:
    """Return the first line of ``shown`` that is not in what was printed behind the one before."""
    lines = iter([_plain(line) for line in printed.splitlines()])
    for line in shown.splitlines():
        wanted = _plain(line)
        if wanted.startswith("... "):
            matches = any(each.endswith(wanted[4:]) for each in lines)
        else:
            matches = any(each == wanted or each.startswith(wanted + " ") for each in lines)
        if not matches:
            return line
    return None


def _plain(line: str) -> str:
    return " ".join(_NUMBER.sub("0", line).split())


def main(arguments: Sequence[str]) -> int:
    """Run a page in an environment and a folder; return the exit status."""
    page, environment, folder = map(Path, arguments[:3])
    numbers = arguments[3:]
    for step in steps(page):
        if numbers and step.section.partition(".")[0] not in numbers:
            continue
        print(f"{step.section}: {step}", flush=True)
        run(step, folder.resolve(), environment.resolve(), {})
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
