"""What training does with compiled kernels: when they are compiled, and that nothing goes stale."""

from __future__ import annotations

import importlib
from typing import Any, List, Optional

import attrs
import numpy as np
import pytest

from amct_core import plugins
from amct_core.kernels import loading
from amct_core.registry import Registry
from plugins.amct_caffe.tests.qat import nets
from plugins.amct_caffe.tests.qat.bench import Bench, Modified, blobs_of, diffs_of

pytestmark = pytest.mark.caffe

IN_PLACE = ("forward_into", "backward_into", "fake_quantize_into", "prepare")


@pytest.fixture
def modified(bench: Bench) -> Modified:
    random = np.random.default_rng(31)
    file = bench.data(data=random.normal(0, 1, (6, 3, 8, 8)), label=random.normal(0, 1, (6, 4)))
    return bench.modify(
        nets.batches(file, ["data", "label"], 3),
        nets.convolution("conv", "data", 5, 3),
        nets.relu("relu", "conv"),
        nets.inner_product("ip", "conv", 4),
        nets.euclidean_loss("ip"),
    )


def test_kernels_are_compiled_before_the_first_iteration(
    modified: Modified, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("numba")
    loaded: List[str] = []
    import_module = importlib.import_module

    def recording(name: str, package: Optional[str] = None) -> Any:
        if name.startswith("amct_core.kernels."):
            loaded.append(name.rpartition(".")[2])
        return import_module(name, package)

    monkeypatch.setattr(importlib, "import_module", recording)
    loading.load.cache_clear()
    solver = modified.solver()
    kernels = {"arq_compiled", "ifmr_compiled", "ulq_compiled", "shift_search_compiled"}
    assert set(loaded) == kernels  # the last one by the TEST net
    loaded.clear()
    solver.step(2)
    solver.test_nets[0].share_with(solver.net)
    solver.test_nets[0].forward()
    assert loaded == []


def test_a_plugin_that_gives_plain_functions_trains_the_same_network(
    modified: Modified, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_place = modified.solver(name="in_place")
    in_place.step(3)
    registries = plugins.registries()
    for kind, name in (
        ("activation_algorithms", "ulq_quantize"),
        ("weight_algorithms", "arq_retrain"),
    ):
        algorithm = getattr(registries, kind).get(name)
        fields = {field.name for field in attrs.fields(type(algorithm))}
        plain: Registry[Any] = Registry(kind)
        plain.add(attrs.evolve(algorithm, **dict.fromkeys(fields.intersection(IN_PLACE))), "test")
        monkeypatch.setitem(registries.__dict__, kind, plain)
    plain_solver = modified.solver(name="plain")
    plain_solver.step(3)

    for compare in (blobs_of, diffs_of):
        expected, found = compare(plain_solver.net), compare(in_place.net)
        assert expected.keys() == found.keys()
        for name, array in expected.items():
            np.testing.assert_allclose(found[name], array, rtol=1e-6, err_msg=name)


@pytest.mark.parametrize("phase", ["TRAIN", "TEST"])
def test_whatever_is_written_into_the_weights_counts_in_the_next_forward(
    modified: Modified, phase: str
) -> None:
    trained = modified.solver()
    trained.step(1)
    trained.net.save(str(modified.folder / "trained.caffemodel"))
    net = modified.net(str(modified.folder / "trained.caffemodel"), getattr(modified.caffe, phase))
    layer, quantized = net.params["conv_weight_qat"], net.params["conv"][0]
    net.forward()
    first = np.array(quantized.data)

    net.forward()
    np.testing.assert_array_equal(quantized.data, first)

    quantized.data[2] += 0.5
    net.forward()
    np.testing.assert_array_equal(quantized.data, first)

    layer[0].data[3, 0, 1, 1] *= -1
    layer[0].data[1] *= 4
    net.forward()
    assert not np.array_equal(quantized.data[3], first[3])
    np.testing.assert_array_equal(quantized.data[1], 4 * first[1])
    np.testing.assert_array_equal(quantized.data[[0, 2, 4]], first[[0, 2, 4]])
    np.testing.assert_allclose(
        quantized.data, layer[0].data, atol=0.51 * float(np.max(layer[2].data))
    )
