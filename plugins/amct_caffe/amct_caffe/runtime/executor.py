"""Runs a saved model in Caffe on arrays."""

from __future__ import annotations

import os
import tempfile
from typing import Any, Callable, Dict, List, Mapping, Sequence, Tuple

import numpy as np
from numpy.typing import NDArray

from amct_caffe.model.formats.prototxt.document import Layer, NetDocument
from amct_caffe.runtime.buildable import require_buildable
from amct_caffe.runtime.pycaffe import TEST, caffe
from amct_core.errors import EnvironmentUnsuitableError, ModelError
from amct_core.extensions.frontend import Executor, Factors, LayerArrays, Trace

Shapes = Mapping[str, Sequence[int]]


class CaffeExecutor(Executor):
    """A net in the TEST phase that is fed with arrays.

    Caffe aborts the process when a net is built with inputs that do not fit its weights, so the net
    is built when the first arrays tell the shapes.

    Args:
        inputs: names of the input blobs.
        network: gives the net for input shapes.
        weights_file: caffemodel.
        factors: gives the factors of its Quant and DeQuant layers.
        check: raises an AmctError for input shapes that a layer cannot take.
    """

    def __init__(
        self,
        inputs: Sequence[str],
        network: Callable[[Shapes], NetDocument],
        weights_file: str,
        factors: Callable[[], Factors],
        check: Callable[[Shapes], None] = lambda shapes: None,
    ) -> None:
        if not os.path.isfile(weights_file):
            raise ModelError("there is no such file.", file=weights_file)
        self._inputs = tuple(inputs)
        self._network = network
        self._weights_file = weights_file
        self._factors = factors
        self._check = check
        self._shapes: Dict[str, Tuple[int, ...]] = {}
        self._layers: Mapping[str, Layer] = {}
        self._net: Any = None

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
        return self.trace(inputs, outputs, ()).blobs

    def trace(
        self,
        inputs: Mapping[str, NDArray[Any]],
        outputs: Sequence[str],
        layers: Sequence[str],
    ) -> Trace:
        """Run one batch as :meth:`run` does, and tell what ``layers`` read and gave."""
        self._feed(inputs)
        found = self._forward(layers)
        absent = [name for name in outputs if name not in self._net.blobs]
        if absent:
            raise ModelError(f"the net has no blobs {absent}; it has {list(self._net.blobs)}.")
        return Trace({name: np.array(self._net.blobs[name].data) for name in outputs}, found)

    def _feed(self, inputs: Mapping[str, NDArray[Any]]) -> None:
        missing = sorted(set(self._inputs) - set(inputs))
        if missing:
            raise ModelError(
                f"no data for the inputs {missing}; given: {sorted(inputs)}.",
                remedy="Give one array per network input, keyed by blob name.",
            )
        self._prepare({name: tuple(np.shape(inputs[name])) for name in self._inputs})
        for name in self._inputs:
            self._net.blobs[name].data[...] = inputs[name]

    def _forward(self, layers: Sequence[str]) -> Dict[str, LayerArrays]:
        """Run the net; stop before and behind each of ``layers``, and copy its blobs there."""
        names = list(self._net._layer_names)
        unknown = [layer for layer in layers if layer not in self._layers]
        if unknown:
            raise ModelError(f"the net has no layers {unknown}; it has {list(self._layers)}.")
        found: Dict[str, LayerArrays] = {}
        done = 0
        for index, name in sorted((names.index(layer), layer) for layer in layers):
            if index > done:
                self._net._forward(done, index - 1)
            layer = self._layers[name]
            bottoms = self._copies(layer.bottoms)
            self._net._forward(index, index)
            found[name] = LayerArrays(bottoms, self._copies(layer.tops))
            done = index + 1
        if done < len(names):
            self._net._forward(done, len(names) - 1)
        return found

    def _copies(self, blobs: Sequence[str]) -> List[NDArray[np.float32]]:
        return [np.array(self._net.blobs[blob].data) for blob in blobs]

    def factors(self) -> Factors:
        """Return the factors of the model's Quant and DeQuant layers, by layer name."""
        return self._factors()

    def _prepare(self, shapes: Dict[str, Tuple[int, ...]]) -> None:
        if self._net is None or shapes != self._shapes:
            self._check(shapes)
            # Not reshaped: an LSTM ends the process where the number of its time steps changes.
            self._net = None
            self._net = self._build(shapes)
            self._shapes = shapes

    def _build(self, shapes: Shapes) -> Any:
        document = self._network(shapes)
        self._layers = {layer.name: layer for layer in document.layers}
        prototxt = document.format()
        require_buildable(prototxt)
        # pycaffe builds nets from files only.
        descriptor, path = tempfile.mkstemp(suffix=".prototxt")
        try:
            with os.fdopen(descriptor, "w") as stream:
                stream.write(prototxt)
            return caffe.Net(path, TEST, weights=self._weights_file)
        finally:
            os.unlink(path)


def accuracy_of(model_file: str, weights_file: str, batches: int) -> float:
    """Return the mean of blob ``accuracy`` over TEST batches of the net's own data layer."""
    net = caffe.Net(model_file, TEST, weights=weights_file)
    # forward() returns views of the blobs, which the next forward overwrites.
    return float(np.mean([float(net.forward()["accuracy"]) for _ in range(batches)]))
