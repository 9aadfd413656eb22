"""Puts an ONNX graph together."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from amct_core.errors import ModelError
from amct_core.graph import Graph, Node, Value

OPSET = 13
IR_VERSION = 8


class GraphBuilder:
    """Nodes, constants and names of an ONNX graph.

    Args:
        graph: the network that is exported.
        shapes: of its values, as far as they are known.
    """

    def __init__(self, graph: Graph, shapes: Mapping[Value, Tuple[int, ...]]) -> None:
        self.shapes = shapes
        self.nodes: List[Any] = []
        self._constants: Dict[str, Any] = {}
        self._last: Dict[str, int] = {}
        for node in graph.nodes:
            for value in node.outputs:
                self._last[value.name] = max(value.version, self._last.get(value.name, 0))
        self._counts: Dict[str, int] = dict.fromkeys(self._last, 1)

    def shape(self, node: Node, value: Value) -> Tuple[int, ...]:
        """Return the shape of a value.

        Raises:
            ModelError: it is not known.
        """
        if value not in self.shapes:
            raise ModelError(
                f"the shape of '{value}' is not known, and the export needs it.",
                layer=node.name,
                remedy="Give the network's Input layers their shapes.",
            )
        return self.shapes[value]

    def name(self, value: Value) -> str:
        """Return the ONNX name of a value.

        What a blob holds in the end has the blob's own name; what it held before a layer worked on
        it in place has a number behind it.
        """
        if value.version == self._last.get(value.name, value.version):
            return value.name
        return f"{value.name}#{value.version}"

    def fresh(self, wanted: str) -> str:
        """Return ``wanted``, or ``wanted`` with a number if it is taken."""
        count = self._counts.get(wanted, 0)
        self._counts[wanted] = count + 1
        return wanted if count == 0 else f"{wanted}/{count}"

    def constant(self, array: Any, dtype: Any) -> str:
        """Return the name of a constant tensor."""
        values: NDArray[Any] = np.asarray(array, dtype)
        name = self.fresh("constant")
        self._constants[name] = numpy_helper.from_array(np.asarray(values, order="C"), name)
        return name

    def add(
        self,
        operator: str,
        inputs: Sequence[str],
        output: Optional[str] = None,
        **attributes: Any,
    ) -> str:
        """Add one node with one output; return the output's name."""
        output = self.fresh(operator) if output is None else output
        (name,) = self.add_many(operator, inputs, [output], **attributes)
        return name

    def add_many(
        self, operator: str, inputs: Sequence[str], outputs: Sequence[str], **attributes: Any
    ) -> List[str]:
        """Add one node; return the names of its outputs."""
        name = self.fresh(f"{outputs[0]}/{operator}")
        self.nodes.append(helper.make_node(operator, inputs, outputs, name=name, **attributes))
        return list(outputs)

    def model(self, graph_name: str, inputs: Sequence[Value], outputs: Sequence[Value]) -> Any:
        """Return the checked model.

        Args:
            graph_name: the network's name.
            inputs, outputs: float32 values.

        Raises:
            ModelError: ONNX has no model of this network, such as one that gives integers.
        """
        graph = helper.make_graph(
            self.nodes,
            graph_name or "network",
            [self._declared(value) for value in inputs],
            [self._declared(value) for value in outputs],
            list(self._constants.values()),
        )
        opsets = [helper.make_opsetid("", OPSET)]
        model = helper.make_model(graph, opset_imports=opsets, producer_name="amct")
        model.ir_version = IR_VERSION
        try:
            onnx.checker.check_model(model, full_check=True)
        except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
            raise ModelError(
                f"it has no valid form in ONNX: {error}",
                remedy="Simulate the model instead.",
            ) from error
        return model

    def _declared(self, value: Value) -> Any:
        shape: List[Any] = list(self.shapes.get(value, ()))
        if shape:
            shape[0] = "N"  # any batch size
        return helper.make_tensor_value_info(self.name(value), onnx.TensorProto.FLOAT, shape)
