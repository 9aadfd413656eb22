"""Where ATC counts axes otherwise than Caffe, and where it does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from plugins.ascend_backend.tests.lint.broken_models import Entry, Model, floats

LAST_AXIS = ('bottom: "fc" top: "prob"', 'bottom: "fc" top: "prob" softmax_param { axis: -1 }')


def insert(model: Model, layer: str) -> None:
    """Put a layer in front of the Softmax."""
    model.replace('layer { name: "prob"', f'layer {{ {layer} }}\nlayer {{ name: "prob"')


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("dim: 1 ", "dim: 2 "),
        ("axis: -1", "axis: 1"),
        ('bottom: "fc" top: "prob"', 'bottom: "flat" top: "prob"'),
        ('bottom: "fc" top: "prob"', 'bottom: "up" top: "prob"'),
    ],
    ids=["at batch 2", "from the front", "behind a Flatten", "on four axes"],
)
def test_the_last_axis_is_wrong_behind_an_inner_product_at_batch_1_alone(
    old: str, new: str, tmp_path: Path
) -> None:
    model = Model.whole()
    insert(model, 'name: "flatten" type: "Flatten" bottom: "fc" top: "flat"')
    model.replace(*LAST_AXIS)
    assert list(model.broken(tmp_path)) == ["A078"]
    model.replace(old, new)
    assert model.broken(tmp_path) == {}


@pytest.mark.parametrize("kind", ["ReLU", "Dropout", "Sigmoid", "Power", "Split"])
def test_layers_of_one_value_each_do_not_hide_the_inner_product(kind: str, tmp_path: Path) -> None:
    model = Model.whole()
    insert(model, f'name: "between" type: "{kind}" bottom: "fc" top: "between"')
    model.replace(LAST_AXIS[0], LAST_AXIS[1].replace('"fc"', '"between"'))
    (message,) = model.broken(tmp_path)["A078"]
    assert "axis 1 of the 2 of 'between', in ATC axis 3 of 4" in message


def test_net_level_inputs_have_a_batch_size_too(tmp_path: Path) -> None:
    model = Model.whole()
    whole = model.net[model.net.index("layer {") : model.net.index('layer { name: "conv_q"')]
    model.replace(whole, 'input: "data" input_dim: 1 input_dim: 32 input_dim: 8 input_dim: 8\n')
    assert model.broken(tmp_path) == {}
    model.replace(*LAST_AXIS)
    assert list(model.broken(tmp_path)) == ["A078"]


@pytest.mark.parametrize("axis", [1, 2, -3])
def test_float_inner_products_along_axis_1_or_2_are_taken(axis: int, tmp_path: Path) -> None:
    model = Model.whole()
    inputs = 8192 if axis in (1, -3) else 256
    model.add(
        'name: "last" type: "InnerProduct" bottom: "up" top: "last" '
        f"inner_product_param {{ num_output: 2 bias_term: false axis: {axis} }}"
    )
    model.entries.append(Entry("last", "InnerProduct", [floats(2, inputs)]))
    assert model.broken(tmp_path) == {}
