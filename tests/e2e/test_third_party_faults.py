"""Third parties' distributions that are wrong, installed: what ``amct`` says of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from digits import run_python
from third_party import install, write_distribution

CLAIMS_A_NAME = """
@hookimpl
def amct_shift_searches():
    return [ShiftSearch(name="search_n_v2")]
"""
FAILS_TO_IMPORT = "import no_such_library"
RETURNS_NONSENSE = """
@hookimpl
def amct_shift_searches():
    return ["search_n_v3"]
"""


@pytest.fixture
def with_plugin(tmp_path, monkeypatch):
    """Return a function that installs a distribution with one plugin of the given source."""

    def add(name: str, source: str) -> None:
        site = tmp_path / "site"
        install(write_distribution(tmp_path, name, source), site)
        monkeypatch.setenv("PYTHONPATH", str(site))

    return add


def make_config(folder: Path):
    """Ask for a config; the network is one that every step can read."""
    (folder / "n.prototxt").write_text(
        'input: "data" input_shape { dim: 1 dim: 3 dim: 8 dim: 8 }\n'
        'layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"\n'
        "  convolution_param { num_output: 2 kernel_size: 3 } }\n"
    )
    write_weights(folder / "n.caffemodel")
    arguments = ("qat", "config", "n.prototxt", "n.caffemodel", "-o", "c.json")
    return run_python(folder, "-m", "amct_core", *arguments, check=False)


def write_weights(path: Path) -> None:
    import numpy as np

    from amct_caffe.model.formats.caffemodel import writer

    blobs = [np.ones((2, 3, 3, 3), np.float32), np.zeros(2, np.float32)]
    with path.open("wb") as stream:
        writer.write(stream, "n", [("conv", "Convolution", blobs)])


def test_without_them_the_step_works(tmp_path):
    assert make_config(tmp_path).returncode == 0


@pytest.mark.parametrize(
    ("name", "source", "said"),
    [
        (
            "claimant",
            CLAIMS_A_NAME,
            "two plugins provide the shift-N search 'search_n_v2': 'amct-core' and 'claimant'",
        ),
        (
            "babbler",
            RETURNS_NONSENSE,
            "plugin 'babbler': hook amct_shift_searches returned 'search_n_v3' among its items",
        ),
    ],
)
def test_the_step_that_needs_them_stops_with_one_message(tmp_path, with_plugin, name, source, said):
    with_plugin(name, source)
    result = make_config(tmp_path)
    assert result.returncode == 1
    assert said in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "c.json").exists()


def test_a_plugin_that_fails_to_import_is_named_and_left_out(tmp_path, with_plugin):
    with_plugin("broken", FAILS_TO_IMPORT)
    result = make_config(tmp_path)
    assert result.returncode == 0
    said = "plugin 'broken' (entry point broken_package) failed to load and is left out"
    assert said in result.stderr
    assert "No module named 'no_such_library'" in result.stderr
    assert "Traceback" not in result.stderr
