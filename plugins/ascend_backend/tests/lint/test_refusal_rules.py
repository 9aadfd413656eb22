"""What looks like something that ATC refuses, and is taken."""

from __future__ import annotations

from pathlib import Path

import pytest

from plugins.ascend_backend.tests.lint.broken_models import Model


@pytest.mark.parametrize(
    "parameters",
    ["kernel_size: 2 stride: 2 axis: 1", "kernel_size: 2 stride: 2 axis: -3"],
)
def test_the_channel_axis_may_be_named(parameters: str, tmp_path: Path) -> None:
    model = Model.whole()
    model.replace("kernel_size: 2 stride: 2", parameters)
    assert model.broken(tmp_path) == {}


def test_a_deconvolution_may_ask_for_nd_im2col(tmp_path: Path) -> None:
    """ATC's plugin of Deconvolution does not read the field, which changes no number."""
    model = Model.whole()
    model.replace("kernel_size: 2 stride: 2", "kernel_size: 2 stride: 2 force_nd_im2col: true")
    assert model.broken(tmp_path) == {}


@pytest.mark.parametrize("kind", ["ReLU", "LeakyReLU", "RReLU"])
def test_a_slope_in_relu_param_is_read(kind: str, tmp_path: Path) -> None:
    model = Model.whole()
    slope = "relu_param { negative_slope: 0.1 }"
    model.add(f'name: "last" type: "{kind}" bottom: "prob" top: "last" {slope}')
    assert model.broken(tmp_path) == {}


@pytest.mark.parametrize("parameters", ["stride: 2", "scale: 0.5 stride_h: 2 stride_w: 2", ""])
def test_an_upsample_with_a_stride_may_have_a_scale(parameters: str, tmp_path: Path) -> None:
    model = Model.whole()
    upsample = f"upsample_param {{ {parameters} }}"
    model.add(f'name: "last" type: "Upsample" bottom: "up" top: "last" {upsample}')
    assert model.broken(tmp_path) == {}
