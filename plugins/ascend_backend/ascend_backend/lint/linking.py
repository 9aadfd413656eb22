"""What ATC links to each input of each operator, by the rules of its parser.

It follows hicann/ge parser/parser/caffe (the same in Ascend/parser of 2021), not our writer:

1. Bottom *i* of a layer of the prototxt is linked to input *i* (``CaffeModelParser::AddEdges``);
   which layer makes the blob is :mod:`.wiring`'s matter.
2. Entries of the weights file are taken in the file's order.  Entries of some types are skipped
   (``skiped_layer_type_``), and so are those whose name no layer has or whose type ATC does not
   know.  The type in the weights file counts, not that of the prototxt
   (``CaffeWeightsParser::ConvertLayerParameter``).
3. Layers whose lists of ``param`` names are equal share: the first entry of one of them gives its
   blobs to all (``FindShareParamLayers``, ``ConvertLayerParameter``).
4. The second entry of one name stands for a layer called ``<name>_same_1``, which there normally is
   not (``ConvertLayerParameter``).
5. Blob *i* of an entry becomes a constant on input ``B + i``, where ``B`` is the number of the
   entry's own bottoms.  If the operator has exactly as many inputs as bottoms and blobs together
   that is a plain index, else an index into its *valid* inputs: the required ones and those that
   are linked already (``CaffeCustomParserAdapter::ParseWeights``, ``AddEdgeFromConstNode``).
6. Of a bottom and a constant on one input only one counts, without a message: the graph library
   of hicann/ge keeps the first link and gives the input the constant's type and shape
   (``Node::AddLinkFrom``, ``OutDataAnchor::LinkTo``).
7. A valid input without a link is an error (``CheckNodes``).
"""

from __future__ import annotations

from typing import Dict, List, Mapping, Optional, Sequence, Tuple

import attrs

from amct_caffe.model.formats.caffemodel.scan import StoredLayer
from amct_caffe.model.formats.prototxt.layer import Layer
from ascend_backend.lint.layer_types import CONVERTED_TYPES
from ascend_backend.lint.operators import OPERATORS, Operator

SKIPPED_ENTRIES = frozenset(
    {
        *("Split", "SoftmaxWithLoss", "Accuracy", "Data", "Dropout", "MultiLabelLMDB", "Python"),
        "AnnotatedData",
    }
)
"""Types whose entries in the weights file ATC skips."""


@attrs.frozen(eq=False)
class LinkedLayer:
    """What is linked to the operator of a layer.

    Attributes:
        layer: of the prototxt.
        operator: None if its inputs are not known here.
        entry: of the weights file, whose blobs it gets; not necessarily of its own name.
        links: by input, the bottoms and blobs linked to it, in the order of linking; of several
            only one counts.
    """

    layer: Layer
    operator: Optional[Operator]
    entry: Optional[StoredLayer]
    links: Mapping[int, Tuple[str, ...]]

    @property
    def unlinked(self) -> Tuple[int, ...]:
        """Required inputs that nothing is linked to."""
        required = () if self.operator is None else self.operator.required
        return tuple(index for index in range(len(required)) if index not in self.links)

    @property
    def contested(self) -> Tuple[int, ...]:
        """Inputs that something is linked to more than once."""
        return tuple(index for index, linked in self.links.items() if len(linked) > 1)

    @property
    def misplaced(self) -> Tuple[int, ...]:
        """Inputs meant for constants that a bottom is linked to."""
        first = len(self.layer.bottoms) if self.operator is None else self.operator.data
        return tuple(range(first, len(self.layer.bottoms)))

    def input_name(self, index: int) -> str:
        """Return input ``index`` in words: its number, and its name where that is known."""
        names = () if self.operator is None else self.operator.inputs
        return f"input {index} ('{names[index]}')" if index < len(names) else f"input {index}"


def link(layers: Sequence[Layer], entries: Sequence[StoredLayer]) -> Tuple[LinkedLayer, ...]:
    """Return what ATC links to each of ``layers``, in their order.

    Args:
        layers: of the prototxt, those that ATC keeps.
        entries: of the weights file.
    """
    taken = _taken_entries(layers, entries)
    return tuple(_link(layer, taken.get(layer.name)) for layer in layers)


def param_names(layer: Layer) -> Tuple[str, ...]:
    """Return the names of the parameters of a layer, as ATC collects them to find sharing."""
    return tuple(spec.name for spec in layer.param_specs if spec.name is not None)


def _taken_entries(
    layers: Sequence[Layer], entries: Sequence[StoredLayer]
) -> Dict[str, StoredLayer]:
    """Return the entry that each layer gets, by the layer's name."""
    sharing = _sharing(layers)
    names = {layer.name for layer in layers}
    met: Dict[str, int] = {}
    taken: Dict[str, StoredLayer] = {}
    for entry in entries:
        if entry.type in SKIPPED_ENTRIES:
            continue
        for name in sharing.get(entry.name, [entry.name]):
            times = met.get(name, 0)
            met[name] = times + 1
            if times:
                name = f"{name}_same_{times}"
            if name in names and entry.type in CONVERTED_TYPES:
                taken.setdefault(name, entry)
    return taken


def _sharing(layers: Sequence[Layer]) -> Dict[str, List[str]]:
    """Return, for each layer that shares, the names of all that share with it and its own."""
    groups: Dict[Tuple[str, ...], List[str]] = {}
    for layer in layers:
        names = param_names(layer)
        if names:
            groups.setdefault(names, []).append(layer.name)
    return {name: group for group in groups.values() if len(group) > 1 for name in group}


def _link(layer: Layer, entry: Optional[StoredLayer]) -> LinkedLayer:
    operator = OPERATORS.get(layer.type)
    links: Dict[int, Tuple[str, ...]] = {
        index: (f"bottom '{bottom}'",) for index, bottom in enumerate(layer.bottoms)
    }
    if entry is not None:
        for index in range(len(entry.blobs)):
            target = _constant_input(operator, links, entry, index)
            links[target] = (*links.get(target, ()), f"blobs[{index}]")
    return LinkedLayer(layer, operator, entry, links)


def _constant_input(
    operator: Optional[Operator], links: Mapping[int, object], entry: StoredLayer, blob: int
) -> int:
    """Return the input that blob ``blob`` of ``entry`` is linked to."""
    index = len(entry.bottoms) + blob
    if operator is None or len(operator.inputs) == len(entry.bottoms) + len(entry.blobs):
        return index
    valid = [
        each
        for each in range(len(operator.inputs))
        if each < len(operator.required) or each in links
    ]
    return valid[index] if index < len(valid) else index
