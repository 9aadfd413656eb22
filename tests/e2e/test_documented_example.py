"""The example of AMCT's documentation runs, corrected as docs/user-guide.md says."""

from __future__ import annotations

import re

import pytest
from digits import REPOSITORY, run_python

pytestmark = pytest.mark.caffe

EXAMPLE = REPOSITORY / "examples/qat_example.py"


def test_it_runs_and_writes_the_documented_files(digits):
    result = run_python(digits.folder, str(EXAMPLE), digits.model, digits.weights)
    accuracies = [float(found) for found in re.findall(r"accuracy (0\.\d+)", result.stdout)]
    assert len(accuracies) == 2
    assert accuracies[1] > accuracies[0] - 0.05
    for name in (
        "user_model_fake_quant_model.prototxt",
        "user_model_fake_quant_weights.caffemodel",
        "user_model_deploy_model.prototxt",
        "user_model_deploy_weights.caffemodel",
        "user_model_quant.json",
    ):
        assert (digits.folder / "result" / name).is_file()


def test_saving_the_untrained_weights_as_the_documentation_does_is_refused(digits, tmp_path):
    slip = re.sub(
        r"retrained_weights_file=f.*# corrected: last snapshot",
        "retrained_weights_file=modified_weights_file,",
        EXAMPLE.read_text(),
    )
    assert slip != EXAMPLE.read_text()
    script = tmp_path / "slip.py"
    script.write_text(slip)
    result = run_python(digits.folder, str(script), digits.model, digits.weights, check=False)
    assert result.returncode == 1
    assert "has no learned clip bounds" in result.stderr
    assert "last snapshot" in result.stderr
    assert not (digits.folder / "result").exists()


@pytest.mark.parametrize("statement", ["import amct_caffe as amct", "from amct_caffe import amct"])
def test_both_imports_of_the_documentation_give_the_api(statement):
    namespace: dict = {}
    exec(statement, namespace)
    for name in (
        "create_quant_retrain_config",
        "create_quant_retrain_model",
        "save_quant_retrain_model",
        "set_cpu_mode",
        "set_gpu_mode",
    ):
        assert callable(getattr(namespace["amct"], name))
