"""Rules on the weights file."""

from __future__ import annotations

from collections import Counter
from typing import Dict, Iterator, Tuple

import numpy as np

from amct_caffe.model.formats.caffemodel.blobs import StoredBlob
from amct_caffe.model.formats.caffemodel.scan import StoredLayer
from amct_caffe.model.formats.prototxt.layer import Layer
from amct_caffe.model.layer_type import expected_blobs
from ascend_backend.lint.linking import SKIPPED_ENTRIES, LinkedLayer, param_names
from ascend_backend.lint.model import DeployModel
from ascend_backend.lint.rule import ERROR, WARNING, Problem, Rule

_INT32_MAX = 2**31 - 1


def _readable(blob: StoredBlob) -> bool:
    return all(dim > 0 for dim in blob.shape) and blob.expected_elements < _INT32_MAX


def _blobs(model: DeployModel) -> Iterator[Tuple[Layer, int, StoredBlob]]:
    """Yield the blobs that ATC reads."""
    for layer in model.layers:
        if layer.type not in SKIPPED_ENTRIES:
            for index, blob in enumerate(model.blobs(layer)):
                yield layer, index, blob


def check_v1(model: DeployModel) -> Iterator[Problem]:
    """Find a weights file with ``layers``, the format before ``layer``."""
    weights = model.weights
    if weights.v1_layers:
        yield Problem(f"found {weights.v1_layers} 'layers'; expected 'layer'.", field="layers")


def check_has_layers(model: DeployModel) -> Iterator[Problem]:
    """Find a weights file without layers."""
    if not model.weights.layers and not model.weights.v1_layers:
        yield Problem("the weights file holds no layer; expected those of the model.")


def check_counts(model: DeployModel) -> Iterator[Problem]:
    """Find blobs whose elements do not fit their shape."""
    for layer, index, blob in _blobs(model):
        if _readable(blob) and blob.elements.size != blob.expected_elements:
            yield Problem(
                f"found {blob.elements.size} elements in {blob.field}; expected "
                f"{blob.expected_elements}, the product of its shape {list(blob.shape)}.",
                layer.name,
                f"blobs[{index}]",
            )


def check_dims(model: DeployModel) -> Iterator[Problem]:
    """Find blobs whose sizes are not positive, or too large."""
    for layer, index, blob in _blobs(model):
        if not _readable(blob):
            yield Problem(
                f"its shape is {list(blob.shape)}; expected positive sizes with a product below "
                "2^31.",
                layer.name,
                f"blobs[{index}]",
            )


def check_weights_are_there(model: DeployModel) -> Iterator[Problem]:
    """Find layers that need weights and have none."""
    for linked in model.linked:
        layer, entry = linked.layer, linked.entry
        if not _needs_weights(linked) or (entry is not None and entry.blobs):
            continue
        if entry is None and model.blobs(layer):
            continue  # The type of its entry is wrong, which A035 reports.
        if entry is None:
            problem = "the weights file has no entry for it, so that ATC stops with E11029."
        else:
            problem = (
                "its entry in the weights file has no blobs, so that ATC stops with E11019 (E19999 "
                "in present releases)."
            )
        yield Problem(problem, layer.name, "blobs")


def _needs_weights(linked: LinkedLayer) -> bool:
    # A DeQuant without a blob is reported by A080.
    return linked.layer.type != "DeQuant" and bool(expected_blobs(linked.layer) or linked.unlinked)


def check_types(model: DeployModel) -> Iterator[Problem]:
    """Find layers whose type differs between the two files."""
    for layer in model.layers:
        stored = model.stored(layer)
        if stored is not None and stored.blobs and stored.type != layer.type:
            yield Problem(
                f"the weights file says '{stored.type}'; the prototxt '{layer.type}'.",
                layer.name,
                "type",
            )


def check_number(model: DeployModel) -> Iterator[Problem]:
    """Find layers with more or fewer blobs than their parameters say."""
    for layer in model.layers:
        blobs, expected = model.blobs(layer), expected_blobs(layer)
        if blobs and expected is not None and len(blobs) != len(expected):
            yield Problem(
                f"the weights file has {len(blobs)} blobs; by its parameters it has "
                f"{len(expected)}.",
                layer.name,
                "blobs",
            )


def check_shapes(model: DeployModel) -> Iterator[Problem]:
    """Find blobs whose shape does not fit the layer's parameters."""
    for layer in model.layers:
        for index, (blob, wanted) in enumerate(
            zip(model.blobs(layer), expected_blobs(layer) or ())
        ):
            if _readable(blob) and wanted.fit(blob.shape) is None:
                yield Problem(
                    f"its shape is {list(blob.shape)}; expected {wanted}.",
                    layer.name,
                    f"blobs[{index}]",
                )


def check_unique(model: DeployModel) -> Iterator[Problem]:
    """Find layers that the weights file has more than once."""
    named = Counter(layer.name for layer in model.weights.layers if layer.blobs)
    for name, count in named.items():
        if count > 1:
            yield Problem(
                f"the weights file has it {count} times; ATC reads the first one.", name, "name"
            )


def check_strangers(model: DeployModel) -> Iterator[Problem]:
    """Find weights of layers that the model does not have."""
    names = {layer.name for layer in model.declared}
    for stored in _first_entries(model).values():
        if stored.blobs and stored.name not in names:
            yield Problem("the model has no layer of this name.", stored.name, "name")


def _first_entries(model: DeployModel) -> Dict[str, StoredLayer]:
    entries: Dict[str, StoredLayer] = {}
    for stored in model.weights.layers:
        entries.setdefault(stored.name, stored)
    return entries


def check_one_field(model: DeployModel) -> Iterator[Problem]:
    """Find blobs that hold elements in several fields."""
    for layer, index, blob in _blobs(model):
        if blob.ignored:
            yield Problem(
                f"found elements in {', '.join((blob.field, *blob.ignored))}; ATC reads "
                f"{blob.field}.",
                layer.name,
                f"blobs[{index}]",
            )


def check_sharing(model: DeployModel) -> Iterator[Problem]:
    """Find layers that share blobs by name in Caffe, and other ones in ATC."""
    first: Dict[Tuple[str, ...], Layer] = {}
    for layer in model.layers:
        names = param_names(layer)
        if not names:
            continue
        owner = first.setdefault(names, layer)
        if owner is not layer and not _same_blobs(model.blobs(owner), model.blobs(layer)):
            yield Problem(
                f"it shares the names {list(names)} with '{owner.name}', but not all of its "
                "blobs: ATC gives it all of them.",
                layer.name,
                "param",
            )


def _same_blobs(first: Tuple[StoredBlob, ...], second: Tuple[StoredBlob, ...]) -> bool:
    """Return whether a layer may have the blobs ``first`` in place of its own ``second``."""
    if not second:
        return True
    return len(first) == len(second) and all(
        one.shape == other.shape and np.array_equal(one.elements, other.elements)
        for one, other in zip(first, second)
    )


RULES = (
    Rule(
        "A030",
        ERROR,
        "The weights file is written with 'layers'",
        "Convert it with Caffe's upgrade_net_proto_binary.",
        check_v1,
    ),
    Rule(
        "A031",
        ERROR,
        "The weights file has no layer",
        "Give the weights file of this model.",
        check_has_layers,
    ),
    Rule(
        "A032",
        ERROR,
        "The elements of a blob do not fit its shape",
        "Save the model again: the file is damaged, or its writer is wrong.",
        check_counts,
    ),
    Rule(
        "A033",
        ERROR,
        "A blob has a size that is not positive, or too many elements",
        "Save the model again: the file is damaged, or its writer is wrong.",
        check_dims,
    ),
    Rule(
        "A034",
        ERROR,
        "A layer that needs weights has none",
        "Give the weights file of this model, or the layer the name that it has there.",
        check_weights_are_there,
    ),
    Rule(
        "A035",
        ERROR,
        "Prototxt and weights file disagree on a layer's type",
        "Give the layer the same type in both files.",
        check_types,
    ),
    Rule(
        "A036",
        ERROR,
        "A layer has more or fewer blobs than its parameters say",
        "Correct bias_term, or save the weights again.",
        check_number,
    ),
    Rule(
        "A037",
        WARNING,
        "The weights file has a layer more than once",
        "Save the weights again with one entry for each layer.",
        check_unique,
    ),
    Rule(
        "A038",
        WARNING,
        "The weights file has weights for a layer that the model does not have",
        "Check the name of the layer; weights that nothing reads do no harm otherwise.",
        check_strangers,
    ),
    Rule(
        "A039",
        ERROR,
        "The shape of a blob does not fit its layer",
        "Give the weights file of this model, or correct the layer's parameters.",
        check_shapes,
    ),
    Rule(
        "A040",
        WARNING,
        "A blob has elements in several fields",
        "Save the blob in one field.",
        check_one_field,
    ),
    Rule(
        "A041",
        ERROR,
        "Layers that share some blobs get all of them from one layer",
        "Take the names out of 'param': each layer then reads its own blobs.",
        check_sharing,
    ),
)
