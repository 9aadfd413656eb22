"""The ways in which a network is computed: each runs a batch and gives blobs by name."""

from __future__ import annotations

import os
from typing import Any, Callable, Collection, Dict, Iterable, Mapping, Optional, Sequence, Tuple

import attrs
from numpy.typing import NDArray

from amct_core.errors import ModelError
from amct_core.extensions import Frontend
from amct_core.extensions.frontend import Executor
from amct_core.file_names import ModelFiles, fake_quant_files
from amct_core.network_state import NetworkState
from amct_core.saved_model import SavedModel
from cpu_sim_backend.ptq.engine import SimulatorEngine
from cpu_sim_backend.simulator import Simulator

Array = NDArray[Any]
Run = Callable[[Mapping[str, Array], Sequence[str]], Mapping[str, Array]]

FLOAT32, RETRAINED, FAKE_QUANT, INTEGER = "float32", "retrained", "fake-quant", "integer"


@attrs.frozen(eq=False)
class Column:
    """One way.

    Attributes:
        name: what it is called.
        description: what runs, in words.
        run: ``(batch, blobs) -> arrays``.
    """

    name: str
    description: str
    run: Run


@attrs.frozen
class FloatFiles:
    """The float32 model.

    Attributes:
        files: prototxt and weights.
        test_state: in which it is tested.
    """

    files: ModelFiles
    test_state: NetworkState = attrs.field(factory=NetworkState)


def float_column(
    frontend: Frontend,
    model: FloatFiles,
    inputs: Collection[str],
    blobs: Sequence[str],
    engine: str,
) -> Column:
    """Return the float32 model: in its framework where that is installed, else simulated.

    Args:
        frontend: reads it.
        model: its files.
        inputs, blobs: what it is fed with and has to give.
        engine: what simulates.

    Raises:
        ModelError: it reads other inputs.
    """
    words = " with ".join(map(os.path.basename, model.files))
    if frontend.runs_here():
        executor = frontend.executor(*model.files, model.test_state)
        _require_inputs(executor.inputs, inputs, model.files.model, "--float")
        return Column(FLOAT32, f"{words}, in {_framework(frontend)}", executor.run)
    graph = frontend.read_inference(*model.files, model.test_state)
    values = {blob: graph.final_value(blob) for blob in blobs}
    runner = SimulatorEngine(engine).prepare(graph, tuple(values.values()))
    _require_inputs(runner.inputs, inputs, model.files.model, "--float")

    def run(batch: Mapping[str, Array], wanted: Sequence[str]) -> Dict[str, Array]:
        found = runner(batch)
        return {blob: found[values[blob]] for blob in wanted}

    return Column(FLOAT32, f"{words}, simulated", run)


def framework_columns(
    frontend: Frontend, save_path: str, retrained: Optional[ModelFiles], inputs: Collection[str]
) -> Tuple[Tuple[Column, ...], Tuple[Tuple[str, str], ...]]:
    """Return the columns that only the framework can run, and those left out with the reason."""
    columns, left_out = [], []
    fake_quant = fake_quant_files(save_path)
    missing = [path for path in fake_quant if not os.path.isfile(path)]
    absent = None if frontend.runs_here() else f"{_framework(frontend)} is not installed here"
    if retrained is not None and absent is None:
        words = " with ".join(map(os.path.basename, retrained))
        executor = frontend.retrained_executor(*retrained)
        _require_inputs(executor.inputs, inputs, retrained.model, "--retrained")
        columns.append(_of_framework(RETRAINED, words, executor, frontend))
    elif retrained is not None:
        left_out.append((RETRAINED, str(absent)))
    if absent is None and not missing:
        frontend.check_saved_set(*fake_quant)
        words = os.path.basename(fake_quant.model)
        executor = frontend.fake_quant_executor(save_path)
        columns.append(_of_framework(FAKE_QUANT, words, executor, frontend))
    else:
        left_out.append((FAKE_QUANT, absent or f"there is no '{missing[0]}'"))
    return tuple(columns), tuple(left_out)


def _of_framework(name: str, words: str, executor: Executor, frontend: Frontend) -> Column:
    return Column(name, f"{words}, in {_framework(frontend)}", executor.run)


def open_simulator(
    saved: SavedModel, engine: str, soc_version: Optional[str], frontend: Frontend
) -> Simulator:
    """Return the deployable model; layers that cannot be simulated are fed by its framework.

    Raises:
        ModelError: there are such layers, and the framework is not installed.
    """
    simulator = Simulator.from_saved(saved, engine, soc_version=soc_version, feed_unknown=True)
    if simulator.fed_layers and not frontend.runs_here():
        return Simulator.from_saved(saved, engine, soc_version=soc_version)  # which names the layer
    return simulator


def simulated_column(simulator: Simulator, saved: SavedModel, frontend: Frontend) -> Column:
    """Return the deployable model in exact integers, or as a processor computes it."""
    words, device = os.path.basename(str(simulator.graph.file)), simulator.device
    name, how = INTEGER, f"in exact integers, {simulator.engine} engine"
    if device is not None:
        name, how = device.soc_version, f"as {device.soc_version} computes it"
    if not simulator.fed_layers:
        return Column(name, f"{words}, {how}", simulator.run)
    fed = tuple(layer.name for layer in simulator.fed_layers)
    executor = frontend.fake_quant_executor(saved.save_path)

    def run(batch: Mapping[str, Array], wanted: Sequence[str]) -> Dict[str, Array]:
        traced = executor.trace(batch, (), fed)
        return simulator.run(
            batch, wanted, {layer: arrays.tops for layer, arrays in traced.layers.items()}
        )

    how += f"; what {', '.join(fed)} give is taken from fake-quant in {_framework(frontend)}"
    return Column(name, f"{words}, {how}", run)


def _require_inputs(wanted: Iterable[str], fed: Collection[str], model: str, option: str) -> None:
    """Raise a ModelError where ``model`` reads inputs that the deployable model does not read."""
    others = [blob for blob in wanted if blob not in fed]
    if others:
        raise ModelError(
            f"it reads the inputs {', '.join(map(repr, others))}, which the deployable model does "
            f"not have; that reads {', '.join(map(repr, fed))}.",
            file=model,
            remedy=f"With {option}, give the network that the deployable model was made of.",
        )


def _framework(frontend: Frontend) -> str:
    return frontend.name.capitalize()
