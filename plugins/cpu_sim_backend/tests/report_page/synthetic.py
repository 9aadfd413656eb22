"""Reports that look like those of real networks, from drawn numbers."""

from __future__ import annotations

from typing import Any, List, Sequence, Tuple

import attrs
import numpy as np

from cpu_sim_backend.analysis.model import (
    ActivationReport,
    Change,
    Finding,
    GraphNode,
    Histogram,
    IntegerReport,
    LayerReport,
    LearnedBounds,
    NetworkReport,
    OutputReport,
    SensitivityReport,
    Similarity,
    WeightReport,
)

SEED = 7
BINS = 128


def activation(
    rng: np.random.Generator, clip: float = 1.0, blob: str = "pool1"
) -> ActivationReport:
    """The output of a ReLU; the clip bound is ``clip`` times the largest of 50,000 values."""
    values = np.maximum(rng.normal(-0.2, 1, 50_000), 0) * float(rng.uniform(0.5, 4))
    highest = float(values.max())
    bound = clip * highest
    counts, _ = np.histogram(values, BINS, (0, highest))
    levels = np.clip(np.round(values / (bound / 255)), 0, 255)
    return ActivationReport(
        blob=blob,
        scale=bound / 255,
        offset=-128,
        clip_min=0.0,
        clip_max=bound,
        lowest=0.0,
        highest=highest,
        clipped=float((values > bound).mean()),
        used=len(np.unique(levels)),
        histogram=Histogram(0.0, highest, tuple(int(each) for each in counts)),
    )


def weights(
    rng: np.random.Generator,
    channels: int,
    dead: Sequence[int] = (),
    outliers: Sequence[int] = (),
) -> WeightReport:
    """Channels of a convolution; ``outliers`` share one scale with the others."""
    reach = rng.lognormal(-2, 0.5, channels)
    reach[list(outliers)] *= 30
    reach[list(dead)] = 0
    highest, lowest = reach * rng.uniform(0.6, 1, channels), -reach * rng.uniform(0.6, 1, channels)
    one_scale = bool(outliers)
    scales = (np.array([reach.max()]) if one_scale else np.where(reach, reach, 1.0)) / 127
    used = np.clip(np.round((highest - lowest) / scales), 1, 255)
    return WeightReport(
        channel_wise=not one_scale,
        scales=tuple(map(float, scales)),
        lowest=tuple(map(float, lowest)),
        highest=tuple(map(float, highest)),
        used=tuple(map(int, used)),
        dead=tuple(dead),
        outliers=tuple(outliers),
    )


def layer(rng: np.random.Generator, name: str, channels: int = 64, **changed: Any) -> LayerReport:
    """A sound convolution, except for what is ``changed``."""
    snr = float(rng.normal(34, 4))
    sound = LayerReport(
        name=name,
        type="Convolution",
        alone=Similarity(snr, 1 - 10 ** (-snr / 10) / 2),
        accumulated=Similarity(snr - 8, 1 - 10 ** (-(snr - 8) / 10) / 2),
        activation=activation(rng),
        weights=weights(rng, channels),
        integers=IntegerReport(
            largest_partial_sum=int(rng.lognormal(14, 0.8)),
            largest_accumulator=int(rng.lognormal(13, 0.8)),
            largest_bias=int(rng.lognormal(9, 1)),
            shift_n=(0,),
            int16_saturated=0.0,
            parts=1,
        ),
    )
    return attrs.evolve(sound, **changed)


def residual_graph(blocks: int) -> List[GraphNode]:
    """Bottlenecks with shortcuts, as in ResNet."""
    nodes = [
        GraphNode("data", "Input", (), False),
        GraphNode("conv1", "Convolution", ("data",), True),
        GraphNode("conv1_relu", "ReLU", ("conv1",), False),
        GraphNode("pool1", "Pooling", ("conv1_relu",), False),
    ]
    last = "pool1"
    for number in range(1, blocks + 1):
        block = f"res{number}"
        shortcut = last
        if number % 4 == 1:
            shortcut = f"{block}_branch1"
            nodes.append(GraphNode(shortcut, "Convolution", (last,), True))
        for part in ("2a", "2b", "2c"):
            name = f"{block}_branch{part}"
            nodes.append(GraphNode(name, "Convolution", (last,), True))
            last = name
            if part != "2c":
                last = f"{name}_relu"
                nodes.append(GraphNode(last, "ReLU", (name,), False))
        nodes.append(GraphNode(block, "Eltwise", (shortcut, last), False))
        nodes.append(GraphNode(f"{block}_relu", "ReLU", (block,), False))
        last = f"{block}_relu"
    nodes.append(GraphNode("pool5", "Pooling", (last,), False))
    nodes.append(GraphNode("fc1000", "InnerProduct", ("pool5",), True))
    nodes.append(GraphNode("prob", "Softmax", ("fc1000",), False))
    return nodes


def bounds(rng: np.random.Generator, name: str, points: int) -> LearnedBounds:
    """Bounds that settle."""
    steps = np.arange(points)
    highest = 4 + 3 * np.exp(-steps / (points / 5)) + rng.normal(0, 0.03, points)
    lowest = -1 - np.exp(-steps / (points / 3)) + rng.normal(0, 0.02, points)
    return LearnedBounds(
        name,
        tuple(map(int, steps * 50)),
        tuple(map(float, lowest)),
        tuple(map(float, highest)),
    )


def report(blocks: int = 16, widest: int = 256, points: int = 100) -> NetworkReport:
    """A residual network with three unsound layers, some dead channels and a sensitivity."""
    rng = np.random.default_rng(SEED)
    graph = residual_graph(blocks)
    names = [node.name for node in graph if node.quantized]
    layers = [
        layer(
            rng,
            name,
            int(min(widest, 64 * 2 ** (number // 8))),
            sensitivity=SensitivityReport(
                float(rng.lognormal(-9, 1.5)), float(rng.lognormal(-3, 0.1))
            ),
        )
        for number, name in enumerate(names)
    ]
    layers, findings = _unsound(rng, layers)
    return NetworkReport(
        prefix="results/resnet50",
        data="images of val/ (preprocessing pre.json)",
        samples=100,
        verdict=(
            "int8 differs from float in 18.0 % of the decisions; three layers are the reason, "
            "and each has a cure."
        ),
        outputs=(OutputReport("prob", Similarity(14.2, 0.9812), 0.82),),
        layers=tuple(layers),
        findings=tuple(findings),
        graph=tuple(graph),
        float_layers=(("res2_branch1", "retrain_enable is false"),),
        soc_version="Ascend310P3",
        sensitivity_samples=64,
        bounds=tuple(bounds(rng, name, points) for name in names),
        seconds=74.0,
    )


def _unsound(
    rng: np.random.Generator, layers: List[LayerReport]
) -> Tuple[List[LayerReport], List[Finding]]:
    """Return the layers with three of them unsound and one dead channel, and the findings."""
    clipped, heavy = layers[5], layers[7]
    last = layers[-1]
    small = activation(rng, clip=0.1, blob="res1_relu")
    layers[5] = attrs.evolve(
        clipped,
        alone=Similarity(3.1, 0.71),
        accumulated=Similarity(2.9, 0.7),
        activation=small,
        sensitivity=SensitivityReport(0.21, 0.08),
    )
    layers[7] = attrs.evolve(
        heavy,
        alone=Similarity(11.7, 0.93),
        integers=attrs.evolve(
            heavy.integers,
            largest_partial_sum=2**25 + 77,
            largest_accumulator=2**31 + 5,
            largest_bias=2**31 - 1,
            shift_n=(3, 4, 5, 9),
            int16_saturated=0.0213,
            parts=2,
        ),
        on_processor=("Rolled back to float16: Ascend310P3 does not run this shape in int8.",),
    )
    channels = len(last.weights.lowest) if last.weights else 64
    layers[-1] = attrs.evolve(
        last,
        type="InnerProduct",
        alone=Similarity(7.4, 0.88),
        weights=weights(rng, channels, outliers=(17,)),
    )
    channels = len(layers[2].weights.lowest) if layers[2].weights else 64
    layers[2] = attrs.evolve(layers[2], weights=weights(rng, channels, dead=(0, 5, 6, 7, 40)))
    skip = Change(skip=True)
    values = (
        ("retrain_data_config.clip_max", round(small.highest, 2)),
        ("retrain_data_config.clip_min", 0.0),
    )
    return layers, [
        Finding(
            clipped.name,
            "clipping",
            f"{100 * small.clipped:.1f} % of the input values lie above clip_max "
            f"{small.clip_max:.3g}; the largest is {small.highest:.3g}.",
            "Its output has an SNR of 3.1 dB where the other layers have 34 dB.",
            f"Set clip_max to {small.highest:.2f}, or train with the bounds free.",
            weight=3,
            qat=Change(values=values),
            ptq=Change(values=(("activation_quant_params.act_algo", "min_max"),)),
        ),
        Finding(
            last.name,
            "weight outlier",
            "Channel 17 reaches 30 times as far as the median channel, and all share one scale.",
            "The other channels take 9 of 256 int8 values.",
            "Leave this layer in float, or give each channel a scale of its own.",
            weight=2,
            qat=skip,
            ptq=skip,
        ),
        Finding(
            heavy.name,
            "bias out of int32",
            "The bias of channel 3 is 5.1e9 steps; int32 holds 2,147,483,647.",
            "The channel's output is wrong by up to 12.4.",
            "Leave this layer in float.",
            weight=1,
            qat=skip,
            ptq=skip,
        ),
        Finding(
            layers[2].name,
            "dead channel",
            "The weights of 5 output channels are all 0.",
            "It costs nothing.",
            "Nothing needs to be done.",
            harmless=True,
        ),
    ]
