"""Derives the integers of a :class:`QuantizedModel` from what training has learned."""

from __future__ import annotations

import logging
from typing import Dict, List, Mapping, Optional, Tuple

import attrs
import numpy as np
from numpy.typing import NDArray

from amct_core.contracts.activations import CheckedActivation
from amct_core.errors import QuantizationError, TrainingError
from amct_core.extensions import Quantization
from amct_core.folding import batch_norm_of, scale_of
from amct_core.graph import Graph, Node
from amct_core.graph.batch_norm import FoldChain, chain_of
from amct_core.numerics import affine, bn_fold
from amct_core.numerics import bias as bias_numerics
from amct_core.plugins import Registries
from amct_core.quantized_model import Provenance, QuantizedLayer, QuantizedModel
from amct_core.record import LayerRecord, Record
from amct_core.retrained import RetrainedLayer, RetrainedNetwork
from amct_core.weight_quantization import quantize_weights

_log = logging.getLogger("amct_core.derive")


def derive(network: RetrainedNetwork, record: Record, plugins: Registries) -> QuantizedModel:
    """Return the quantized model of a trained network.

    The snapshot (``network``) is the truth about bounds and weights; ``record`` supplies N and the
    input shapes.  BatchNorm and Scale behind a quantized layer are folded into it.

    Raises:
        TrainingError: a layer has no N although a search was asked for.
        QuantizationError: numbers that cannot be quantized.
        PluginError: an algorithm fails, or breaks its contract.
    """
    model, refused = derive_possible(network, record, plugins)
    if refused:
        raise next(iter(refused.values()))
    return model


def derive_possible(
    network: RetrainedNetwork, record: Record, plugins: Registries
) -> Tuple[QuantizedModel, Mapping[str, QuantizationError]]:
    """Return what :func:`derive` returns, with the layers in float that cannot be quantized.

    Returns:
        The model, and by layer why it is not quantized.

    Raises:
        TrainingError: a layer has no N although a search was asked for.
    """
    search = plugins.shift_searches.get(network.shift_n_algo)
    layers: List[QuantizedLayer] = []
    chains: Dict[str, FoldChain] = {}
    refused: Dict[str, QuantizationError] = {}
    for trained in network.layers:
        node = network.graph.node(trained.name)
        chain = chain_of(network.graph, node, trained.folded) if trained.folded else None
        builder = _LayerBuilder(trained, node, plugins, chain, record.find(node.name))
        try:
            layers.append(builder.build(search.searches(node.type), network))
        except QuantizationError as error:
            refused[node.name] = _placed(error, network, node)
            continue
        if chain is not None:
            chains[node.name] = chain
    shapes = _input_shapes(network, record)
    model = QuantizedModel(_folded_graph(network.graph, chains), tuple(layers), shapes)
    return model, refused


def _placed(error: QuantizationError, network: RetrainedNetwork, node: Node) -> QuantizationError:
    placed = type(error)(
        error.problem, file=network.weights_file, layer=node.name, remedy=error.remedy
    )
    placed.__cause__ = error
    return placed


def _input_shapes(network: RetrainedNetwork, record: Record) -> Dict[str, Tuple[int, ...]]:
    """Return what insertion knew, and what training has recorded of the other inputs."""
    shapes = dict(network.input_shapes)
    for place in network.shape_records:
        found = record.find(place.entry)
        sample = found.sample_shape if found is not None else None
        if sample is not None:
            shapes[place.blob] = (place.batch_size, *sample)
    return shapes


def _folded_graph(graph: Graph, chains: Dict[str, FoldChain]) -> Graph:
    """Return ``graph`` without the folded layers; what they wrote, the layer before writes."""
    folded = {id(node) for chain in chains.values() for node in chain.nodes}
    nodes = []
    for node in graph.nodes:
        if id(node) in folded:
            continue
        chain = chains.get(node.name)
        if chain is not None:
            node = attrs.evolve(node, tops=(chain.value.name,))
        nodes.append(node)
    return graph.replace(nodes)


@attrs.frozen
class _LayerBuilder:
    trained: RetrainedLayer
    node: Node
    plugins: Registries
    chain: Optional[FoldChain]
    recorded: Optional[LayerRecord]

    @property
    def _quantization(self) -> Quantization:
        found = self.node.type.quantization
        assert found is not None
        return found

    def build(self, searched: bool, network: RetrainedNetwork) -> QuantizedLayer:
        trained = self.trained
        algorithm = self.plugins.activation_algorithms.get(trained.activation_algorithm).bound(
            trained.activation_parameters
        )
        scale_d, offset = CheckedActivation(algorithm, self.node.name).factors(
            trained.clip_max, trained.clip_min, trained.fixed_min, values=trained.values
        )
        if not algorithm.learned:  # else the factors need not follow from the bounds
            self._warn_if_dead(scale_d)
        weights, scale_w, bias = self._weights()
        divisor = self._quantization.divisor(self.node) if self._quantization.divisor else 1
        deq_scale = self._deq_scale(scale_d, scale_w, divisor)
        integer_bias = None
        if bias is not None:
            integer_bias = bias_numerics.quantize(bias, deq_scale)
        return QuantizedLayer(
            name=self.node.name,
            op=self.node.op,
            input_value=self.node.inputs[0],
            quant_scale=affine.quant_scale(scale_d),
            offset=offset,
            weights=weights,
            bias=integer_bias,
            deq_scale=deq_scale,
            shift_n=(
                self._recorded_shift(deq_scale, scale_d, scale_w, network)
                if searched
                else np.zeros(len(deq_scale), np.uint8)
            ),
            divisor=divisor,
            input_shape=self._input_shape(),
            provenance=Provenance(scale_d, scale_w),
        )

    def _warn_if_dead(self, scale_d: np.float32) -> None:
        """Warn of bounds that training has drawn together; how they began, training has told."""
        trained, recorded = self.trained, self.recorded
        if not affine.is_below_smallest_scale(trained.clip_max, trained.clip_min):
            return
        if recorded is None or recorded.scale_d is None or np.float32(recorded.scale_d) != scale_d:
            _log.warning(
                "layer '%s': its clip bounds %.3g and %.3g are so near to each other that scale_d "
                "is 1.0 and every input between them becomes 0; look for a learning rate that is "
                "too high (clip_lr_mult), or leave the layer unquantized",
                self.node.name,
                trained.clip_max,
                trained.clip_min,
            )

    def _weights(
        self,
    ) -> Tuple[
        Optional[NDArray[np.int8]],
        Optional[NDArray[np.float32]],
        Optional[NDArray[np.float32]],
    ]:
        """Return int8 weights, their scales and the float bias, after folding."""
        trained, node = self.trained, self.node
        if node.type.weights is None or trained.weight_algorithm is None:
            return None, None, None
        channel_axis = node.type.weights.output
        master = np.asarray(node.weights[0], np.float32)
        algorithm = self.plugins.weight_algorithms.get(trained.weight_algorithm).bound(
            trained.weight_parameters
        )
        scale = scale_of(self.chain.scale) if self.chain is not None else None
        quantized = quantize_weights(
            master,
            algorithm,
            channel_axis,
            trained.channel_wise,
            scale.gamma if scale is not None else None,
            trained.learned_scales,
            layer=node.name,
        )
        weights, scale_w = quantized.integers, quantized.scale_w
        bias = np.asarray(node.weights[1], np.float32) if len(node.weights) > 1 else None
        if self.chain is None:
            return weights, scale_w, bias
        batch_norm = batch_norm_of(self.chain.batch_norm)
        multiplier, _ = bn_fold.multiplier_and_shift(batch_norm, scale)
        weights, scale_w = bn_fold.fold_quantized(weights, scale_w, multiplier, channel_axis)
        bias = bn_fold.fold_bias(bias, batch_norm, scale, weights.shape[channel_axis])
        return weights, scale_w, bias

    def _deq_scale(
        self, scale_d: np.float32, scale_w: Optional[NDArray[np.float32]], divisor: int
    ) -> NDArray[np.float32]:
        if scale_w is None:
            return np.asarray([np.float32(float(scale_d) / divisor)], np.float32)
        return np.asarray(scale_d * scale_w, np.float32)

    def _input_shape(self) -> Optional[Tuple[int, int, int]]:
        recorded = self.recorded
        if recorded is None or recorded.channels is None:
            return None
        return recorded.channels, recorded.height or 1, recorded.width or 1

    def _recorded_shift(
        self,
        deq_scale: NDArray[np.float32],
        scale_d: np.float32,
        scale_w: Optional[NDArray[np.float32]],
        network: RetrainedNetwork,
    ) -> NDArray[np.uint8]:
        recorded = self.recorded
        if recorded is None or not recorded.shift_bit:
            raise TrainingError(
                f"the record has no shift factor N for it, although '{network.shift_n_algo}' was "
                "to search it: no TEST pass of at least batch_num forwards ran after training. "
                "solver.step(max_iter) does not run the last test.",
                file=network.record_file,
                layer=self.node.name,
                field="shift_bit",
                remedy=(
                    "Train with solver.solve(), which does; or, after solver.step(), call "
                    "solver.test_nets[0].share_with(solver.net) and batch_num times "
                    'solver.test_nets[0].forward(). For no search, set shift_n_algo: "none" and '
                    "insert again."
                ),
            )
        if len(recorded.shift_bit) != len(deq_scale):
            raise TrainingError(
                f"the record has {len(recorded.shift_bit)} values of N; expected {len(deq_scale)}, "
                "one per weight scale.",
                file=network.record_file,
                layer=self.node.name,
                field="shift_bit",
                remedy="Use the record file that this training wrote.",
            )
        self._warn_if_moved(recorded, scale_d, scale_w)
        return np.asarray(recorded.shift_bit, np.uint8)

    def _warn_if_moved(
        self,
        recorded: LayerRecord,
        scale_d: np.float32,
        scale_w: Optional[NDArray[np.float32]],
    ) -> None:
        same = recorded.scale_d is not None and np.float32(recorded.scale_d) == scale_d
        if scale_w is not None:
            same = same and np.array_equal(np.asarray(recorded.scale_w or (), np.float32), scale_w)
        if not same:
            _log.warning(
                "layer '%s': N was searched at other bounds or weights than those of the snapshot "
                "(recorded scale_d %s, now %s); run another TEST pass on the snapshot to search "
                "it again",
                self.node.name,
                recorded.scale_d,
                scale_d,
            )


def updated_record(record: Record, model: QuantizedModel) -> Record:
    """Return ``record`` with the factors that ``model`` was made with; N and shapes stay."""
    entries: Dict[str, LayerRecord] = {}
    for layer in model.layers:
        scale_w = layer.provenance.scale_w
        entries[layer.name] = attrs.evolve(
            record.find(layer.name) or LayerRecord(),
            scale_d=layer.provenance.scale_d,
            offset_d=layer.offset,
            scale_w=() if scale_w is None else tuple(scale_w),
            offset_w=() if scale_w is None else (0,) * len(scale_w),
        )
    return record.with_layers(entries)
