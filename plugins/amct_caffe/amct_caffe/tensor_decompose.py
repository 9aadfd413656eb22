"""AMCT's decomposition of convolutions into cheaper ones, from files to files."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Dict, List, Mapping, Optional, Set, Tuple

import numpy as np

from amct_caffe.api import _path

if TYPE_CHECKING:
    from amct_caffe.model.network import CaffeNetwork
    from amct_caffe.passes.decompose_convolutions import Kernels
    from amct_core.graph import Graph, Node, Value

    Shapes = Mapping[Value, Tuple[int, ...]]

_log = logging.getLogger("amct_caffe.tensor_decompose")

_LARGEST_STRIDE = 2
_SMALLEST_KERNEL = 3


def auto_decomposition(
    model_file: str,
    weights_file: str,
    new_model_file: str,
    new_weights_file: str,
    *,
    energy: Optional[float] = None,
) -> None:
    """Replace convolutions by two of lower rank each, where that saves multiplications.

    A kernel of kh x kw becomes one of kh x 1 and one of 1 x kw, from the singular value
    decomposition of the unfolded kernel.  The rank is the least that keeps ``energy`` of the sum of
    its squares.  A convolution qualifies that has one group, dilation 1, strides below 3, kernel
    sides above 2, and weights of its own (none shared by name).  Blobs outside of the two layers
    keep their names.  Train the new model further, then quantize it.

    Args:
        model_file, weights_file: the trained network.
        new_model_file, new_weights_file: prototxt and caffemodel to write; missing folders are
            made.
        energy: in (0, 1] (not a parameter of AMCT's); None: 0.99.

    Raises:
        ConfigError: ``energy`` is out of range.
        ModelError: the network, or its weights, are quantized already.
        QuantizationError: weights hold NaN or infinity; the layer is named, and nothing is written.
        AmctError: a file cannot be read or written, the files do not fit each other, or a file to
            write is one that is read.
    """
    from amct_caffe.checks.quantized_models import no_float_model
    from amct_caffe.frontend import write_network
    from amct_caffe.model.network import read_network
    from amct_caffe.passes.decompose_convolutions import DecomposeConvolutions, free_names
    from amct_core import logging as amct_logging
    from amct_core.distinct_files import check_distinct
    from amct_core.errors import ModelError
    from amct_core.files import FileSet
    from amct_core.graph import run_passes
    from amct_core.numerics.decomposition import DEFAULT_ENERGY

    amct_logging.configure()
    share = DEFAULT_ENERGY if energy is None else energy
    _check_energy(share)
    new_files = _path(new_model_file, "new_model_file"), _path(new_weights_file, "new_weights_file")
    old_files = _path(model_file, "model_file"), _path(weights_file, "weights_file")
    check_distinct(
        dict(zip(("model_file", "weights_file"), old_files)),
        dict(zip(("new_model_file", "new_weights_file"), new_files)),
    )
    network = read_network(*old_files)
    for violation in no_float_model(network):
        raise violation.as_error(ModelError)
    kernels = _kernels(network, share)
    names = free_names(network, tuple(kernels))
    network = run_passes(network, [DecomposeConvolutions(kernels, names)])
    with FileSet() as files:
        write_network(network, *new_files, files)
    said_by = amct_logging.said_by("AMCT")
    for name, parts in names.items():
        _log.info("Decomposition %s ->%s", name, list(parts), extra=said_by)
    if not names:
        _log.info("no convolution is decomposed: none qualifies and would save multiplications")


def _check_energy(energy: float) -> None:
    from amct_core.errors import ConfigError

    if not 0 < energy <= 1:
        raise ConfigError(f"it is {energy!r}; expected a number in (0, 1].", field="energy")


def _kernels(network: CaffeNetwork, energy: float) -> Dict[str, Kernels]:
    """Return the kernels of the layers to decompose, by layer, in the order of the network."""
    from amct_caffe.model.to_graph import to_graph
    from amct_core.graph.shapes import known_shapes

    found: Dict[str, Kernels] = {}
    nodes: Dict[str, List[Tuple[Graph, Shapes, Node]]] = {}
    for graph in (to_graph(network, phase) for phase in ("TEST", "TRAIN")):
        shapes = known_shapes(graph)
        for node in graph.nodes:
            nodes.setdefault(node.name, []).append((graph, shapes, node))
    sharing = _sharing(network)
    for name, same in nodes.items():
        if name not in sharing and all(_qualifies(node) for *_, node in same):
            kernels = _decomposed(*same[0], energy)
            if kernels is not None:
                found[name] = kernels
    return found


def _sharing(network: CaffeNetwork) -> Set[str]:
    """Return the layers whose parameters have names, by which others may share them."""
    return {
        layer.name
        for layer in network.document.layers
        if any(spec.name for spec in layer.param_specs)
    }


def _qualifies(node: Node) -> bool:
    from amct_core.graph.attributes import Convolution

    a = node.attributes
    return (
        isinstance(a, Convolution)
        and node.type.weights is not None
        and node.type.weights.output == 0
        and len(node.weights) > 0
        and node.weights[0].ndim == len(a.kernel) + 2 == 4
        and len(node.bottoms) == len(node.tops) == a.axis == a.group == 1
        and all(dilation == 1 for dilation in a.dilation)
        and all(stride <= _LARGEST_STRIDE for stride in a.stride)
        and all(side >= _SMALLEST_KERNEL for side in a.kernel)
    )


def _decomposed(graph: Graph, shapes: Shapes, node: Node, energy: float) -> Optional[Kernels]:
    """Return the kernels of the two layers; None if they would save no multiplications."""
    from amct_core.errors import QuantizationError
    from amct_core.numerics.decomposition import decompose, multiplications

    weights = np.asarray(node.weights[0], np.float32)
    try:
        decomposition = decompose(weights)
    except QuantizationError as error:
        raise error.at(file=graph.file, layer=node.name) from error
    rank = decomposition.rank(energy)
    ratio = _width_ratio(shapes, node)
    before, after = (multiplications(decomposition.shape, each, ratio) for each in (None, rank))
    if after >= before:
        _log.info(
            "layer '%s' is not decomposed: rank %d, which %g of the energy needs, would take %.2f "
            "times the multiplications",
            node.name,
            rank,
            energy,
            after / before,
        )
        return None
    return decomposition.kernels(rank)


def _width_ratio(shapes: Shapes, node: Node) -> float:
    """Return the input columns per output column; the stride, where the network has no shapes."""
    from amct_core.graph.attributes import Convolution

    found = [shapes.get(value) for value in (node.inputs[0], node.outputs[0])]
    widths = [shape[3] for shape in found if shape is not None and len(shape) == 4]
    if len(widths) < 2:
        return float(node.typed(Convolution).stride[1])
    return widths[0] / widths[1]
