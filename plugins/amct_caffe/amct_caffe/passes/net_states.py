"""Compares the nets that one file gives in different states."""

from __future__ import annotations

from typing import Iterator, List, Optional, Sequence

from amct_caffe.model.formats.prototxt.document import Layer, NetDocument
from amct_caffe.model.formats.prototxt.phases import depends_on_state
from amct_caffe.model.layer_type import needs_weights
from amct_caffe.passes.python_layers import is_python_layer
from amct_caffe.passes.remove_qat import KINDS
from amct_caffe.passes.structure import unmade_in
from amct_core.errors import ModelError
from amct_core.network_state import NetworkState, NetworkStates

_INSERT_AGAIN = "Create the config again with this solver (--solver), insert and train again."


def other_layers(document: NetDocument, phase: str, state: NetworkState) -> Optional[str]:
    """Return in what a net differs from the one that ``document`` was made for; None if not at all.

    Args:
        document: a modified model, with the states that it was made for.
        phase: ``TRAIN`` or ``TEST``.
        state: what the solver says of the net.
    """
    made_for, found = document.layers_in(phase), document.layers_in(phase, state)
    lacks = _without(made_for, found)
    adds = _without(found, made_for)
    if not lacks and not adds:
        return None
    expected = document.states.train if phase == "TRAIN" else document.states.test
    differences = [f"lacks {_named(lacks)}"] if lacks else []
    differences += [f"has {_named(adds)}"] if adds else []
    return (
        f"it is {state}: the {phase} net {' and '.join(differences)}; the model was made for "
        f"{expected}"
    )


def unmade_bottoms(document: NetDocument, phase: str, state: NetworkState) -> Iterator[str]:
    """Yield what Caffe would end the process about: bottoms that no layer of the net makes."""
    for bottom in unmade_in(document.layers_in(phase, state)):
        yield f"layer '{bottom.layer}' reads '{bottom.blob}', which no layer before it makes"


def require_same_layers(document: NetDocument, states: NetworkStates) -> None:
    """Raise unless training and testing in ``states`` have the layers the model was made for.

    Args:
        document: a modified model, with the states that it was made for.
        states: others.

    Raises:
        ModelError: naming the state and the layers.
    """
    for field, phase, state in (
        ("train_state", "TRAIN", states.train),
        ("test_state", "TEST", states.test),
    ):
        difference = other_layers(document, phase, state)
        if difference is not None:
            raise ModelError(
                f"{difference}.", file=document.file, field=field, remedy=_INSERT_AGAIN
            )


def require_trained_weights(document: NetDocument) -> None:
    """Raise if the TEST net has a layer with weights that the TRAIN net has not.

    A snapshot holds what the TRAIN net has, and Caffe's solver shares only that with its TEST nets:
    such a layer computes with what its fillers made, and its weights are lost.  Source: BVLC Caffe,
    ``Solver::SnapshotToBinaryProto``, ``Net::ShareTrainedLayersWith``.

    Raises:
        ModelError: naming the layer.
    """
    trained = {layer.name for layer in document.layers_in("TRAIN")}
    for layer in document.layers_in("TEST"):
        if layer.name not in trained and needs_weights(layer):
            raise ModelError(
                "it has weights and is in the TEST net, but not in the TRAIN net: a snapshot of "
                "the training will not have its weights.",
                file=document.file,
                layer=layer.name,
                field="include",
                remedy="Let it be in both nets, or in neither.",
            )


def advice(document: NetDocument) -> str:
    """Return what to do about layers that are missing, if rules speak of stages or levels."""
    if not any(depends_on_state(layer) for layer in document.layers):
        return ""
    return (
        f"Rules of the network speak of stages or levels, and the solver's train_state is "
        f"{document.states.train}, its test_state {document.states.test}: name the solver "
        "(--solver), or correct them."
    )


def advice_of_testing(document: NetDocument) -> str:
    """Return the same for a network that no solver trains: the file alone says what state it is."""
    if not any(depends_on_state(layer) for layer in document.layers):
        return ""
    return (
        "Rules of the network speak of stages or levels, and without a solver the file alone says "
        f"which hold: {document.states.test}. Write the one that is to be quantized into a copy of "
        'the file, such as: state { stage: "..." }.'
    )


def _without(layers: Sequence[Layer], others: Sequence[Layer]) -> List[Layer]:
    excluded = {id(layer) for layer in others}
    return [layer for layer in layers if id(layer) not in excluded]


def _named(layers: Sequence[Layer]) -> str:
    own = [layer for layer in layers if not any(is_python_layer(layer, kind) for kind in KINDS)]
    names = list(dict.fromkeys(f"'{layer.name}'" for layer in own or layers))
    return ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
