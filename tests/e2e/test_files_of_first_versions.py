"""What was trained with the layers that the first versions inserted is saved as it is today."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from digits import run_python

from amct_core.file_names import deploy_files, fake_quant_files

pytestmark = pytest.mark.caffe

TRAIN = """
import caffe
import amct_caffe as amct
amct.create_quant_retrain_config("config.json", "digits.prototxt", "float_iter_150.caffemodel")
amct.create_quant_retrain_model(
    "digits.prototxt", "float_iter_150.caffemodel", "config.json",
    "modified.prototxt", "modified.caffemodel", "record.txt",
)
with open("solver.prototxt", "w") as stream:
    stream.write(
        'net: "modified.prototxt" base_lr: 0.001 lr_policy: "fixed" max_iter: 4 test_interval: 4 '
        'test_iter: 2 test_initialization: false snapshot: 4 snapshot_prefix: "qat"'
    )
solver = caffe.SGDSolver("solver.prototxt")
solver.net.copy_from("modified.caffemodel")
solver.solve()
"""

SAVE = """
import amct_caffe as amct
amct.save_quant_retrain_model(
    "{model}", "qat_iter_4.caffemodel", "Both", "{prefix}", "record.txt", "config.json"
)
"""


def as_first_written(match: re.Match[str]) -> str:
    """Return a WeightQAT's ``param_str`` as the first versions wrote it."""
    values = json.loads(json.loads(match.group(1)))
    axis = values["output_axis"] if values["channel_wise"] else None
    kept = ("algo", "batch_num", "folded", "layer", "record_file", "shape")
    first = {**{key: values[key] for key in kept}, "channel_axis": axis}
    return "param_str: " + json.dumps(json.dumps(first, sort_keys=True))


def test_it_is_saved_to_the_same_integers(digits) -> None:
    folder: Path = digits.folder
    run_python(folder, "-c", TRAIN)
    text = (folder / "modified.prototxt").read_text()
    weights = r'param_str: ("\{(?=[^\n]*output_axis)(?:[^"\\]|\\.)*\}")'
    first, count = re.subn(weights, as_first_written, text)
    assert count == 4
    assert "output_axis" not in first and first.count("channel_axis") == 4
    (folder / "first.prototxt").write_text(first)
    for model in ("modified", "first"):
        run_python(folder, "-c", SAVE.format(model=f"{model}.prototxt", prefix=f"saved/{model}"))
    for files in (deploy_files, fake_quant_files):
        ours, theirs = (files(str(folder / "saved" / name)) for name in ("modified", "first"))
        assert Path(ours.weights).read_bytes() == Path(theirs.weights).read_bytes()
