"""Depthwise convolutions of other Caffes, trained in any Caffe and compared in real Caffe.

A Caffe without these types is trained on the Convolution that computes the same; what is inserted
and saved is the network with the types themselves.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from amct_caffe.frontend import CaffeFrontend
from cpu_sim_backend import Simulator
from cpu_sim_backend.verify import compare
from tests.conformance.building import batch_norm, convolution, inner_product, loss, relu, source
from tests.conformance.case import Case
from tests.conformance.runner import Inserted, deployable, insert, train

TYPES = ("DepthwiseConvolution", "ConvolutionDepthwise")


def _network(n: Any, L: Any, P: Any) -> None:
    top = relu(n, L, convolution(n, L, source(n, L, 2, 3, 9, 9), "stem", 8), "stem_relu")
    for index, kind in enumerate(TYPES):
        name = f"depthwise{index}"
        # The second type ignores the groups, which its stand-in needs.
        parameters = dict(num_output=8, group=8, kernel_size=3, pad=1, stride=1 + index)
        n[name] = getattr(L, kind)(top, convolution_param=parameters)
        top = batch_norm(n, L, n[name], name)
    loss(n, L, inner_product(n, L, top, "head", 4))


CASE = Case("depthwise types", _network, ("stem", "depthwise0", "depthwise1", "head"), trains=False)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Inserted:
    """Take the network through insertion, training and saving."""
    from amct_caffe.runtime.pycaffe import caffe

    inserted = insert(CASE, tmp_path_factory.mktemp("depthwise"))
    modified = inserted.folder / "modified.prototxt"
    text = modified.read_text()
    modified.write_text(_standing_in(text))
    train(inserted, caffe)
    modified.write_text(text)
    inserted.save()
    return inserted


def _standing_in(text: str) -> str:
    for kind in TYPES:
        text = text.replace(f'type: "{kind}"', 'type: "Convolution"')
    return text


@pytest.mark.caffe
def test_they_are_quantized(saved: Inserted) -> None:
    assert saved.quantizable == CASE.quantized


@pytest.mark.caffe
def test_the_modified_model_keeps_its_types_and_the_saved_ones_have_convolutions(
    saved: Inserted,
) -> None:
    modified = Path(saved.path("modified.prototxt")).read_text()
    assert [modified.count(f'type: "{kind}"') for kind in TYPES] == [1, 1]
    for name in ("deploy", "fake_quant"):
        text = Path(saved.path(f"saved_{name}_model.prototxt")).read_text()
        assert [text.count(f'type: "{kind}"') for kind in TYPES] == [0, 0]
        assert text.count("group: 8") == len(TYPES)


@pytest.mark.caffe
@pytest.mark.parametrize("engine", ["reference", "fast"])
def test_not_one_integer_differs_from_caffes(saved: Inserted, engine: str) -> None:
    if engine == "fast":
        pytest.importorskip("numba")
    prefix = saved.path("saved")
    executor = CaffeFrontend().fake_quant_executor(prefix)
    simulator = Simulator(*deployable(prefix), engine=engine)
    report = compare(executor, simulator, saved.inputs(seed=2, spread=1.5))
    assert tuple(layer.name for layer in report.layers) == CASE.quantized
    assert report.exact
