"""Names that are not UTF-8: read and printed, though Caffe's Python interface cannot read them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from amct_caffe.model.formats.caffemodel import writer
from amct_core.textproto.scalars import as_text

NETWORK = """# 注释
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 } } }
layer { name: "%s" type: "ReLU" bottom: "data" top: "%s" }
"""


def written(folder: Path, layer: str, top: str) -> str:
    """Return a network's file in GBK."""
    path = folder / "net.prototxt"
    path.write_bytes((NETWORK % (layer, top)).encode("gbk"))
    return str(path)


@pytest.mark.caffe
def test_caffes_python_interface_reads_no_other_name(tmp_path: Path) -> None:
    file = written(tmp_path, "relu", "层")
    script = "import sys, caffe; caffe.Net(sys.argv[1], caffe.TEST).blobs"
    ended = subprocess.run(
        [sys.executable, "-c", script, file], capture_output=True, text=True, errors="replace"
    )
    assert ended.returncode == 1
    assert "UnicodeDecodeError" in ended.stderr


def test_such_a_name_can_be_printed(tmp_path: Path) -> None:
    model, weights = tmp_path / "net.prototxt", tmp_path / "net.caffemodel"
    model.write_bytes(
        """input: "data" input_shape { dim: 1 dim: 2 }
        layer { name: "层" type: "InnerProduct" bottom: "data" top: "fc"
          inner_product_param { num_output: 1 bias_term: false } }""".encode("gbk")
    )
    with weights.open("wb") as stream:
        name = as_text("层".encode("gbk"))
        writer.write(stream, "n", [(name, "InnerProduct", [np.ones((1, 2), np.float32)])])
    script = (
        "import sys; from amct_core.cli.main import main\n"
        "sys.argv = ['amct', 'lint', '--model', sys.argv[1], '--weights', sys.argv[2]]; main()"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script, str(model), str(weights)],
        capture_output=True,
        encoding="utf-8",
        env={**os.environ, "PYTHONIOENCODING": "utf-8"},
        cwd=tmp_path,
    )
    assert not ended.stderr
    assert r"\udcb2\udce3" in ended.stdout
