"""Runs a saved model in Caffe on arrays."""

from __future__ import annotations

import os
import tempfile
from typing import Any, Callable, Dict, Mapping, Sequence, Tuple

import numpy as np
from numpy.typing import NDArray

from amct_caffe.runtime.library_probe import LibraryProbe
from amct_caffe.runtime.pycaffe import TEST, caffe
from amct_core.errors import EnvironmentUnsuitableError, ModelError
from amct_core.extensions.frontend import Executor, Factors
from amct_core.graph import Node

Shapes = Mapping[str, Sequence[int]]


class CaffeExecutor(Executor):
    """A net in the TEST phase that is fed with arrays.

    Caffe aborts the process when a net is built with inputs that do not fit its weights, so the net
    is built when the first arrays tell the shapes.

    Args:
        inputs: names of the input blobs.
        prototxt: gives the text of the net for input shapes.
        weights_file: caffemodel.
        factors: gives the factors of its Quant and DeQuant layers.
    """

    def __init__(
        self,
        inputs: Sequence[str],
        prototxt: Callable[[Shapes], str],
        weights_file: str,
        factors: Callable[[], Factors],
    ) -> None:
        if not os.path.isfile(weights_file):
            raise ModelError("there is no such file.", file=weights_file)
        self._inputs = tuple(inputs)
        self._prototxt = prototxt
        self._weights_file = weights_file
        self._factors = factors
        self._shapes: Dict[str, Tuple[int, ...]] = {}
        self._net: Any = None
        self._libraries = LibraryProbe()

    @property
    def inputs(self) -> Sequence[str]:
        """Input blobs."""
        return self._inputs

    @property
    def outputs(self) -> Sequence[str]:
        """Output blobs; known once a batch has run."""
        if self._net is None:
            raise EnvironmentUnsuitableError("the outputs are known after the first batch only.")
        return tuple(self._net.outputs)

    def run(
        self, inputs: Mapping[str, NDArray[Any]], outputs: Sequence[str]
    ) -> Mapping[str, NDArray[np.float32]]:
        """Run one batch and return copies of the blobs named in ``outputs``."""
        missing = sorted(set(self._inputs) - set(inputs))
        if missing:
            raise ModelError(
                f"no data for the inputs {missing}; given: {sorted(inputs)}.",
                remedy="Give one array per network input, keyed by blob name.",
            )
        self._prepare({name: tuple(np.shape(inputs[name])) for name in self._inputs})
        for name in self._inputs:
            self._net.blobs[name].data[...] = inputs[name]
        self._net.forward()
        absent = [name for name in outputs if name not in self._net.blobs]
        if absent:
            raise ModelError(f"the net has no blobs {absent}; it has {list(self._net.blobs)}.")
        return {name: np.array(self._net.blobs[name].data) for name in outputs}

    def factors(self) -> Factors:
        """Return the factors of the model's Quant and DeQuant layers, by layer name."""
        return self._factors()

    def follows(self, node: Node) -> bool:
        """Return whether this Caffe computes the layer as we do, which a run of it tells."""
        return not node.type.is_library_dependent(node) or self._libraries.follows(node)

    def _prepare(self, shapes: Dict[str, Tuple[int, ...]]) -> None:
        if self._net is not None and shapes == self._shapes:
            return
        same_samples = self._net is not None and all(
            shapes[name][1:] == self._shapes[name][1:] for name in self._inputs
        )
        if same_samples:
            for name in self._inputs:
                self._net.blobs[name].reshape(*shapes[name])
            self._net.reshape()
        else:
            self._net = self._build(shapes)
        self._shapes = shapes

    def _build(self, shapes: Shapes) -> Any:
        # pycaffe builds nets from files only.
        descriptor, path = tempfile.mkstemp(suffix=".prototxt")
        try:
            with os.fdopen(descriptor, "w") as stream:
                stream.write(self._prototxt(shapes))
            return caffe.Net(path, TEST, weights=self._weights_file)
        finally:
            os.unlink(path)


def accuracy_of(model_file: str, weights_file: str, batches: int) -> float:
    """Return the mean of blob ``accuracy`` over TEST batches of the net's own data layer."""
    net = caffe.Net(model_file, TEST, weights=weights_file)
    # forward() returns views of the blobs, which the next forward overwrites.
    return float(np.mean([float(net.forward()["accuracy"]) for _ in range(batches)]))
