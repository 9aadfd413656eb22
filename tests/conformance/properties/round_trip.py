"""Deployable models that are read and written again: the same files, byte by byte.

Of the other files of its set, and of what it was made from, a deployable model holds nothing; their
digests do not come back.
"""

from __future__ import annotations

import json

from amct_core.files import FileSet
from ascend_backend.reader import read_deploy_model
from ascend_backend.writer import write_deploy_model
from tests.conformance.runner import Saved

FILES = ("deploy_model.prototxt", "deploy_weights.caffemodel")
OTHER_DIGESTS = ("fake_quant", "made_from", "float")


def what_is_read_and_written_again_is_the_same(saved: Saved) -> None:
    model = read_deploy_model(saved.prefix)
    assert tuple(layer.name for layer in model.layers) == saved.inserted.expected
    with FileSet() as files:
        write_deploy_model(model, saved.inserted.path("again"), files)
    for file in FILES:
        written, again = (saved.inserted.folder / f"{name}_{file}" for name in ("saved", "again"))
        assert written.read_bytes() == again.read_bytes(), file
    names, names_again = (
        json.loads((saved.inserted.folder / f"{name}_quant.json").read_text())
        for name in ("saved", "again")
    )
    for key in OTHER_DIGESTS:
        del names["digests"][key]
    assert names == names_again
