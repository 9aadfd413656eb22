"""What the pages quote is right: commands and their options exist, and Python compiles."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Iterator, List, NamedTuple

import click
import numpy as np
import pytest

from amct_core.cli.group import CommandGroup
from amct_core.cli.main import cli
from tests.site import page_runner

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
_BLOCK = re.compile(r"^( *)```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
STARTERS = {"mpiexec", "time"}


class Snippet(NamedTuple):
    """A block of a page, and its language."""

    page: Path
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def snippets() -> Iterator[Snippet]:
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for found in _BLOCK.finditer(text):
            line = text.count("\n", 0, found.start()) + 1
            yield Snippet(page, line, found[2], textwrap.dedent(found[3]))


ALL = list(snippets())
PYTHON = [each for each in ALL if each.language == "python" and ">>> " not in each.text]
SHELL = [each for each in ALL if each.language in ("sh", "")]


def calls(text: str) -> Iterator[List[str]]:
    """Yield the words behind each call of ``amct`` in lines of a shell."""
    for line in text.replace("\\\n", " ").splitlines():
        if not re.search(r"\bamct ", line) or line.startswith((" ", "(", "usage")):
            continue
        words = shlex.split(line, comments=True)
        if "amct" in words and is_call(words[: words.index("amct")]):
            yield words[words.index("amct") + 1 :]


def is_call(before: List[str]) -> bool:
    """Return whether what stands before a word makes it the command of its line."""
    return not before or before[0] in STARTERS or all("=" in word for word in before)


def refused(words: List[str]) -> str:
    """Return why ``amct`` does not take these words; empty: it does, as far as they go."""
    command: click.Command = cli
    context = click.Context(cli, info_name="amct")
    while isinstance(command, CommandGroup):
        if not words or words[0].startswith("-"):
            return "" if words in ([], ["--help"], ["--version"]) else f"no command: {words}"
        name, *words = words
        found = command.get_command(context, name)
        if found is None:
            return f"no command '{name}'"
        command, context = found, click.Context(found, parent=context, info_name=name)
    if "..." in words or "…" in words:
        return ""
    try:
        command.make_parser(context).parse_args(list(words))
    except click.UsageError as error:
        return error.format_message()
    return ""


def test_every_command_that_a_page_shows_is_one() -> None:
    found = [(str(each), words) for each in SHELL for words in calls(each.text)]
    assert len(found) > 50
    assert [(place, words, why) for place, words in found for why in [refused(words)] if why] == []


@pytest.mark.parametrize(
    "words", [["qat", "runn"], ["lint", "x", "--soc"], ["atc", "x", "--chip=y"], ["nothing"]]
)
def test_one_that_is_not_would_be_noticed(words: List[str]) -> None:
    assert refused(words)


@pytest.mark.parametrize("snippet", PYTHON, ids=str)
def test_python_compiles(snippet: Snippet) -> None:
    compile(snippet.text, str(snippet), "exec")


@pytest.mark.parametrize("snippet", [s for s in ALL if s.language == "json"], ids=str)
def test_json_is_json(snippet: Snippet) -> None:
    json.loads(snippet.text)


CODE = """
import caffe
net = caffe.Net("net.prototxt", caffe.TRAIN)
for _ in range(3):
    net.forward()
print(net.blobs["data"].data.shape, net.blobs["label"].data.tolist())
"""


@pytest.mark.caffe
def test_the_data_layer_of_the_how_to_runs_in_caffe(tmp_path: Path) -> None:
    page = (ROOT / "docs/how-to/data-layers.md").read_text(encoding="utf-8")
    blocks = [each for each in ALL if each.page.name == "data-layers.md"]
    layer = next(each.text for each in blocks if "class Batches" in each.text)
    network = next(each.text for each in blocks if each.text.startswith("layer {"))
    assert "`my_data.py`:" in page
    (tmp_path / "my_data.py").write_text(layer)
    (tmp_path / "net.prototxt").write_text(network.replace("train.npz 64", "train.npz 4"))
    np.savez(tmp_path / "train.npz", data=np.zeros((10, 1, 8, 8)), label=np.arange(10))
    environment = page_runner.surroundings(Path(sys.prefix), {"PYTHONPATH": "."})
    done = subprocess.run(
        [sys.executable, "-c", CODE], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    # The third batch begins behind the second and goes on with the first samples.
    assert done.stdout == "(4, 1, 8, 8) [8.0, 9.0, 0.0, 1.0]\n", done.stderr
