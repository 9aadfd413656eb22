"""A Caffe network with its weights."""

from __future__ import annotations

import hashlib
import logging
from typing import Any, Dict, Iterable, List, Mapping, Optional, Sequence

import attrs
from numpy.typing import NDArray

from amct_caffe.model.formats.caffemodel.wire import Buffer
from amct_caffe.model.formats.prototxt import document as documents
from amct_caffe.model.formats.prototxt.document import Layer, NetDocument
from amct_caffe.model.layer_type import expected_blobs, needs_weights
from amct_caffe.model.quantized_names import find_quantized
from amct_caffe.model.schema.encoding import encode
from amct_caffe.model.stored_weights import read_blobs
from amct_core.errors import ModelError
from amct_core.files import map_file
from amct_core.float_model import FloatModel, KnownFile
from amct_core.network_state import NetworkStates

Blobs = List[NDArray[Any]]

_log = logging.getLogger("amct_caffe.model.network")


@attrs.define(eq=False)
class CaffeNetwork:
    """A prototxt and the blobs of its layers.

    Attributes:
        document: the network.
        weights: blobs by layer name, in the shapes that Caffe itself gives them.
        model_file: where the prototxt comes from.
        weights_file: where the blobs come from.
        strangers: layers with blobs that the weights file has and the network has not.
        contents: of the weights file, mapped; None: there is none.
    """

    document: NetDocument
    weights: Dict[str, Blobs] = attrs.field(factory=dict)
    model_file: Optional[str] = None
    weights_file: Optional[str] = None
    strangers: Sequence[str] = ()
    contents: Optional[Buffer] = attrs.field(default=None, repr=False)

    def copy(self) -> CaffeNetwork:
        """Return a copy whose layers and lists of blobs can be changed; arrays are shared."""
        weights = {name: list(blobs) for name, blobs in self.weights.items()}
        return attrs.evolve(self, document=self.document.copy(), weights=weights)

    @property
    def float_model(self) -> Optional[FloatModel]:
        """The files that were read, as they were then; None: there were not both.

        No file is opened once more.
        """
        document = self.document
        if self.model_file is None or self.weights_file is None or self.contents is None:
            return None
        return FloatModel(
            KnownFile.of(self.model_file, document.sha256),
            KnownFile.of(self.weights_file, hashlib.sha256(self.contents).hexdigest()),
            document.states.test,
        )

    @property
    def others(self) -> Mapping[str, bytes]:
        """By layer name, what Caffe writes about a layer beside its blobs, in binary format.

        Fields that the schema does not know have no number there; they are in the prototxt alone.
        """
        return {
            layer.name: encode(layer.message, "LayerParameter", leave_out=frozenset({"blobs"}))
            for layer in self.document.layers
            if layer.name in self.weights
        }

    def missing_weights(self, layers: Optional[Iterable[Layer]] = None) -> List[str]:
        """Return the names of the layers that cannot work without weights and have none.

        Args:
            layers: the layers to look at, such as those of one phase; None: all that are used.
        """
        looked_at = self.document.used_layers() if layers is None else layers
        missing = [layer.name for layer in looked_at if needs_weights(layer)]
        return [name for name in dict.fromkeys(missing) if not self.weights.get(name)]


def read_network(
    model_file: str, weights_file: Optional[str] = None, states: Optional[NetworkStates] = None
) -> CaffeNetwork:
    """Read a network and, if given, its weights.

    Layers that neither training nor testing has, in their ``states``, keep the weights that the
    file has for them; they need not have any.

    Layers of the weights file that the network does not have are ignored, as in Caffe; layers
    of the network that the file does not have stay without weights, with a warning.  Both at once
    are the weights of another network, or a layer that was renamed: Caffe would go on with random
    weights, and to quantize those is of no use.

    Raises:
        FileFormatError: a file is damaged.
        ModelError: the weights are not those of the network; the message names both files, the
            layer, the blob and the shapes.
    """
    document = documents.read(model_file)
    if states is not None:
        document.states = states
    network = CaffeNetwork(document, model_file=model_file, weights_file=weights_file)
    if weights_file is None:
        return network
    network.contents = map_file(weights_file)
    stored = read_blobs(weights_file, network.contents, network.document.layers)
    known = {layer.name for layer in network.document.layers}
    network.strangers = [name for name in stored if name not in known]
    for layer in document.used_layers():
        found = stored.get(layer.name)
        if found is not None:
            network.weights[layer.name] = _in_caffes_shapes(layer, found, network)
    for layer in document.layers:
        if layer.name in stored:
            network.weights.setdefault(layer.name, list(stored[layer.name]))
    if stored and not network.weights:
        raise ModelError(
            f"none of its layers with weights ({_some(list(stored))}) is in '{model_file}', which "
            f"has {_some([layer.name for layer in network.document.layers])}.",
            file=weights_file,
            remedy="Give the weights file of this model.",
        )
    _check_missing(network)
    return network


def _check_missing(network: CaffeNetwork) -> None:
    """Raise, or warn, about layers without weights; ``network`` has those that were found."""
    missing = network.missing_weights()
    if not missing:
        return
    if network.strangers:
        raise ModelError(
            f"the weights file has no weights for it, and has weights for layers that "
            f"'{network.model_file}' does not have: {_some(network.strangers)}.",
            file=network.weights_file,
            layer=missing[0],
            remedy="Give the weights file of this model, or the layer the name it was trained by.",
        )
    _log.warning(
        "'%s' has no weights for %s of '%s'; Caffe will start from the fillers",
        network.weights_file,
        _some(missing),
        network.model_file,
    )


def _some(names: Sequence[str]) -> str:
    return ", ".join(repr(name) for name in names[:5]) + (", ..." if len(names) > 5 else "")


def _in_caffes_shapes(layer: Layer, blobs: Sequence[NDArray[Any]], network: CaffeNetwork) -> Blobs:
    """Return ``blobs`` in Caffe's own shapes: old files have four dimensions throughout."""
    expected = expected_blobs(layer)
    if expected is None:
        return list(blobs)
    if len(blobs) != len(expected):
        raise _mismatch(
            layer, network, "blobs", f"{len(blobs)} blobs", f"{len(expected)} for {layer.type}"
        )
    shaped = []
    for index, (blob, wanted) in enumerate(zip(blobs, expected)):
        shape = wanted.fit(blob.shape)
        if shape is None:
            found = " x ".join(map(str, blob.shape)) or "a single value"
            raise _mismatch(layer, network, f"blobs[{index}]", f"shape {found}", str(wanted))
        shaped.append(blob.reshape(shape))
    return shaped


def _mismatch(
    layer: Layer, network: CaffeNetwork, field: str, found: str, expected: str
) -> ModelError:
    quantized = find_quantized(network.strangers)
    hint = f" It is the weights file of {quantized.kind}." if quantized is not None else ""
    return ModelError(
        f"found {found}; the layer in '{network.model_file}' needs {expected}.{hint}",
        file=network.weights_file,
        layer=layer.name,
        field=field,
        remedy="Give the weights file of this model, or correct the layer's parameters.",
    )
