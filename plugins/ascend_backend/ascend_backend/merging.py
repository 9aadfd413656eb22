"""Which DeQuants ATC merges with the Quants behind them, on processors of ISA v100 and v200.

Pattern 0, per DeQuant:

1. Every reader of the DeQuant is a Quant; or every reader is a valid ReLU, and a Quant reads it.
2. A ReLU is valid if it has one input and one reader.  ReLU-like are ReLU, LeakyReLU, RReLU and
   ReLU6.  One that another layer reads as well prevents the merging.
3. A ReLU is removable if it is no ReLU6 and its slope is below 1e-5 in magnitude.  Either all ReLUs
   are removable or none is; those that are not stay layers of their own.
4. The scales of the Quants are equal to within 1e-5, in the order of the readers
   (:func:`amct_core.numerics.ascend_v100.merged_scales`).  Offsets are not compared.

Pattern 1, per Quant that has not been merged:

5. A Concat, or a valid ReLU behind a Concat, stands before the Quant.  The Concat has one reader.
6. Every input of the Concat is a DeQuant, or a valid ReLU that reads a DeQuant.
7. On v200 each of these DeQuants has one reader.  Where the Concat is along the channels of its
   inputs, each input has a multiple of 32 channels; along another axis they are not looked at.
8. On v200 the first ReLU decides for all whether they stay: the one behind the Concat, or else that
   of its first input that has one.
9. On v100 a DeQuant may have other readers, which get its output times the scale of the Quant.
   Where two Concats read it, its scale is changed once, for the first of them; here the second one
   counts as not merged.

Any other layer between (Pooling, Eltwise, Scale, Dropout, ...) keeps DeQuant and Quant apart, and
so does a blob that nothing reads: it is an output of the network.  ATC can make outputs of other
blobs, too (``--out_nodes``), which is not known here.

Source (verified): CANN fusion engine, ``Pattern0Parse``, ``Pattern1Parse``, ``CheckConcatOpInput``
and ``RequantProcess`` of V100RequantFusionPass and V200RequantFusionPass; ``CheckReluValid`` and
``CheckNeedRemoveRelu`` in quant_host_cpu_op_common.cc; hicann/ge, ``IsDimCOfInputAligned`` in
node_optimize_checker_base.cc.  What becomes of Caffe's layer types: canndev, caffe_plugin.
Inferred: that readers come in the order of the file, and that a blob of Caffe counts as NCHW
whatever its rank.
"""

from __future__ import annotations

from typing import Iterable, Iterator, List, Optional, Sequence, Set, Tuple

import attrs
import numpy as np

from amct_caffe.model.formats.prototxt.layer import Layer
from amct_core.extensions import Merged
from amct_core.extensions.processor_family import MERGED, REQUANTIZED
from amct_core.graph import Graph, Node, Value
from amct_core.graph.attributes import Concat, DeQuant, Float16, Quant, ReLU
from amct_core.graph.shapes import known_shapes
from amct_core.numerics import ascend_v100
from ascend_backend.channels import channels

ALIGNMENT = 32
"""A Concat along channels is merged on v200 only if each input has a multiple of so many."""

_NO_SLOPE = 1e-5
_RELUS = ("ReLU", "LeakyReLU", "RReLU", "ReLU6")
_CHANNEL_AXIS, _USUAL_RANK = 1, 4


@attrs.frozen(eq=False)
class Group:
    """DeQuants and the Quants behind them that belong together.

    Attributes:
        dequants: in the order of the inputs of ``concat``, each once.
        quants: in the order of the readers.
        relus: between them, the one that decides first.
        concat: between them, by pattern 1; None by pattern 0.
        scale: that of the Quants.
    """

    dequants: Tuple[Node, ...]
    quants: Tuple[Node, ...]
    relus: Tuple[Node, ...]
    concat: Optional[Node]
    scale: float

    def as_merged(self, graph: Graph, merges: Optional[str]) -> Merged:
        """Return the names of the group, and what else the simulation needs."""
        keeps = [not is_removable(relu) for relu in self.relus]
        return Merged(
            dequants=_names(self.dequants),
            quants=_names(self.quants),
            relus=_names(node for node in graph.nodes if node in self.relus),
            concat=None if self.concat is None else self.concat.name,
            scale=self.scale,
            offset=self.quants[-1].typed(Quant).offset,
            keeps_relu=any(keeps[:1] if merges == REQUANTIZED else keeps),
        )


def merged(graph: Graph, merges: Optional[str]) -> List[Merged]:
    """Return what ATC merges: by pattern 0 first, each in the order of the network.

    Args:
        graph: a deployable model in which the DeQuants of layers that are rolled back are none any
            more.  Weights may be missing.
        merges: of the processor, :data:`~amct_core.extensions.processor_family.MERGED` (ISA v100)
            or ``REQUANTIZED`` (v200); for others nothing is merged, as far as is known.

    Raises:
        ModelError: the shapes of the network contradict each other.
    """
    if merges not in (MERGED, REQUANTIZED):
        return []
    found = list(_pattern_0(graph))
    taken: Set[Node] = set()
    for group in _pattern_1(graph):
        # None of them is in a group of pattern 0, whose DeQuants no Concat reads.
        fits = merges == MERGED or (_unshared(graph, group) and _aligned(graph, group))
        if fits and taken.isdisjoint(group.dequants):
            taken.update(group.dequants)
            found.append(group)
    return [group.as_merged(graph, merges) for group in found]


def misaligned(graph: Graph, merges: Optional[str]) -> List[Tuple[Merged, Tuple[int, ...]]]:
    """Return what would be merged over a Concat if its inputs had multiples of 32 channels.

    Each comes with the channels of the inputs.  Nothing is returned on v100, which does not look at
    them, and nothing of a Concat whose channels do not follow from the network.

    Raises:
        ModelError: the shapes of the network contradict each other.
    """
    if merges != REQUANTIZED:
        return []
    found = []
    for group in _pattern_1(graph):
        counts = [count for count in _concatenated(graph, group) if count is not None]
        if _unshared(graph, group) and any(count % ALIGNMENT for count in counts):
            found.append((group.as_merged(graph, merges), tuple(counts)))
    return found


def is_relu(node: Node) -> bool:
    """Return whether ``node`` becomes one of the operators that count as ReLU."""
    return node.op in _RELUS


def is_removable(relu: Node) -> bool:
    """Return whether a ReLU becomes a flag of the operator before it."""
    return relu.op != "ReLU6" and abs(slope(relu)) < _NO_SLOPE


def slope(relu: Node) -> float:
    """Return the slope that ATC reads for a ReLU of any kind; 0 for a ReLU6."""
    if isinstance(relu.attributes, ReLU):
        return relu.attributes.negative_slope
    # Types of other Caffes: ATC reads ReLU's field for them.
    assert isinstance(relu.source, Layer)
    return relu.source.parameters("relu_param").number("negative_slope", 0.0) or 0.0


def readers(graph: Graph, node: Node) -> List[Node]:
    """Return the layers that read ``node``, one for each input.

    What goes through a Quant first, for an AVE Pooling that is rolled back, reads that Quant.
    """
    found = [use.node for value in node.outputs for use in graph.uses(value)]
    return [each for each in found if not _reads_quant(each)]


def _reads_quant(node: Node) -> bool:
    return isinstance(node.attributes, Float16) and node.attributes.through is not None


def _pattern_0(graph: Graph) -> Iterator[Group]:
    for dequant in graph.nodes:
        if not isinstance(dequant.attributes, DeQuant):
            continue
        first = readers(graph, dequant)
        relus = [node for node in first if is_relu(node)]
        if relus and (len(relus) < len(first) or not all(_is_valid(graph, r) for r in relus)):
            continue
        quants = [readers(graph, relu)[0] for relu in relus] if relus else first
        if not quants or not all(isinstance(node.attributes, Quant) for node in quants):
            continue
        with np.errstate(over="ignore"):
            same, scale = ascend_v100.merged_scales([q.typed(Quant).scale for q in quants])
        if same and len({is_removable(relu) for relu in relus}) < 2:
            yield Group((dequant,), tuple(quants), tuple(relus), None, float(scale))


def _pattern_1(graph: Graph) -> Iterator[Group]:
    """Yield what is merged on v100; v200 asks for more."""
    for quant in graph.nodes:
        if isinstance(quant.attributes, Quant):
            before, behind = _through_relu(graph, quant.inputs[0])
            if before is not None and isinstance(before.attributes, Concat):
                branches = [_through_relu(graph, value) for value in before.inputs]
                dequants = [node for node, _ in branches if node and _is_dequant(node)]
                relus = [relu for _, relu in ((None, behind), *branches) if relu is not None]
                if len(dequants) == len(branches) and len(readers(graph, before)) == 1:
                    yield Group(
                        tuple(dict.fromkeys(dequants)),
                        (quant,),
                        tuple(relus),
                        before,
                        quant.attributes.scale,
                    )


def _is_dequant(node: Node) -> bool:
    return isinstance(node.attributes, DeQuant)


def _through_relu(graph: Graph, value: Value) -> Tuple[Optional[Node], Optional[Node]]:
    """Return what makes ``value``, or what a valid ReLU that makes it reads, and that ReLU."""
    node = graph.producer(value)
    if node is None or not is_relu(node) or not _is_valid(graph, node):
        return node, None
    return graph.producer(node.inputs[0]), node


def _is_valid(graph: Graph, relu: Node) -> bool:
    return len(relu.inputs) == 1 and len(readers(graph, relu)) == 1


def _unshared(graph: Graph, group: Group) -> bool:
    return all(len(readers(graph, dequant)) == 1 for dequant in group.dequants)


def _aligned(graph: Graph, group: Group) -> bool:
    counts = _concatenated(graph, group)
    return all(count is not None and count % ALIGNMENT == 0 for count in counts)


def _concatenated(graph: Graph, group: Group) -> Sequence[Optional[int]]:
    """Return the channels of the inputs of a Concat along channels; none along another axis."""
    assert group.concat is not None
    shapes = known_shapes(graph)
    axis = group.concat.typed(Concat).axis
    if axis < 0:
        shape = shapes.get(group.concat.inputs[0])
        axis += _USUAL_RANK if shape is None else len(shape)
    if axis != _CHANNEL_AXIS:
        return []
    # Neither DeQuant nor ReLU changes the channels; shape rules do not know each of the latter.
    return [channels(graph, dequant.inputs[0], shapes) for dequant in group.dequants]


def _names(nodes: Iterable[Node]) -> Tuple[str, ...]:
    return tuple(node.name for node in nodes)
