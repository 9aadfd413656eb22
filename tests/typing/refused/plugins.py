"""Mistakes in plugins that a type checker must find.

Each line that it must refuse says at its end how.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Optional

from amct_core.extensions import (
    Calibrator,
    CliCommand,
    DeployBackend,
    Frontend,
    LayerType,
    Quantization,
    ShiftSearch,
    WeightAlgorithm,
    WeightAxes,
)
from amct_core.files import FileSet
from amct_core.graph import Graph, Node
from amct_core.hookspecs import hookimpl
from amct_core.quantized_model import QuantizedModel


def write_to(model: QuantizedModel, save_path: str) -> None:
    """Lacks the set of files."""


def write(model: QuantizedModel, save_path: str, files: FileSet) -> None:
    print(model.nodes)  # refused: attr-defined
    model.layers[0].offset = 0  # refused: misc
    files.add(save_path, 3)  # refused: arg-type


def check(node: Node) -> Optional[str]:
    """Lacks the graph."""
    return None


def load() -> str:
    """Gives a name in place of a command."""
    return "command"


class Half(Frontend):
    """Reads nothing."""

    name = "half"

    def recognises(self, model_file: bytes) -> bool:  # refused: override
        return False


class Deaf:
    """A search that observes nothing."""

    def result(self) -> int:
        return 3


def start(deq_scale: object, broadcast: bool) -> Deaf:
    return Deaf()


DeployBackend(name="x", description="", write=write_to)  # refused: arg-type
DeployBackend(name=3, description="", write=write)  # refused: arg-type
DeployBackend(name="x", write=write)  # refused: call-arg
CliCommand("hello", "Greet.", load)  # refused: arg-type
Quantization(check)  # refused: arg-type
LayerType("Gain", weights=0)  # refused: arg-type
LayerType("Gain", wieghts=WeightAxes(output=0))  # refused: call-arg
WeightAlgorithm(name="x", scales=None, quantize=write)  # refused: arg-type
Calibrator(name="x", calibrate="ifmr")  # refused: arg-type
ShiftSearch(name="x", start=start)  # refused: arg-type
Half()  # refused: abstract


@hookimpl
def amct_deploy_backends() -> Iterable[DeployBackend]:
    return ["ascend"]  # refused: list-item


@hookimpl
def amct_frontends() -> Iterable[Frontend]:
    return Graph("g", [], "g.txt")  # refused: return-value
