"""The example in each hook's documentation is a plugin that works as it stands."""

from __future__ import annotations

import inspect
import itertools
import textwrap
from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from amct_core import hookspecs
from amct_core.contracts.activations import CheckedActivation
from amct_core.graph import Graph, Node
from amct_core.graph.attributes import DeQuant, Quant
from amct_core.plugins import Registries, create_host
from amct_core.processor_families import find_family
from amct_core.registry import Registry

HOOKS = tuple(name for name in vars(hookspecs) if name.startswith("amct_"))


def examples(hook: str) -> list[str]:
    """Return the indented blocks that follow ``... ::`` in the docstring of ``hook``."""
    lines = inspect.cleandoc(getattr(hookspecs, hook).__doc__).splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("Example"))
    found = []
    for begin in (i + 1 for i in range(start, len(lines)) if lines[i].endswith("::")):
        indented = itertools.takewhile(lambda each: not each or each[0] == " ", lines[begin:])
        found.append(textwrap.dedent("\n".join(indented)))
    return found


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Registry[Any]]:
    """Return a function that installs a hook's example and gives what that hook's kind then has."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def installed(hook: str, number: int = 0) -> Registry[Any]:
        module = f"example_{number}_of_{hook}"
        (tmp_path / f"{module}.py").write_text(examples(hook)[number])
        found = Registries(create_host([EntryPoint("example", module, "amct")]))
        registry: Registry[Any] = getattr(found, hook[len("amct_") :])
        return registry

    return installed


@pytest.fixture
def provided(install: Callable[[str], Registry[Any]]) -> Callable[[str, str], Any]:
    """Return a function that gives what a hook's example registers under a name."""

    def get(hook: str, name: str) -> Any:
        return install(hook).get(name)

    return get


Provided = Callable[[str, str], Any]


@pytest.mark.parametrize("hook", HOOKS)
def test_every_example_registers_something(
    install: Callable[[str], Registry[Any]], hook: str
) -> None:
    registry = install(hook)
    assert [name for name in registry.names() if registry.provider(name) == "example"] != []


def test_every_hook_says_what_it_is_for_and_what_it_returns() -> None:
    for hook in HOOKS:
        documentation = inspect.cleandoc(getattr(hookspecs, hook).__doc__)
        assert documentation.startswith("Register ")
        assert "Returns:\n    Instances of :class:`~amct_core.extensions." in documentation


def test_frontends(provided: Provided, tmp_path: Path) -> None:
    frontend = provided("amct_frontends", "text")
    model = tmp_path / "model.net.txt"
    model.write_text("conv Convolution data conv\nrelu ReLU conv conv\n")
    assert frontend.recognises(str(model)) and not frontend.recognises("model.prototxt")
    np.savez(tmp_path / "weights.npz", conv=np.ones((2, 8), np.float32))
    views = frontend.read(str(model), str(tmp_path / "weights.npz"))
    assert [node.op for node in views.train.nodes] == ["Input", "Convolution", "ReLU"]
    assert [len(node.weights) for node in views.train.nodes] == [0, 1, 0]
    assert [str(value) for value in views.test.outputs] == ["conv#1"]


def gain_node(bottom: str, top: str, weights: Any) -> Node:
    parts: Any = {"bottoms": (bottom,), "tops": (top,), "weights": (weights,)}
    return Node("gain", "Gain", **parts)


def test_layer_types_say_what_can_be_quantized(provided: Provided) -> None:
    gain = provided("amct_layer_types", "Gain")
    node = gain_node("data", "gain", np.ones((3, 1), np.float32))
    graph = Graph("net", [node])
    assert gain.quantization.check(graph.nodes[0], graph) is None
    assert gain.weights.output == 0
    in_place = gain_node("data", "data", node.weights[0])
    assert gain.quantization.check(in_place, Graph("net", [in_place])) == "it works in place."


def test_activation_algorithms(provided: Provided) -> None:
    algorithm = provided("amct_activation_algorithms", "frozen_bounds")
    x = np.linspace(-1, 2, 7, dtype=np.float32)
    y, scale, offset = algorithm.forward(x, 2.0, -1.0)
    assert (scale, offset) == algorithm.factors(2.0, -1.0)
    assert np.abs(y - x).max() <= scale / 2 + 1e-6
    bottom_diff, clip_max_diff, clip_min_diff = algorithm.backward(x, np.ones_like(x), 2.0, -1.0)
    assert bottom_diff.shape == x.shape
    assert (clip_max_diff, clip_min_diff) == (0.0, 0.0)


def test_an_activation_algorithm_that_learns_and_keeps_more(
    install: Callable[..., Registry[Any]],
) -> None:
    algorithm = (
        install("amct_activation_algorithms", 1).get("running_maximum").bound({"share": 0.5})
    )
    assert [blob.name for blob in algorithm.blobs] == ["slack", "largest"]
    x = np.linspace(-4, 2, 7, dtype=np.float32)
    values = {"slack": np.float32([0.25]), "largest": np.float32([1.0])}
    checked = CheckedActivation(algorithm, None)
    found = checked.new_values(x, 1.0, 0.0, False, values=values)
    assert {name: value.tolist() for name, value in found.items()} == {"largest": [4.0]}
    values = {**values, **found}
    y = np.empty_like(x)
    factors = checked.forward(x, y, 1.0, 0.0, False, values=values)
    assert factors == checked.factors(1.0, 0.0, False, values=values)
    assert factors == (np.float32(2.25 / 127), 0)
    bottom_diff = np.empty_like(x)
    gradients = checked.backward(x, np.ones_like(x), bottom_diff, 1.0, 0.0, False, values=values)
    assert gradients[:2] == (0.0, 0.0)
    assert gradients[2]["slack"].tolist() == [-2.0]  # of -4 and -3, which are clipped
    assert bottom_diff.tolist() == [0, 0, 1, 1, 1, 1, 1]


def test_a_weight_algorithm_that_learns_scales(install: Callable[..., Registry[Any]]) -> None:
    algorithm = install("amct_weight_algorithms", 1).get("learned_scales")
    assert algorithm.learns_scales
    weights = np.array([[1.0, 2.4], [0.4, -0.1]], np.float32)
    scale = np.ones(2, np.float32)
    d_weights, d_scale = algorithm.backward(weights, np.ones_like(weights), scale, 0)
    assert d_weights.tolist() == [[1, 1], [1, 1]]
    assert d_scale == pytest.approx([-0.4 / 2, -0.3 / 2])


def test_weight_algorithms(provided: Provided) -> None:
    algorithm = provided("amct_weight_algorithms", "power_of_two")
    weights = np.array([[1.0, -3.0], [0.1, 0.2]], np.float32)
    scale = algorithm.scales(weights, 0)
    mantissa, _ = np.frexp(scale)
    assert np.array_equal(mantissa, [0.5, 0.5])
    quantized = algorithm.quantize(weights, scale, 0)
    assert quantized.dtype == np.int8
    assert np.abs(quantized * scale[:, None] - weights).max() <= scale.max() / 2


def test_weight_roundings(provided: Provided) -> None:
    nearest = np.array([[[1, 5, -1]]], np.int8)
    start = provided("amct_weight_roundings", "without_dead_inputs").start
    run = start(nearest.astype(np.float32), np.ones((1, 1, 1), np.float32), nearest)
    columns = np.array([[[0.0, 0.0], [0.0, 0.0], [0.0, 2.0]]], np.float32)
    run.observe(columns)
    assert run.result().tolist() == [[[0, 5, -1]]]
    assert run.result().dtype == np.int8


def test_calibrators(provided: Provided) -> None:
    run = provided("amct_calibrators", "mean_of_extremes").start()
    for batch in ([-1.5, 1.1], [-0.5, 2.0]):
        run.observe(np.array(batch, np.float32))
    scale, offset = run.result()
    assert scale == np.float32(2.55) / np.float32(255)
    assert offset == 100 - 128


def test_shift_searches(provided: Provided) -> None:
    search = provided("amct_shift_searches", "always_four").start(np.ones(2, np.float32), False)
    search.observe(np.zeros((1, 2, 3, 3), np.float32))
    found = search.result()
    assert found.dtype == np.uint8
    assert found.tolist() == [4, 4]


def test_deploy_backends(provided: Provided) -> None:
    backend = provided("amct_deploy_backends", "factors")

    class Layer:
        name, quant_scale, offset = "conv", np.float32(0.5), -128

    class Model:
        layers = (Layer(),)

    class Files:
        def __init__(self) -> None:
            self.added: dict[str, str] = {}

        def add(self, path: str, content: str) -> None:
            self.added[path] = content

    files = Files()
    backend.write(Model(), "result/model", files)
    assert files.added == {"result/model_factors.txt": "conv 0.5 -128"}


def test_layer_types_say_how_they_are_computed(provided: Provided) -> None:
    simulator = provided("amct_layer_types", "Gain")
    x = np.arange(4).reshape(1, 2, 2)
    gain = gain_node("x", "y", np.array([[3], [-2]], np.int8))
    assert simulator.accumulate(gain, x.astype(np.int32)).tolist() == [[[0, 3], [-4, -6]]]
    (y,) = simulator.run(gain, [x.astype(np.float32)])
    assert y.tolist() == [[[0.0, 3.0], [-4.0, -6.0]]]
    writer = Writer()
    (in_graph,) = Graph("net", [gain]).nodes
    simulator.onnx(writer, in_graph, ["x"], ["y"])
    assert writer.added == [("constant", [[3], [-2]]), ("Mul", ["x", "gains"], "y")]


class Writer:
    """Stands in for what an ONNX form is written into."""

    def __init__(self) -> None:
        self.added: list[tuple[Any, ...]] = []

    def shape(self, node: Node, value: Any) -> tuple[int, ...]:
        return (1, 2, 2)

    def constant(self, array: Any, dtype: Any) -> str:
        self.added.append(("constant", np.asarray(array, dtype)[0].tolist()))
        return "gains"

    def add(self, operator: str, inputs: list[str], output: str) -> str:
        self.added.append((operator, inputs, output))
        return output


def test_lint_rules(provided: Provided) -> None:
    rule = provided("amct_lint_rules", "BOARD1")

    def network(size: int) -> Graph:
        quant = Node("quant", "Quant", ("data",), ("q",), Quant(1.0, 0))
        weights = (np.zeros((1, size), np.int8),)
        return Graph("net", [quant, Node("fc", "InnerProduct", ("q",), ("a",), weights=weights)])

    assert list(rule.check(network(8_000_000), None)) == []
    (problem,) = rule.check(network(8_000_001), None)
    assert problem.message == "int8 weights take 8000001 bytes; expected at most 8000000."
    assert rule.page().startswith("# BOARD1: The weights do not fit the board's memory\n")


def test_passes(provided: Provided) -> None:
    from amct_caffe.model.formats.prototxt.document import from_text
    from amct_caffe.model.network import CaffeNetwork

    leaky = 'layer { name: "r" type: "ReLU" bottom: "x" top: "y" relu_param { %s } }'
    network = CaffeNetwork(from_text(leaky % "negative_slope: 0.1", "net.prototxt"))
    declared = provided("amct_passes", "even_slopes")
    assert (declared.frontend, declared.place) == ("caffe", "before insertion")
    after = declared.create().run(network)
    assert "negative_slope: 0.125" in after.document.format()
    assert "negative_slope: 0.1\n" in network.document.format()


def test_evaluators(provided: Provided) -> None:
    evaluator = provided("amct_evaluators", "margin")
    logits = np.log(np.array([[0.1, 0.8, 0.2], [0.4, 0.2, 0.4]], np.float32))
    others = np.zeros_like(logits)
    assert evaluator.score({"prob": others, "ip": logits}, None) == pytest.approx([0.75, 0.0])


def test_report_sections(provided: Provided) -> None:
    section = provided("amct_report_sections", "memory")
    words = np.ones(1, np.float32).view(np.uint32).astype(np.uint64)
    nodes = [
        Node("quant", "Quant", ("data",), ("q",), Quant(1.0, 0)),
        Node("fc", "InnerProduct", ("q",), ("a",), weights=(np.zeros((3, 4), np.int8),)),
        Node("dequant", "DeQuant", ("a",), ("y",), DeQuant(), (words,)),
    ]
    content = section.build({}, Graph("net", nodes))
    assert content.paragraphs == ("int8 weights take 12 bytes.",)
    assert (content.headings, content.rows) == (("layer", "bytes"), (("fc", 12),))


def test_processor_families(install: Callable[[str], Registry[Any]]) -> None:
    family = find_family(install("amct_processor_families"), "Example1B")
    assert family.name == "Example1"
    quant = Node("quant", "Quant", ("data",), ("q",), Quant(1.0, 0))
    first = Node("first", "InnerProduct", ("q",), ("acc",))
    (found,) = family.rolled_back(Graph("net", [quant, first]))
    assert (found.layer, found.reason) == ("first", "it is the first layer")
    assert list(family.rolled_back(Graph("net", []))) == []


def test_cli_commands(provided: Provided, capsys: pytest.CaptureFixture[str]) -> None:
    command = provided("amct_cli_commands", "hello").load()
    command(args=[], standalone_mode=False)
    assert capsys.readouterr().out == "hello\n"


def test_the_documented_entry_point_group_is_the_one_that_is_searched() -> None:
    assert f"[project.entry-points.{hookspecs.PROJECT}]" in (hookspecs.__doc__ or "")
