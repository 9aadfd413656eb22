"""Reads the QAT layers of a modified model: what was inserted, and how."""

from __future__ import annotations

from typing import Dict, Iterable, List, Mapping, Optional, Sequence, Tuple

import attrs

from amct_caffe.model.formats.prototxt.document import Layer, NetDocument
from amct_caffe.model.layer_type import layer_type
from amct_caffe.passes.python_layers import is_python_layer, param_str
from amct_caffe.qat.parameters import (
    ActivationParameters,
    InputShapeParameters,
    ShiftParameters,
    WeightParameters,
    from_param_str,
)
from amct_core.errors import ModelError
from amct_core.extensions import LayerType
from amct_core.network_state import NetworkState, NetworkStates


@attrs.frozen
class InsertedLayers:
    """The QAT layers of a modified model.

    Attributes:
        activations: each ActivationQAT with its parameters.
        weights: the parameters of each WeightQAT, by quantized layer.
        searches: the parameters of each ShiftSearch.
        recorders: the parameters of each InputShape.
        types: the types of the quantized layers, by name.
        shift_n_algo: the search that every ShiftSearch runs; ``none`` if there is none.
        states: of the nets that all of this was made for, beside what the file says.
    """

    activations: Tuple[Tuple[Layer, ActivationParameters], ...]
    weights: Mapping[str, WeightParameters]
    searches: Tuple[ShiftParameters, ...]
    recorders: Tuple[InputShapeParameters, ...]
    types: Mapping[str, LayerType]
    shift_n_algo: str
    states: NetworkStates


def read_inserted(document: NetDocument) -> InsertedLayers:
    """Return the QAT layers of a modified model.

    Raises:
        ModelError: this is not a modified model, its layers search N in different ways, an inserted
            layer lacks a bottom or a top, or belongs to a layer that is not there.
        FileFormatError: the parameters of an inserted layer are not ours.
    """
    activations = []
    weights: Dict[str, WeightParameters] = {}
    searches = []
    recorders = []
    for layer in document.layers:
        _check_blobs(layer, document.file)
        if is_python_layer(layer, "ActivationQAT"):
            found = from_param_str(ActivationParameters, param_str(layer), layer.name)
            activations.append((layer, found))
        elif is_python_layer(layer, "WeightQAT"):
            owner = from_param_str(WeightParameters, param_str(layer), layer.name)
            weights[owner.layer] = owner
        elif is_python_layer(layer, "ShiftSearch"):
            searches.append(from_param_str(ShiftParameters, param_str(layer), layer.name))
        elif is_python_layer(layer, "InputShape"):
            text = param_str(layer)
            recorders.append(from_param_str(InputShapeParameters, text, layer.name))
    if not activations:
        raise ModelError(
            "this model has no ActivationQAT layer; expected the modified model that "
            "create_quant_retrain_model wrote.",
            file=document.file,
            remedy="Give the modified_model_file, not the original model.",
        )
    quantized = {name for _, parameters in activations for name in parameters.layers}
    _check_names(document, {*quantized, *weights})
    types = {each.name: layer_type(each) for each in document.layers if each.name in quantized}
    return InsertedLayers(
        activations=tuple(activations),
        weights=weights,
        searches=tuple(searches),
        recorders=tuple(recorders),
        types=types,
        shift_n_algo=_one_search(document, searches),
        states=_states([parameters for _, parameters in activations]),
    )


_BLOBS = {
    "ActivationQAT": ((1, 1), (1, 1)),
    "WeightQAT": ((1, 1), (1, 1)),
    "ShiftSearch": ((1, 1), (0, 1)),
    "InputShape": ((1, 1), (0, 0)),
}
"""How many bottoms and tops inserted layers have, at least and at most."""


def _check_blobs(layer: Layer, file: Optional[str]) -> None:
    for kind, counts in _BLOBS.items():
        if not is_python_layer(layer, kind):
            continue
        for field, blobs, (least, most) in zip(
            ("bottom", "top"), (layer.bottoms, layer.tops), counts
        ):
            if not least <= len(blobs) <= most:
                raise ModelError(
                    f"it has {len(blobs)} {field}s; an {kind} has {most}.",
                    file=file,
                    layer=layer.name,
                    field=field,
                    remedy="Insert the layers again with create_quant_retrain_model.",
                )


def _check_names(document: NetDocument, names: Iterable[str]) -> None:
    """Check that the layers are there that others were inserted for."""
    there = {  # of all states: those that training ran in may not be known here
        layer.name
        for layer in document.layers
        if layer.bottoms and layer.tops and layer_type(layer).quantization is not None
    }
    for name in names:
        if name not in there:
            raise ModelError(
                "layers were inserted for it, and there is no such layer that can be quantized, "
                "with a bottom and a top.",
                file=document.file,
                layer=name,
                remedy="Insert the layers again with create_quant_retrain_model.",
            )


def _states(activations: Sequence[ActivationParameters]) -> NetworkStates:
    train = (each.train_state for each in activations if each.train_state is not None)
    test = (each.test_state for each in activations if each.test_state is not None)
    return NetworkStates(next(train, NetworkState()), next(test, NetworkState()))


def _one_search(document: NetDocument, searches: List[ShiftParameters]) -> str:
    names = sorted({search.search for search in searches})
    if len(names) > 1:
        raise ModelError(
            f"its layers search N in different ways ({names}); expected one.",
            file=document.file,
            remedy="Insert again with create_quant_retrain_model.",
        )
    return names[0] if names else "none"
