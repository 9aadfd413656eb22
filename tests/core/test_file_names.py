"""What saved files are called, with a prefix and, as AMCT has it, without."""

from __future__ import annotations

import pytest

from amct_core.file_names import deploy_files, fake_quant_files, name_map_beside, name_map_file


@pytest.mark.parametrize(
    ("save_path", "start"),
    [
        ("", ""),
        ("result/", "result/"),
        ("./", "./"),
        ("result/net", "result/net_"),
        ("result/net_", "result/net__"),
        ("result", "result_"),
    ],
)
def test_an_underscore_follows_a_prefix_only(save_path: str, start: str) -> None:
    assert fake_quant_files(save_path) == (
        f"{start}fake_quant_model.prototxt",
        f"{start}fake_quant_weights.caffemodel",
    )
    assert deploy_files(save_path) == (
        f"{start}deploy_model.prototxt",
        f"{start}deploy_weights.caffemodel",
    )
    assert name_map_file(save_path) == f"{start}quant.json"
    assert name_map_beside(deploy_files(save_path).model) == f"{start}quant.json"


@pytest.mark.parametrize(
    "model", ["net.prototxt", "mydeploy_model.prototxt", "net_atc_model.prototxt"]
)
def test_a_prototxt_of_another_name_has_no_name_map(model: str) -> None:
    assert name_map_beside(model) is None
