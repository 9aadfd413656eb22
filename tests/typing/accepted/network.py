"""A layer type and a frontend."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Optional

import numpy as np
from numpy.typing import NDArray

from amct_core.errors import EnvironmentUnsuitableError
from amct_core.extensions import Frontend, LayerType, Quantization, WeightAxes, same_shape
from amct_core.extensions.frontend import Executor, InsertionRequest, NetworkViews
from amct_core.files import FileSet
from amct_core.graph import Graph, Node
from amct_core.hookspecs import hookimpl
from amct_core.network_state import NetworkStates
from amct_core.quantized_model import QuantizedModel
from amct_core.retrained import RetrainedNetwork


class TextFrontend(Frontend):
    name = "text"

    def recognises(self, model_file: str) -> bool:
        return model_file.endswith(".txt")

    def read(
        self,
        model_file: str,
        weights_file: Optional[str] = None,
        states: Optional[NetworkStates] = None,
    ) -> NetworkViews:
        graph = Graph("text", [Node("relu", "ReLU", ("data",), ("out",))], model_file)
        return NetworkViews(train=graph, test=graph)

    def insert(self, request: InsertionRequest) -> None:
        raise EnvironmentUnsuitableError("text networks cannot be trained.")

    def read_retrained(
        self, model_file: str, weights_file: str, states: Optional[NetworkStates] = None
    ) -> RetrainedNetwork:
        raise EnvironmentUnsuitableError("text networks cannot be trained.")

    def write_fake_quant(self, model: QuantizedModel, save_path: str, files: FileSet) -> None:
        raise EnvironmentUnsuitableError("text networks cannot be run.")

    def fake_quant_executor(self, save_path: str) -> Executor:
        raise EnvironmentUnsuitableError("text networks cannot be run.")


def check(node: Node, graph: Graph) -> Optional[str]:
    return "it works in place." if node.in_place else None


def run(node: Node, inputs: Sequence[NDArray[np.float32]]) -> Sequence[NDArray[np.float32]]:
    return [inputs[0] * node.weights[0]]


@hookimpl
def amct_frontends() -> Iterable[Frontend]:
    return [TextFrontend()]


@hookimpl
def amct_layer_types() -> Iterable[LayerType]:
    quantization = Quantization(check, channel_wise_allowed=True)
    weights = WeightAxes(output=0)
    yield LayerType(
        name="Gain", shape=same_shape, weights=weights, quantization=quantization, run=run
    )
