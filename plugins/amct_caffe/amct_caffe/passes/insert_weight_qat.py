"""Puts one WeightQAT in front of each quantized layer that has weights."""

from __future__ import annotations

from typing import List, Mapping, Optional, Sequence, Tuple

import attrs
import numpy as np
from numpy.typing import NDArray

from amct_caffe.model.formats.prototxt.document import Layer, ParamSpec
from amct_caffe.model.network import CaffeNetwork
from amct_caffe.passes.insert_activation_qat import activation_layer_name
from amct_caffe.passes.python_layers import (
    fixed,
    python_layer,
    share_blobs,
    shared_name,
    shares,
)
from amct_caffe.passes.state_rules import common_rules, set_rules
from amct_caffe.qat.parameters import WeightParameters
from amct_caffe.qat.plan import ActivationGroup, PlannedLayer, QatPlan
from amct_core.errors import QuantizationError
from amct_core.extensions import WeightAlgorithm
from amct_core.folding import batch_norm_of, scale_of
from amct_core.graph import Pass
from amct_core.numerics import bn_fold
from amct_core.numerics.bias import SmallestScale, smallest_scale
from amct_core.registry import Registry
from amct_core.weight_quantization import quantize_weights


@attrs.frozen
class InsertWeightQat(Pass[CaffeNetwork]):
    """Insert WeightQAT layers; runs after InsertActivationQat.

    1. Each quantized layer with weights gets one, named ``<layer>_weight_qat``, in place on the
       ActivationQAT's top.
    2. All WeightQATs of one ActivationQAT follow it at once, before any reader: Caffe refuses an
       in-place layer behind another reader.
    3. The master weights take over the layer's weight multipliers and, where the user shares the
       weights by name, that name.
    4. The layer's own weights become the quantized ones, shared by name, with a non-zero
       ``lr_mult`` (else Caffe computes no gradient) and no decay.  Its bias stays as it is.
    5. Where saving will fold a Scale, its gamma is shared by name, too: its sign decides how the
       weights are quantized.
    6. The blobs are those that the first forward will leave: in the master the weights that came
       in, in the layer itself the quantized ones.
    7. It is told how small the scale of the input may become before the bias that the layer is
       saved with leaves int32.  A bias that fits with no scale is refused.
    8. It stands in the nets in which the layer stands, as far as rules say that.
    9. Scales that its algorithm learns have the algorithm's multipliers; others stand still.
    """

    plan: QatPlan
    algorithms: Registry[WeightAlgorithm]

    def run(self, state: CaffeNetwork) -> CaffeNetwork:
        """Return the network with the layers and their blobs."""
        network = state.copy()
        layers = network.document.by_name()
        added = {}
        for group in self.plan.groups:
            found = [self._insert(network, layers, group, planned) for planned in group.layers]
            added[activation_layer_name(group)] = [layer for layer in found if layer is not None]
        network.document.insert_after(added)
        return network

    def _insert(
        self,
        network: CaffeNetwork,
        layers: Mapping[str, Sequence[Layer]],
        group: ActivationGroup,
        planned: PlannedLayer,
    ) -> Layer | None:
        if planned.output_axis is None or planned.config.weight is None:
            return None
        name = weight_layer_name(planned.name)
        quantized = shared_name(planned.name, "quantized")
        specs = [_master_spec(layers[planned.name])]
        specs.append(ParamSpec(name=quantized, lr_mult=1.0, decay_mult=0.0))
        algorithm = self._algorithm(planned)
        specs.append(_scale_spec(shared_name(planned.name, "scale_w"), algorithm))
        specs.append(shares(shared_name(group.name, "state")))
        for layer in layers[planned.name]:
            own = ParamSpec(name=quantized, lr_mult=1.0, decay_mult=0.0)
            layer.param_specs = [own, *list(layer.param_specs)[1:]]
        blob = activation_layer_name(group)
        scale = planned.chain.scale if planned.chain is not None else None
        blobs = self._blobs(planned, network.weights_file)
        blobs.append(network.weights[blob][2])
        if scale is not None:
            specs.append(_shared_gamma(layers[scale.name]))
            blobs.append(np.asarray(scale.weights[0], np.float32))
        smallest = self._smallest_scale(planned, blobs[2], network.weights_file)
        network.weights[name] = blobs
        network.weights[planned.name] = [blobs[1], *network.weights[planned.name][1:]]
        parameters = WeightParameters(
            layer=planned.name,
            algo=planned.config.weight.algo,
            shape=blobs[0].shape,
            output_axis=planned.output_axis,
            channel_wise=bool(planned.config.weight.channel_wise),
            batch_num=self.plan.config.batch_num,
            record_file=self.plan.record_file,
            folded=[n.name for n in planned.chain.nodes] if planned.chain is not None else [],
            folds_scale=scale is not None,
            smallest_scale_d=None if smallest is None else smallest.value,
            bias_channel=None if smallest is None else smallest.channel,
            algo_parameters=planned.config.weight.algo_parameters,
        )
        layer = python_layer(name, "WeightQAT", [blob], [blob], parameters, specs)
        set_rules(layer, common_rules(layers[planned.name]))
        return layer

    def _blobs(
        self, planned: PlannedLayer, weights_file: Optional[str]
    ) -> List[NDArray[np.float32]]:
        """Return master, quantized weights and scales, as the first forward will leave them."""
        assert planned.output_axis is not None and planned.config.weight is not None
        master = np.asarray(planned.node.weights[0], np.float32)
        scale = scale_of(planned.chain.scale) if planned.chain is not None else None
        try:
            quantized = quantize_weights(
                master,
                self._algorithm(planned),
                planned.output_axis,
                bool(planned.config.weight.channel_wise),
                scale.gamma if scale is not None else None,
                layer=planned.name,
            )
        except QuantizationError as error:
            raise error.at(file=weights_file, layer=planned.name) from error
        return [master, quantized.fake_quantized(), quantized.scale_w]

    def _algorithm(self, planned: PlannedLayer) -> WeightAlgorithm:
        config = planned.config.weight
        assert config is not None
        return self.algorithms.get(config.algo).bound(config.algo_parameters, layer=planned.name)

    def _smallest_scale(
        self, planned: PlannedLayer, scale_w: NDArray[np.float32], weights_file: Optional[str]
    ) -> Optional[SmallestScale]:
        try:
            saved = _saved_bias(planned, scale_w)
        except QuantizationError as error:
            raise error.at(file=weights_file, layer=planned.name) from error
        found = None if saved is None else smallest_scale(*saved)
        if found is not None and found.is_out_of_reach:
            raise QuantizationError(
                f"the bias of channel {found.channel} would take an input scale of "
                f"{found.value:.9g} to fit int32; no activation has one.",
                file=weights_file,
                layer=planned.name,
                remedy="Check the weights file, or leave the layer unquantized "
                "(retrain_enable: false).",
            )
        return found


def _scale_spec(name: str, algorithm: WeightAlgorithm) -> ParamSpec:
    if not algorithm.learns_scales:
        return fixed(name)
    return ParamSpec(name, algorithm.scale_lr_mult, algorithm.scale_decay_mult)


def _saved_bias(
    planned: PlannedLayer, scale_w: NDArray[np.float32]
) -> Optional[Tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """Return bias and weight scales as saving would have them now; None without a bias.

    None also where the weights file lacks the statistics of a BatchNorm: training makes them.
    """
    node, chain = planned.node, planned.chain
    bias = np.asarray(node.weights[1], np.float32) if len(node.weights) > 1 else None
    if chain is None:
        return None if bias is None else (bias, scale_w)
    if chain.batch_norm is not None and not chain.batch_norm.weights:
        return None
    batch_norm, scale = batch_norm_of(chain.batch_norm), scale_of(chain.scale)
    multiplier, _ = bn_fold.multiplier_and_shift(batch_norm, scale)
    assert planned.output_axis is not None
    channels = node.weights[0].shape[planned.output_axis]
    folded = bn_fold.fold_bias(bias, batch_norm, scale, channels)
    return folded, bn_fold.fold_scales(scale_w, multiplier)


def _master_spec(layers: Sequence[Layer]) -> ParamSpec:
    """Return how the solver treats the weights of a layer, given in each of its phases."""
    return next((layer.param_specs[0] for layer in layers if layer.param_specs), ParamSpec())


def _shared_gamma(scales: Sequence[Layer]) -> ParamSpec:
    """Give the gamma of a Scale, in each of its phases, a name; return a spec that shares it."""
    specs = [share_blobs(layer, 1) for layer in scales]
    return specs[0][0]


def weight_layer_name(layer: str) -> str:
    """Return the name of the WeightQAT of ``layer``."""
    return f"{layer}_weight_qat"
