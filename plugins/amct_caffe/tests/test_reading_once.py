"""Insertion reads each of its files once."""

from __future__ import annotations

import builtins
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from amct_caffe.model.formats.caffemodel import writer
from amct_core import workflow
from plugins.amct_caffe.tests.passes import networks


@pytest.mark.parametrize("batch_norm", ["keep", "fold"])
def test_insertion_reads_each_file_once(
    batch_norm: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    files = "net.prototxt", "net.caffemodel", "c.json"
    Path(files[0]).write_text(networks.INPUT + networks.conv("conv", "data"))
    with open(files[1], "wb") as stream:
        blobs = [np.ones(shape, np.float32) for shape in networks.CONV]
        writer.write(stream, "net", [("conv", "Convolution", blobs)])
    workflow.create_config(*files)
    config = Path(files[2])
    config.write_text(config.read_text().replace("{", f'{{"batch_norm": "{batch_norm}",', 1))

    opened: Counter[str] = Counter()
    plain_open = builtins.open

    def counting(file: Any, mode: str = "r", *args: Any, **keywords: Any) -> Any:
        if "r" in mode:
            opened[str(file)] += 1
        return plain_open(file, mode, *args, **keywords)

    monkeypatch.setattr(builtins, "open", counting)
    workflow.insert(*files, "modified.prototxt", "modified.caffemodel", "record.txt")
    assert {file: opened[file] for file in files} == dict.fromkeys(files, 1)
