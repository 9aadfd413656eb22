"""An evaluator of a plugin in ``ptq auto`` and in ``evaluate``: what it gets, and what is said."""

from __future__ import annotations

import inspect
import re
import textwrap
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Callable, Dict, List

import numpy as np
import pytest

from amct_caffe.model.formats.caffemodel import writer
from amct_core import hookspecs
from amct_core.errors import ConfigError
from amct_core.extensions import Evaluator
from amct_core.file_names import ModelFiles
from amct_core.registry import Registry
from cpu_sim_backend.data.choice import DataOptions
from cpu_sim_backend.evaluation import EvaluationOptions, evaluate
from cpu_sim_backend.ptq.auto import AutoOptions, quantize_automatically
from cpu_sim_backend.scoring import metrics

MODEL = """
name: "small"
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 6 } } }
layer { name: "label" type: "Input" top: "label" input_param { shape { dim: 1 } } }
layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip"
  inner_product_param { num_output: 4 } }
layer { name: "accuracy" type: "Accuracy" bottom: "ip" bottom: "label" top: "accuracy" }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }
"""


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Dict[str, str]:
    """Return a network with a loss, its weights and data, in the working folder."""
    monkeypatch.chdir(tmp_path)
    generator = np.random.default_rng(5)
    weights, bias = (generator.normal(0, 1, shape).astype(np.float32) for shape in ((4, 6), (4,)))
    Path("n.prototxt").write_text(MODEL)
    with open("n.caffemodel", "wb") as stream:
        writer.write(stream, "small", [("ip", "InnerProduct", [weights, bias])])
    images = generator.normal(0, 1, (40, 6)).astype(np.float32)
    np.savez("d.npz", data=images, label=(images @ weights.T + bias).argmax(1))
    return {"model_file": "n.prototxt", "weights_file": "n.caffemodel", "data": "d.npz"}


Use = Callable[[Callable[..., Any]], None]


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Use:
    """Return a function that makes a function the evaluator ``margin`` of a plugin."""

    def used(score: Callable[..., Any]) -> None:
        found: Registry[Evaluator] = Registry("evaluator")
        found.add(Evaluator("margin", "how sure", score), "mine")
        monkeypatch.setattr(metrics, "registries", lambda: SimpleNamespace(evaluators=found))

    return used


def of_the_page() -> Callable[..., Any]:
    """Return the function of the example of ``amct_evaluators``."""
    page = f"{inspect.getdoc(hookspecs.amct_evaluators)}\n"
    (code,) = re.findall(r"::\n\n((?:    .*\n|\n)+)", page)
    names: Dict[str, Any] = {}
    exec(textwrap.dedent(code), names)
    score: Callable[..., Any] = names["margin"]
    return score


def automatic(files: Dict[str, str]) -> Dict[str, Any]:
    given = AutoOptions(folder="o", calibration_images=20, metric="margin", max_drop=50.0, **files)
    return dict(quantize_automatically(given).report)


def test_the_example_of_the_page_works_in_both_commands(files: Dict[str, str], use: Use) -> None:
    seen: List[List[str]] = []
    margin = of_the_page()

    def score(outputs: Any, labels: Any) -> Any:
        seen.append(list(outputs))
        return margin(outputs, labels)

    use(score)
    judged = automatic(files)
    assert {tuple(each) for each in seen} == {("ip",)}
    seen.clear()
    options = EvaluationOptions(
        DataOptions(files["data"]),
        metrics=("margin",),
        float_files=ModelFiles(files["model_file"], files["weights_file"]),
    )
    found = evaluate("o/model", options)
    assert {tuple(each) for each in seen} == {("prob", "ip")}
    ((_, share),) = found.column("float32").metrics
    assert 0.5 < share < 1
    assert judged["float32"] == pytest.approx(100 * share, abs=10)  # of the other half of the data


@pytest.mark.parametrize(
    ("given", "said"),
    [(-3.0, "-3 to -3"), (18.5, "18.5 to 18.5"), (np.full(20, 7.0), "7 to 7")],
)
def test_numbers_that_are_no_shares_are_told_with_evaluator_and_plugin(
    files: Dict[str, str], use: Use, given: Any, said: str
) -> None:
    use(lambda outputs, labels: given)
    with pytest.raises(ConfigError) as caught:
        automatic(files)
    assert f"plugin 'mine', evaluator 'margin' gave {said}; expected one number" in str(
        caught.value
    )
