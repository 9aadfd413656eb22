"""Where gradients go in a network, as Caffe decides it before training."""

from __future__ import annotations

import logging
from typing import Dict, FrozenSet, Iterator, List, Sequence, Set, Tuple

import attrs

from amct_caffe.model.formats.prototxt.document import Layer
from amct_caffe.model.layer_type import expected_blobs, layer_type, role_of
from amct_core.extensions import Role

_log = logging.getLogger("amct_caffe.passes")


@attrs.frozen
class Obstacle:
    """A layer without a backward pass that stands before other layers.

    Attributes:
        layer: its name.
        type: its type.
        learns: the layers before it that learn, so that Caffe asks it for a gradient; in order.
        behind: the layers that read what it makes, directly or through others; in order.
    """

    layer: str
    type: str
    learns: Tuple[str, ...]
    behind: Tuple[str, ...]


def declared_without_backward(layers: Sequence[Layer]) -> FrozenSet[str]:
    """Return the types among ``layers`` of which is declared that they have no backward pass."""
    return frozenset(layer.type for layer in layers if not layer_type(layer).has_backward)


def find_obstacles(layers: Sequence[Layer], types: FrozenSet[str]) -> Iterator[Obstacle]:
    """Return the layers of ``types`` that stand on a way to a loss.

    As Caffe's ``Net::Init`` does, a gradient goes to a bottom if a layer before it learns, unless
    ``propagate_down: false`` says otherwise, and if a loss depends on it.

    Args:
        layers: of the TRAIN phase, in order.
        types: without a backward pass.
    """
    under_loss = _under_loss(layers)
    learners: Dict[str, Tuple[str, ...]] = {}
    for index, layer in enumerate(layers):
        before = _before(layer, learners)
        if layer.type in types and index in under_loss:
            yield Obstacle(layer.name, layer.type, before, _behind(layers, index))
        own = (*before, layer.name) if _learns(layer) else before
        learners.update(dict.fromkeys(layer.tops, own))


def warn_of_obstacles(layers: Sequence[Layer], quantized: Sequence[str]) -> None:
    """Log a warning for each layer without a backward pass before quantized layers.

    Args:
        layers: of the modified model in the TRAIN phase.
        quantized: the names of the quantized layers.
    """
    for obstacle in find_obstacles(layers, declared_without_backward(layers)):
        behind = [name for name in obstacle.behind if name in quantized]
        if not behind:
            continue
        _log.warning(
            "layer '%s' (%s) has no backward pass in Caffe and stands before the quantized layer "
            "'%s': %s",
            obstacle.layer,
            obstacle.type,
            behind[0],
            f"'{obstacle.learns[-1]}' before it learns, so Caffe would abort in the first backward "
            f"pass; set propagate_down: false in '{obstacle.layer}'"
            if obstacle.learns
            else "no gradient reaches what stands before it",
        )


def _under_loss(layers: Sequence[Layer]) -> Set[int]:
    """Return the indices of the layers on which a loss depends."""
    found: Set[int] = set()
    wanted: Set[str] = set()
    for index in reversed(range(len(layers))):
        layer = layers[index]
        if role_of(layer) is Role.LOSS or wanted.intersection(layer.tops):
            found.add(index)
            wanted.update(_passed(layer))
    return found


def _before(layer: Layer, learners: Dict[str, Tuple[str, ...]]) -> Tuple[str, ...]:
    """Return the layers that learn before ``layer``, as far as it passes gradients down."""
    found = [name for bottom in _passed(layer) for name in learners.get(bottom, ())]
    return tuple(dict.fromkeys(found))


def _passed(layer: Layer) -> List[str]:
    """Return the bottoms to which ``layer`` may pass gradients down."""
    given = layer.message.booleans("propagate_down")
    passes = [*given, *[True] * (len(layer.bottoms) - len(given))]
    return [bottom for bottom, passed in zip(layer.bottoms, passes) if passed]


def _learns(layer: Layer) -> bool:
    specs = layer.param_specs
    blobs = expected_blobs(layer)
    count = len(specs) if blobs is None else len(blobs)
    rates = [spec.lr_mult for spec in specs[:count]] + [None] * (count - len(specs))
    return any(rate != 0 for rate in rates)


def _behind(layers: Sequence[Layer], index: int) -> Tuple[str, ...]:
    reached = set(layers[index].tops)
    found: List[str] = []
    for layer in layers[index + 1 :]:
        if reached.intersection(layer.bottoms):
            found.append(layer.name)
            reached.update(layer.tops)
    return tuple(found)
