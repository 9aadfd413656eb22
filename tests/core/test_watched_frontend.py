"""What a plugin's frontend reads is completed and checked; its exceptions get its names."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable

import pytest

from amct_core.errors import EnvironmentUnsuitableError, ModelError, PluginError
from amct_core.extensions import Frontend, LayerType, same_shape
from amct_core.extensions.frontend import NetworkViews
from amct_core.graph import Graph, Node
from amct_core.registry import Registry
from amct_core.workflow import frontend_for

DECLARED = LayerType("Gain", shape=same_shape)
NETWORK = Graph("net", [Node("gain", "Gain", ("data",), ("out",))])


class TextFrontend(Frontend):
    name = "text"

    def __init__(self, read: Callable[[], Any]) -> None:
        self._read = read

    def recognises(self, model_file: str) -> bool:
        return model_file.endswith(".txt")

    def read(self, model_file: str, weights_file: Any = None, states: Any = None) -> Any:
        return self._read()

    def insert(self, request: Any) -> None:
        raise NotImplementedError("insert")

    def read_retrained(self, model_file: str, weights_file: str, states: Any = None) -> Any:
        raise NotImplementedError("read_retrained")

    def write_fake_quant(self, model: Any, save_path: str, files: Any) -> None:
        raise NotImplementedError("write_fake_quant")

    def fake_quant_executor(self, save_path: str) -> Any:
        raise NotImplementedError("fake_quant_executor")


class Plugins:
    """Registries of one frontend and one layer type."""

    def __init__(self, frontend: Frontend) -> None:
        self.frontends: Registry[Frontend] = Registry("frontend")
        self.frontends.add(frontend, "mine")

    def layer_type(self, name: str) -> LayerType:
        return DECLARED if name == "Gain" else LayerType(name)


def found(
    folder: Path, read: Callable[[], Any], kind: type[TextFrontend] = TextFrontend
) -> Frontend:
    model = folder / "net.txt"
    model.touch()
    plugins: Any = Plugins(kind(read))
    return frontend_for(str(model), plugins)


def raising(error: Exception) -> Callable[[], Any]:
    def read() -> Any:
        raise error

    return read


def test_types_given_by_name_get_what_is_declared(tmp_path: Path) -> None:
    frontend = found(tmp_path, lambda: NetworkViews(train=NETWORK, test=NETWORK))
    views = frontend.read("net.txt")
    assert [graph.node("gain").type for graph in (views.train, views.test)] == [DECLARED] * 2
    assert frontend.read_deployed("net.txt").node("gain").type == DECLARED
    assert NETWORK.node("gain").type == LayerType("Gain")


def test_a_type_of_the_frontends_own_stays(tmp_path: Path) -> None:
    own = LayerType("Gain", run=lambda node, inputs: inputs)
    graph = Graph("net", [Node("gain", own, ("data",), ("out",))])
    frontend = found(tmp_path, lambda: NetworkViews(train=graph, test=graph))
    assert frontend.read("net.txt").test.node("gain").type is own


@pytest.mark.parametrize("method", ["read", "read_for_inference", "read_deployed"])
def test_an_exception_names_plugin_frontend_and_the_plugins_method(
    tmp_path: Path, method: str
) -> None:
    cause = ValueError("not enough values")
    frontend = found(tmp_path, raising(cause))
    with pytest.raises(PluginError) as error:
        getattr(frontend, method)("net.txt")
    assert error.value.problem == (
        "plugin 'mine', frontend 'text': read failed with ValueError: not enough values."
    )
    assert error.value.__cause__ is cause


def test_an_error_for_the_user_stays_as_it_is(tmp_path: Path) -> None:
    told = ModelError("line 3 has 3 words; expected 4.", file="net.txt")
    with pytest.raises(ModelError) as error:
        found(tmp_path, raising(told)).read("net.txt")
    assert error.value is told


def test_another_result_than_networks_is_refused(tmp_path: Path) -> None:
    expected = "plugin 'mine', frontend 'text': read returned 3; expected NetworkViews."
    with pytest.raises(PluginError) as error:
        found(tmp_path, lambda: 3).read("net.txt")
    assert error.value.problem == expected


def test_a_frontend_that_runs_modules_of_users_tells_their_exceptions(tmp_path: Path) -> None:
    class Running(TextFrontend):
        runs_modules_of_users = True

    with pytest.raises(ValueError, match="of the user's module"):
        found(tmp_path, raising(ValueError("of the user's module")), Running).read("net.txt")


def test_a_frontend_without_solvers_says_which_commands_do_without(tmp_path: Path) -> None:
    frontend = found(tmp_path, lambda: None)
    with pytest.raises(EnvironmentUnsuitableError) as error:
        frontend.states_of("solver.txt")
    assert "commands that train need a frontend that reads one" in str(error.value)
    assert error.value.file == "solver.txt"
