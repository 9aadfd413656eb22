"""Who reads a saved model back, and what is said where that fails."""

from __future__ import annotations

import importlib
import sys
import textwrap
from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from amct_core.errors import ConfigError, ModelError, PluginError
from amct_core.plugins import Registries, create_host, installed_entry_points
from amct_core.saved_model import saved_model

BACKEND = """
import os
from amct_core.errors import ModelError
from amct_core.extensions import DeployBackend
from amct_core.graph import Graph, Node
from amct_core.hookspecs import hookimpl

def write(model, save_path, files):
    pass

def there(save_path):
    return os.path.isfile(save_path + ".mine")

def read(save_path):
    {read}

def check(save_path):
    raise ModelError("they are mixed.", file=save_path)

@hookimpl
def amct_deploy_backends():
    yield DeployBackend("mine", "", write, recognises=there, read=read, check_set=check)
    yield DeployBackend("also_mine", "", write, recognises=there, read=read)
    yield DeployBackend("blind", "", write)
"""
RELU = "return Graph('net', [Node('relu', 'ReLU', ('x',), ('y',))], 'a file')"

Install = Callable[[str], Registries]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Return a function that installs a backend whose ``read`` is given beside what is there."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "m.mine").touch()

    def installed(read: str) -> Registries:
        source = textwrap.dedent(BACKEND).replace("{read}", read)
        (tmp_path / "my_backend.py").write_text(source)
        monkeypatch.delitem(sys.modules, "my_backend", raising=False)
        importlib.invalidate_caches()
        others = installed_entry_points()
        return Registries(create_host([*others, EntryPoint("my_plugin", "my_backend", "amct")]))

    return installed


def test_the_backend_that_recognises_the_files_reads_them(install: Install) -> None:
    plugins = install(RELU)
    found = saved_model("m", plugins)
    assert found.backend is not None and found.backend.name == "also_mine"  # they read alike
    graph = found.read()
    assert graph.file == "a file"
    # The reader names the type; what plugins know of it is added.
    assert graph.node("relu").type == plugins.layer_type("ReLU")
    assert graph.node("relu").type.run is not None


def test_a_backend_can_be_named(install: Install) -> None:
    found = saved_model("m", install(RELU), backend="mine")
    with pytest.raises(ModelError, match=r"m: they are mixed\."):
        found.check_set()


def test_where_no_backend_recognises_anything_the_frontend_is_asked(install: Install) -> None:
    found = saved_model("other", install(RELU))
    assert found.backend is None
    with pytest.raises(ModelError, match=r"other_deploy_model\.prototxt: there is no such file"):
        found.read()


def test_a_prototxt_of_ones_own_is_read_by_the_frontend(install: Install) -> None:
    plugins = install(RELU)
    found = saved_model("m", plugins, "edited.prototxt")
    assert found.backend is None
    assert found.files == ("edited.prototxt", "m_deploy_weights.caffemodel")
    with pytest.raises(ConfigError, match="a prototxt of its own is given, too"):
        saved_model("m", plugins, "edited.prototxt", "mine")


def test_models_of_two_backends_under_one_prefix_are_told_apart(install: Install) -> None:
    plugins = install(RELU)
    Path("m_deploy_model.prototxt").touch()
    with pytest.raises(ConfigError) as caught:
        saved_model("m", plugins)
    assert "several backends are saved under 'm': also_mine, amct." in str(caught.value)
    assert "--backend" in caught.value.remedy


def test_a_backend_that_only_writes_is_no_reader(install: Install) -> None:
    with pytest.raises(ConfigError, match="'blind' writes models, and does not read them back"):
        saved_model("m", install(RELU), backend="blind")


@pytest.mark.parametrize(
    ("read", "said"),
    [
        ("return None", "read returned None; expected a Graph."),
        ("raise KeyError('scale')", "read failed with KeyError: 'scale'."),
    ],
)
def test_a_reader_that_fails_is_named_with_its_plugin(
    install: Install, read: str, said: str
) -> None:
    with pytest.raises(PluginError) as caught:
        saved_model("m", install(read), backend="mine").read()
    assert str(caught.value).startswith(f"plugin 'my_plugin', deploy backend 'mine': {said}")


def test_reading_and_recognising_go_together() -> None:
    from amct_core.extensions import DeployBackend

    with pytest.raises(PluginError, match="'x' has read and lacks recognises; expected both"):
        DeployBackend("x", "", lambda *_: None, read=lambda path: path)  # type: ignore[arg-type,return-value]
