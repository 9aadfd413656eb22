"""What the pages show runs: commands and Python, page by page, on the network of the tutorial.

Names on the pages stand for networks of the reader's; here they are other names of the tutorial's.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Dict, List, Tuple

import numpy as np
import pytest

from tests.site import page_runner
from tests.site.test_snippets import ALL, ROOT, calls

pytestmark = [pytest.mark.caffe, pytest.mark.slow, pytest.mark.needs("hdf5_data")]

TUTORIAL = ROOT / "docs/tutorial.md"
MODELS = ("lenet_train_test", "net", "user_model")
WEIGHTS = ("lenet_iter_10000", "net", "weights", "user_model", "digits")

STANDS_FOR = {
    "data:1,3,224,224": "data:1,1,8,8",
    "data:1,1,28,28": "data:1,1,8,8",
    "fc8": "ip2",
    "loss*": "ip*",
    "loss3/*": "ip*",
    "inception_3?/*": "conv*",
    "mean_of_extremes": "min_max",
    "result/model": "result/user_model",
}
"""Words of commands that belong to another network or plugin, and those of the one here."""

PYTHON: Dict[str, Tuple[str, str]] = {
    "README.md": ("", ""),
    "user-guide.md": (
        "import caffe, numpy\n"
        "batch_num, images = 1, numpy.load('x.npz')['data']\n"
        "model = 'result/user_model_deploy_model.prototxt'\n"
        "weights = 'result/user_model_deploy_weights.caffemodel'\n",
        "",
    ),
    "accuracy-fell.md": ("", ""),
    "data-for-commands.md": ("", ""),
    "ptq-config.md": ("", '["fc"]'),
    "post-training.md": (
        "import numpy\nbatches = numpy.split(numpy.load('x.npz')['data'][:200], 2)\n",
        "",
    ),
}
"""Pages whose Python runs, with what they take as given, and what belongs to another network."""

NOT_RUN = ("class Evaluator", "convert_model(")
"""Python that leaves something to the reader, or needs a record of the reader's own."""


def script(page: str) -> str:
    """Return the Python of a page as one program."""
    given, foreign = PYTHON[page]
    blocks = [
        each.text
        for each in ALL
        if each.page.name == page and each.language == "python" and ">>> " not in each.text
    ]
    kept = [block for block in blocks if not any(word in block for word in NOT_RUN)]
    text = given + "\n".join(kept)
    return text.replace(foreign, '["ip2"]') if foreign else text


def run(folder: Path, *words: str) -> None:
    done = subprocess.run(
        [sys.executable, *words],
        cwd=folder,
        env=page_runner.surroundings(Path(sys.prefix), {"GLOG_minloglevel": "2"}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        timeout=page_runner.LIMIT,
    )
    assert done.returncode == 0, f"{words}\n{done.stdout}"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tutorial's network, briefly trained, and everything that the pages take as given."""
    folder = tmp_path_factory.mktemp("reader")
    files = page_runner.files(TUTORIAL)
    for name, text in files.items():
        (folder / name).write_text(text.replace("800", "100"), encoding="utf-8")
    run(folder, "make_data.py")
    run(folder, "train.py")
    for name in MODELS:
        shutil.copy(folder / "digits.prototxt", folder / f"{name}.prototxt")
    for name in WEIGHTS:
        shutil.copy(folder / "float_iter_100.caffemodel", folder / f"{name}.caffemodel")
    for name in ("x", "images"):
        shutil.copy(folder / "test.npz", folder / f"{name}.npz")
    solver = files["qat_solver.prototxt"]
    (folder / "tmp").mkdir()
    redirected = {"digits.prototxt": "./tmp/modified_model.prototxt", '"qat"': '"./tmp/solver"'}
    (folder / "tmp/solver.prototxt").write_text(replaced(solver, redirected))
    (folder / "solver.prototxt").write_text(solver.replace("200", "20"))
    (folder / "deploy.prototxt").write_text(deployed(files["digits.prototxt"]))
    (folder / "advice.json").write_text('{"version": 1, "advice": []}')
    write_images(folder)
    (folder / "guide.py").write_text(script("user-guide.md"), encoding="utf-8")
    run(folder, "guide.py")
    return folder


def replaced(text: str, words: Dict[str, str]) -> str:
    for old, new in words.items():
        text = text.replace(old, new)
    return text


def deployed(network: str) -> str:
    """Return the network with an Input in place of data layers, and without loss and accuracy."""
    layers = re.split(r"^(?=layer )", network, flags=re.MULTILINE)
    kept = [each for each in layers if not re.search("HDF5Data|Accuracy|SoftmaxWithLoss", each)]
    image = "shape { dim: 100 dim: 1 dim: 8 dim: 8 }"
    top = f'layer {{ name: "in" type: "Input" top: "data" input_param {{ {image} }} }}\n'
    score = 'layer { name: "prob" type: "Softmax" bottom: "ip2" top: "prob" }\n'
    return "".join([kept[0], top, *kept[1:], score])


def write_images(folder: Path) -> None:
    """Write a few images with preprocessing and labels."""
    from PIL import Image

    (folder / "images").mkdir()
    arrays = np.load(folder / "x.npz")
    for index in range(8):
        pixels = np.uint8(arrays["data"][index, 0] * 255)
        Image.fromarray(pixels).save(folder / f"images/{index}.png")
    labels = "".join(f"{int(each)}\n" for each in arrays["label"][:8])
    (folder / "list.txt").write_text(labels)
    (folder / "pre.json").write_text(json.dumps({"channels": "GRAY", "scale": 1 / 255}))


COMMANDS: Dict[str, List[List[str]]] = {}
for each in ALL:
    if each.language in ("sh", "") and each.page != TUTORIAL:
        COMMANDS.setdefault(str(each.page.relative_to(ROOT)), []).extend(calls(each.text))


@pytest.mark.parametrize("page", [page for page, found in COMMANDS.items() if found])
def test_the_commands_of_a_page_run(page: str, folder: Path) -> None:
    for words in COMMANDS[page]:
        meant = [STANDS_FOR.get(word.removeprefix("./"), word) for word in words]
        if meant[0] in ("ptq", "convert"):
            # Their data come from a file: a network with data layers would have two sources.
            meant = ["deploy.prototxt" if word == "net.prototxt" else word for word in meant]
        if meant[:2] in (["qat", "run"], ["ptq", "run"]):
            # Another page has had a run of another kind there.
            shutil.rmtree(folder / meant[meant.index("-o") + 1], ignore_errors=True)
        run(folder, "-m", "amct_core", *meant)


@pytest.mark.parametrize("page", sorted(PYTHON.keys() - {"user-guide.md"}))
def test_the_python_of_a_page_runs(page: str, folder: Path) -> None:
    (folder / "page.py").write_text(script(page), encoding="utf-8")
    run(folder, "page.py")
