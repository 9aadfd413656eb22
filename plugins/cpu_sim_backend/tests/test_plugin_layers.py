"""A layer type that nobody knows is named; a plugin's hook makes it run, verify and export."""

from __future__ import annotations

import textwrap
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Callable, Iterator

import numpy as np
import pytest

from amct_caffe.model.formats.prototxt import document as documents
from amct_caffe.model.network import CaffeNetwork
from amct_caffe.model.to_graph import to_graph
from amct_core import plugins
from amct_core.errors import ModelError, PluginError
from amct_core.extensions import LayerType
from amct_core.graph import Graph
from cpu_sim_backend import Simulator

RUN = """
import numpy as np
from amct_core.extensions import LayerType
from amct_core.hookspecs import hookimpl

def run(node, inputs):
    x = inputs[0]
    return [x[:, ::-1] * np.float32(2), x + np.float32(1)]

def accumulate(node, centered):
    return centered.astype(np.int64) * node.weights[0].astype(np.int64).reshape(1, -1, 1, 1)
"""

FORMS = """
def onnx(writer, node, inputs, outputs):
    channels = writer.shape(node, node.inputs[0])[1]
    order = writer.constant(np.arange(channels)[::-1], np.int64)
    turned = writer.add("Gather", [inputs[0], order], axis=1)
    writer.add("Mul", [turned, writer.constant(2, np.float32)], outputs[0])
    writer.add("Add", [inputs[0], writer.constant(1, np.float32)], outputs[1])

def onnx_accumulate(writer, node, q, offset):
    wide = writer.add("Cast", [q], to=6)
    centered = writer.add("Sub", [wide, writer.constant(offset + 128, np.int32)])
    gains = writer.constant(node.weights[0].reshape(1, -1, 1, 1), np.int32)
    return writer.add("Mul", [centered, gains])
"""

HOOK = """
@hookimpl
def amct_layer_types():
    return [
        LayerType("Turn", run=run{float_form}),
        LayerType("Gain", accumulate=accumulate{integer_form}),
    ]
"""

SIMULATED = RUN + HOOK.format(float_form="", integer_form="")
BOTH = {"float_form": ", onnx=onnx", "integer_form": ", onnx_accumulate=onnx_accumulate"}
EXPORTED = RUN + FORMS + HOOK.format(**BOTH)

NETWORK = """
layer { name: "data" type: "Input" top: "data"
  input_param { shape { dim: 2 dim: 3 dim: 4 dim: 4 } } }
layer { name: "turn" type: "Turn" bottom: "data" top: "turned" top: "more" }
layer { name: "quant" type: "Quant" bottom: "turned" top: "q"
  quant_param { scale: 20.0 offset: "\\373" } }
layer { name: "gain" type: "Gain" bottom: "q" top: "sums" }
layer { name: "dequant" type: "DeQuant" bottom: "sums" top: "gained" }
layer { name: "conv quant" type: "Quant" bottom: "gained" top: "conv q"
  quant_param { scale: 30.0 offset: "\\000" } }
layer { name: "conv" type: "Convolution" bottom: "conv q" top: "conv"
  convolution_param { num_output: 2 kernel_size: 3 } }
layer { name: "conv dequant" type: "DeQuant" bottom: "conv" top: "out" }
"""


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Return a function that adds a plugin to the installed ones."""
    installed = plugins.installed_entry_points()
    monkeypatch.syspath_prepend(str(tmp_path))

    def forget() -> None:
        plugins.host.cache_clear()
        plugins.registries.cache_clear()

    def add(source: str) -> None:
        module = f"turn_and_gain_{len(source)}"
        (tmp_path / f"{module}.py").write_text(textwrap.dedent(source))
        own = EntryPoint("turn_and_gain", module, "amct")
        monkeypatch.setattr(plugins, "installed_entry_points", lambda: [*installed, own])
        forget()

    yield add
    monkeypatch.undo()
    forget()


def graph() -> Graph:
    """Return a network with a float and a quantized layer of types that only a plugin declares."""
    generator = np.random.default_rng(0)
    words = np.full(3, np.float32(0.001).view(np.uint32), np.uint64)
    weights = {
        "gain": [np.int8([3, -5, 100])],
        "dequant": [words],
        "conv": [
            generator.integers(-128, 128, (2, 3, 3, 3)).astype(np.int8),
            np.int32([100, -200]),
        ],
        "conv dequant": [words[:2]],
    }
    network = CaffeNetwork(documents.from_text(NETWORK), weights)
    return to_graph(network, "TEST")


@pytest.fixture
def data() -> np.ndarray:
    return np.random.default_rng(1).normal(0, 2, (5, 3, 4, 4)).astype(np.float32)


BLOBS = ["turned", "more", "q", "sums", "conv q", "conv", "out"]


@pytest.mark.parametrize(
    ("own", "layer", "named"),
    [
        ("Gain", "turn", "layer type 'Turn' cannot be simulated; known: "),
        ("Turn", "gain", "layer type 'Gain' cannot be simulated in integers; known: "),
    ],
)
def test_a_layer_that_cannot_be_simulated_is_named_with_the_hook(
    install: Callable[[str], None], own: str, layer: str, named: str
) -> None:
    other = {"Gain": "Turn", "Turn": "Gain"}[own]
    lines = [line for line in SIMULATED.splitlines() if f'LayerType("{other}"' not in line]
    install("\n".join(lines))
    with pytest.raises(ModelError) as caught:
        Simulator.from_graph(graph())
    assert (caught.value.layer, caught.value.field) == (layer, "type")
    assert named in str(caught.value)
    assert "A plugin adds it with the hook amct_layer_types." in str(caught.value)


@pytest.mark.parametrize("engine", ["reference", "fast"])
def test_a_plugin_makes_it_run(
    install: Callable[[str], None], data: np.ndarray, engine: str
) -> None:
    if engine == "fast":
        pytest.importorskip("numba")
        pytest.importorskip("onnxruntime")
    install(SIMULATED)
    found = Simulator.from_graph(graph(), engine).run({"data": data}, BLOBS)
    turned = data[:, ::-1] * np.float32(2)
    np.testing.assert_array_equal(found["turned"], turned)
    np.testing.assert_array_equal(found["more"], data + np.float32(1))
    q = np.clip(np.rint(turned * np.float32(20) - np.float32(5)), -128, 127)
    np.testing.assert_array_equal(found["q"], q)
    gains = np.reshape([3, -5, 100], (1, 3, 1, 1))
    np.testing.assert_array_equal(found["sums"], (q + 5) * gains)
    assert found["sums"].dtype == np.int32


def test_without_an_onnx_form_the_layer_is_named(install: Callable[[str], None]) -> None:
    pytest.importorskip("onnx")
    from cpu_sim_backend.onnx_export import export

    install(SIMULATED)
    with pytest.raises(ModelError, match="'turn': layer type 'Turn' has no form in ONNX") as caught:
        export(graph())
    assert "'onnx' in the hook amct_layer_types" in str(caught.value)
    install(SIMULATED.replace("run=run", "run=run, onnx=lambda *_: None"))
    with pytest.raises(ModelError, match="'gain': layer type 'Gain' has no integer form") as caught:
        export(graph())
    assert "'onnx_accumulate' in the hook amct_layer_types" in str(caught.value)


def test_a_plugin_gives_the_onnx_form(install: Callable[[str], None], data: np.ndarray) -> None:
    """No rule of shape inference knows the layers; those behind them are exported all the same."""
    pytest.importorskip("onnx")
    onnxruntime = pytest.importorskip("onnxruntime")
    from cpu_sim_backend.onnx_export import export

    install(EXPORTED)
    model = export(graph())
    for name in BLOBS[2:6]:
        import onnx

        model.graph.output.append(onnx.helper.make_empty_tensor_value_info(name))
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    names = ["more", *BLOBS[2:]]
    found = dict(zip(names, session.run(names, {"data": data})))
    expected = Simulator.from_graph(graph(), "reference").run({"data": data}, names)
    for name in names:
        offset = 128 if found[name].dtype == np.uint8 else 0
        np.testing.assert_array_equal(found[name].astype(np.float64) - offset, expected[name], name)


class TestParts:
    """Plugins may share a layer type."""

    def test_each_part_may_come_from_another_plugin(self) -> None:
        parts = {part: (lambda *_: None) for part in ("run", "accumulate", "onnx")}
        run, accumulate, form = (LayerType("Gain", **{n: f}) for n, f in parts.items())
        first = run.joined(accumulate)
        assert first is not None
        whole = first.joined(form)
        assert whole == LayerType("Gain", **parts)

    @pytest.mark.parametrize("part", ["run", "accumulate", "onnx", "onnx_accumulate"])
    def test_a_part_that_comes_twice_is_a_conflict(self, part: str) -> None:
        one, two = (LayerType("Gain", **{part: lambda *_: None}) for _ in range(2))
        assert one.joined(two) == (part,)


WRONG_RULES = {
    "floats": ("RIGHT * np.float64(1)", ("accumulate gave float64 (5, 3, 4, 4)", "int64 array")),
    "None": ("None", ("accumulate gave None", "expected an int64 array")),
    "a wrong shape": (
        "RIGHT[:, :2]",
        ("accumulate gave an array of shape (5, 2, 4, 4)", "expected (5, 3, 4, 4)"),
    ),
    "another batch": ("RIGHT[:1]", ("shape (1, 3, 4, 4)", "expected (5, 3, 4, 4)")),
    "an exception": ("1 / 0", ("accumulate failed with ZeroDivisionError: division by zero.",)),
}


@pytest.mark.parametrize("name", WRONG_RULES)
def test_a_mistake_of_an_integer_rule_is_one_message(
    install: Callable[[str], None], data: np.ndarray, name: str
) -> None:
    made, said = WRONG_RULES[name]
    head, _, right = SIMULATED.partition("    return centered")
    rule = f"    RIGHT = centered{right}".replace("\n@hookimpl", f"    return {made}\n\n@hookimpl")
    source = head + rule.replace('"Gain",', '"Gain", shape=same_shape,')
    install(source.replace("import LayerType", "import LayerType, same_shape"))
    simulator = Simulator.from_graph(graph())
    with pytest.raises(PluginError) as caught:
        simulator.run({"data": data}, ["out"])
    for part in ("layer 'gain': plugin 'turn_and_gain', layer type 'Gain': ", *said):
        assert part in str(caught.value)


def test_an_exception_in_float_numbers_is_one_message(
    install: Callable[[str], None], data: np.ndarray
) -> None:
    install(SIMULATED.replace("    x = inputs[0]\n", "    x = inputs[77]\n"))
    simulator = Simulator.from_graph(graph())
    with pytest.raises(PluginError, match="run failed with IndexError") as caught:
        simulator.run({"data": data}, ["out"])
    assert "layer 'turn': plugin 'turn_and_gain', layer type 'Turn': " in str(caught.value)
    assert isinstance(caught.value.__cause__, IndexError)


@pytest.mark.parametrize(
    ("returned", "said"),
    [
        ("[x]", "run returned 1 outputs; expected 2, one for each output of the layer."),
        ("[]", "run returned 0 outputs; expected 2, one for each output of the layer."),
        ("x", "run returned float32 (5, 3, 4, 4); expected a list of 2 arrays, one for each"),
        ("None", "run returned None; expected a list of 2 arrays"),
    ],
)
def test_a_plugin_that_computes_too_few_outputs_is_named(
    install: Callable[[str], None], data: np.ndarray, returned: str, said: str
) -> None:
    kept = "return [x[:, ::-1] * np.float32(2), x + np.float32(1)]"
    install(SIMULATED.replace(kept, f"return {returned}"))
    with pytest.raises(PluginError) as caught:
        Simulator.from_graph(graph(), "reference").run({"data": data}, BLOBS)
    text = str(caught.value)
    assert text.startswith(f"layer 'turn': plugin 'turn_and_gain', layer type 'Turn': {said}")
    assert "Uninstall the plugin, or tell its author." in text
