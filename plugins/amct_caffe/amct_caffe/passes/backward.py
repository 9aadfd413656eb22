"""Where gradients go in a network, as Caffe decides it before training."""

from __future__ import annotations

import logging
from typing import Dict, FrozenSet, Iterator, List, Sequence, Set, Tuple

import attrs

from amct_caffe.model.formats.prototxt.document import Layer
from amct_caffe.model.layer_type import expected_blobs, layer_type, loss_weights

_log = logging.getLogger("amct_caffe.passes")


@attrs.frozen
class Obstacle:
    """A layer without a backward pass that stands before other layers.

    Attributes:
        layer: its name.
        type: its type.
        learns: the layers before it that learn, so that Caffe asks it for a gradient; in order.
        behind: the layers that read what it makes, directly or through others; in order.
        readers: those that read it directly and pass a gradient down to it.
    """

    layer: str
    type: str
    learns: Tuple[str, ...]
    behind: Tuple[str, ...]
    readers: Tuple[str, ...] = ()

    @property
    def remedy(self) -> str:
        """What keeps Caffe from asking it for a gradient."""
        readers = ", ".join(f"'{name}'" for name in self.readers)
        return f"set propagate_down: false in what reads '{self.layer}' ({readers})"


def declared_without_backward(layers: Sequence[Layer]) -> FrozenSet[str]:
    """Return the types among ``layers`` of which is declared that they have no backward pass."""
    return frozenset(layer.type for layer in layers if not layer_type(layer).has_backward)


def find_obstacles(layers: Sequence[Layer], types: FrozenSet[str]) -> Iterator[Obstacle]:
    """Return the layers of ``types`` that stand on a way to a loss.

    As in Caffe's ``Net::Init``, the backward pass of a layer is run if a layer before it learns and
    something on the way to a loss passes it a gradient.  Its own ``propagate_down: false`` does not
    matter; that of the layers that read it does.

    Args:
        layers: of the TRAIN phase, in order.
        types: without a backward pass.
    """
    under_loss = _under_loss(layers)
    learners: Dict[str, Tuple[str, ...]] = {}
    for index, layer in enumerate(layers):
        if layer.type in types and index in under_loss:
            before = _before(layer, learners)
            behind, readers = _behind(layers, index), _readers(layers, index, under_loss)
            yield Obstacle(layer.name, layer.type, before, behind, readers)
        _add_learners(layer, learners)


@attrs.frozen
class LearnedTarget:
    """A bottom that Caffe has no gradient for, behind layers that learn.

    Attributes:
        layer: that reads it.
        place: of the bottom among those of the layer, from 0.
        learns: the layers before it that learn, in order.
    """

    layer: Layer
    place: int
    learns: Tuple[str, ...]


def find_learned_targets(layers: Sequence[Layer]) -> Iterator[LearnedTarget]:
    """Return each bottom for which Caffe is asked a gradient that it does not have.

    Args:
        layers: of the TRAIN phase, in order.
    """
    under_loss = _under_loss(layers)
    learners: Dict[str, Tuple[str, ...]] = {}
    for index, layer in enumerate(layers):
        places = layer_type(layer).without_gradient if index in under_loss else ()
        for place in (each for each in places if each < len(layer.bottoms)):
            before = learners.get(layer.bottoms[place], ())
            if before and passes_down(layer)[place]:
                yield LearnedTarget(layer, place, before)
        _add_learners(layer, learners)


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
            f"pass; {obstacle.remedy}"
            if obstacle.learns
            else "no gradient reaches what stands before it",
        )


def _under_loss(layers: Sequence[Layer]) -> Set[int]:
    """Return the indices of the layers on which a loss depends."""
    found: Set[int] = set()
    wanted: Set[str] = set()
    for index in reversed(range(len(layers))):
        layer = layers[index]
        if any(loss_weights(layer)) or wanted.intersection(layer.tops):
            found.add(index)
            wanted.update(_passed(layer))
    return found


def _add_learners(layer: Layer, learners: Dict[str, Tuple[str, ...]]) -> None:
    before = _before(layer, learners)
    own = (*before, layer.name) if _learns(layer) else before
    learners.update(dict.fromkeys(layer.tops, own))


def _before(layer: Layer, learners: Dict[str, Tuple[str, ...]]) -> Tuple[str, ...]:
    """Return the layers that learn before ``layer``, whatever it passes down."""
    found = [name for bottom in layer.bottoms for name in learners.get(bottom, ())]
    return tuple(dict.fromkeys(found))


def _passed(layer: Layer) -> List[str]:
    """Return the bottoms to which ``layer`` may pass gradients down."""
    return [bottom for bottom, passed in zip(layer.bottoms, passes_down(layer)) if passed]


def passes_down(layer: Layer) -> List[bool]:
    """Return for each bottom whether ``layer`` may pass a gradient down."""
    given = layer.message.booleans("propagate_down")
    return [*given, *[True] * (len(layer.bottoms) - len(given))]


def _learns(layer: Layer) -> bool:
    specs = layer.param_specs
    blobs = expected_blobs(layer)
    count = len(specs) if blobs is None else len(blobs)
    rates = [spec.lr_mult for spec in specs[:count]] + [None] * (count - len(specs))
    return any(rate != 0 for rate in rates)


def _readers(layers: Sequence[Layer], index: int, under_loss: Set[int]) -> Tuple[str, ...]:
    """Return the layers that pass a gradient to those of ``index`` directly."""
    tops = set(layers[index].tops)
    found: List[str] = []
    for place, layer in enumerate(layers[index + 1 :], index + 1):
        if place in under_loss and tops.intersection(_passed(layer)):
            found.append(layer.name)
        tops.difference_update(layer.tops)
    return tuple(found)


def _behind(layers: Sequence[Layer], index: int) -> Tuple[str, ...]:
    reached = set(layers[index].tops)
    found: List[str] = []
    for layer in layers[index + 1 :]:
        if reached.intersection(layer.bottoms):
            found.append(layer.name)
            reached.update(layer.tops)
    return tuple(found)
