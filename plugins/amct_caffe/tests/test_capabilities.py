"""What the installed Caffe can do, asked without importing it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from amct_caffe.frontend import CaffeFrontend
from amct_caffe.runtime.capabilities import asking
from amct_caffe.runtime.capabilities.registered import PROBES


def test_without_caffe_there_is_nothing_to_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "caffe_is_installed", lambda: False)
    assert CaffeFrontend().capabilities() == ()
    assert asking.capability("lmdb") is None


@pytest.mark.caffe
def test_every_question_is_answered_in_order() -> None:
    answers = CaffeFrontend().capabilities()
    assert [each.name for each in answers] == list(PROBES)
    assert all(each.answer in ("yes", "no", "crashed") for each in answers)
    types = answers[0].found
    assert {"Convolution", "InnerProduct", "Pooling", "Python"} <= set(types)
    assert "ArgMax" in asking.capabilities()["layers_without_backward"].found


@pytest.mark.caffe
def test_nobody_imports_caffe_to_ask() -> None:
    script = (
        "import sys\n"
        "from amct_caffe.runtime.capabilities.asking import capability\n"
        "assert capability('python_layers').there\n"
        "assert 'caffe' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
