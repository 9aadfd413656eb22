"""Sensitivities measured on a sample beside brute force over all images.

One network per run, quantized in every layer by the default calibrator on 100 images, as
``ptq_accuracy.py`` does.  *Ours* is ``measure_sensitivity``, which runs each layer to the end on
the first images, and by itself on all.  *Brute force*: for each layer, the whole network with only
that layer in int8 (or only that one in float) on all images, in the same engine.  Errors are those
of the logits against float.

Brute force takes hours, so the whole networks run on the first images only (``--full-passes``), and
their seconds are multiplied; errors over all images are computed from each layer on.  That these
are the same is checked on the images of the full passes: ``same_bits``.  Ours and the full passes
run in this process, one after the other; ``share_of_time`` is of seconds on the clock, and
``share_of_processor_time`` of those of the processor, which other processes change less.

``spearman`` compares the rankings of the layers.  ``spread`` tells how far other samples of the
same size, each of images of its own, agree with brute force, and with each other.  The script
prints one JSON object.
"""

from __future__ import annotations

import argparse
import itertools
import json
import logging
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Callable, Dict, Iterable, Iterator, List, Mapping, Sequence

os.environ.setdefault("GLOG_minloglevel", "2")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "2")

import attrs
import numpy as np
from networks import Array
from ptq_accuracy import DEFAULT, ROOT, Task, quantized, read_task

from amct_core.graph import Graph, Value
from amct_core.graph.deployed_layers import deployed_layers
from cpu_sim_backend import Simulator
from cpu_sim_backend.analysis.float_network import (
    float_counterpart,
    logits,
    read_float_network,
    same_values,
)
from cpu_sim_backend.analysis.sensitivity import (
    Sensitivities,
    measure_sensitivity,
    samples_for,
    spearman,
)
from cpu_sim_backend.ptq import SimulatorEngine
from cpu_sim_backend.ptq.changed_layer import float_alone, quantized_alone

NETWORKS = ("resnet20", "squeezenet")
LEAST_SPEARMAN = 0.95
MOST_TIME = 0.25
"""What we promise."""
FULL_PASSES = {"resnet20": 250, "squeezenet": 16}
"""On how many images brute force runs whole networks."""
SHORT = 100_000
"""Fewer steps than that, one per layer and sample, are not told."""
SAMPLES_COMPARED = 2
KINDS = ("quantized_alone", "float_alone")

Images = Sequence[Dict[str, Array]]


@attrs.frozen
class Seconds:
    """What a computation took, on the clock and of the processor."""

    clock: float
    processor: float

    def times(self, factor: float) -> Seconds:
        """Return as many times as much."""
        return Seconds(self.clock * factor, self.processor * factor)

    def __add__(self, other: Seconds) -> Seconds:
        return Seconds(self.clock + other.clock, self.processor + other.processor)

    def rounded(self) -> Dict[str, float]:
        """Return both, for the result."""
        return {"clock": round(self.clock, 2), "processor": round(self.processor, 2)}


def timed(compute: Callable[[], Any]) -> tuple[Any, Seconds]:
    """Return what ``compute`` gives, and its seconds."""
    clock, processor = time.perf_counter(), time.process_time()
    found = compute()
    return found, Seconds(time.perf_counter() - clock, time.process_time() - processor)


def batches(task: Task, start: int = 0, stop: int | None = None) -> Images:
    """Return the images from ``start`` to before ``stop``, in batches."""
    images, size = task.images[start:stop], task.network.batch_size
    return [{task.network.data: images[at : at + size]} for at in range(0, len(images), size)]


@attrs.frozen(eq=False)
class FullPasses:
    """Each layer's network as a whole on some images.

    Attributes:
        errors: by kind, then in network order.
        seconds: by kind; the float pass that both are compared with is in each.
    """

    errors: Dict[str, List[float]]
    seconds: Dict[str, Seconds]


def full_passes(graph: Graph, deployed: Graph, images: Images) -> FullPasses:
    """Run the whole network for each layer."""
    folded, values = float_counterpart(graph, deployed), logits(deployed)
    own = same_values(deployed, folded, values)
    layers = list(deployed_layers(deployed).values())
    quantized = [quantized_alone(folded, each, own).whole for each in layers]
    in_float = [
        float_alone(deployed, each, folded.node(each.name), values).whole for each in layers
    ]
    reference, seconds = timed(lambda: outputs(folded, own, images))
    errors, own_seconds = {}, {}
    for kind, graphs, wanted in zip(KINDS, (quantized, in_float), (own, values)):
        errors[kind], own_seconds[kind] = timed(
            lambda graphs=graphs, wanted=wanted: [
                mean_squared_error(reference, outputs(each, wanted, images)) for each in graphs
            ]
        )
        own_seconds[kind] += seconds
        print(f"full passes: {kind} {own_seconds[kind]}", file=sys.stderr)
    return FullPasses(errors, own_seconds)


def outputs(graph: Graph, values: Sequence[Value], images: Images) -> List[List[Array]]:
    """Return ``values`` for each batch, computed from the first layer on."""
    run = SimulatorEngine().prepare(graph, values)
    results = (run(batch) for batch in images)
    return [[found[value] for value in values] for found in results]


def mean_squared_error(x: Sequence[Sequence[Array]], y: Sequence[Sequence[Array]]) -> float:
    """Return the mean squared error of outputs, summed up batch by batch as ours is."""
    total, count = 0.0, 0
    for reference, found in zip(x, y):
        squares = [
            float(np.square(b.astype(np.float64) - a.astype(np.float64)).sum())
            for a, b in zip(reference, found)
        ]
        total += sum(squares)
        count += sum(each.size for each in reference)
    return total / count


def errors_of(measured: Sensitivities, kind: str) -> List[float]:
    """Return the errors of one kind, in network order."""
    return [getattr(each, kind) for each in measured.layers.values()]


def compared(measured: Sensitivities, complete: Sensitivities) -> Dict[str, float]:
    """Return Spearman's correlation with the errors over all images, by kind."""
    return {
        kind: round(spearman(errors_of(measured, kind), errors_of(complete, kind)), 4)
        for kind in KINDS
    }


def spread(samples: Sequence[Sensitivities], complete: Sensitivities) -> Dict[str, Any]:
    """Return how well samples of one size agree with all images, and with each other."""
    pairs = [compared(x, y) for x, y in itertools.combinations(samples, 2)]
    return {
        "samples_compared": len(samples),
        "with_brute_force": [compared(each, complete) for each in samples],
        "least_with_each_other": {kind: min(pair[kind] for pair in pairs) for kind in KINDS},
    }


def measure(shared: Path, name: str, images: int | None, passes: int | None) -> Dict[str, Any]:
    """Return the measurement of one network."""
    task = read_task(shared, name, images)
    count = len(task.images)
    size = samples_for(count)
    passed = min(passes or FULL_PASSES[name], count)
    graph = read_float_network(task.model, task.weights)
    with tempfile.TemporaryDirectory() as folder:
        deployed = Simulator(*quantized(task, DEFAULT, Path(folder))).graph

    def ours(samples: int, start: int = 0) -> Sensitivities:
        given = batches(task, start) + batches(task, 0, start)
        return measure_sensitivity(graph, deployed, given, samples=samples, progress=told)

    # What is compiled is compiled.
    measure_sensitivity(graph, deployed, batches(task, 0, 2), samples=1)
    found, seconds = timed(lambda: ours(size))
    print(f"ours: {seconds}", file=sys.stderr)
    brute = full_passes(graph, deployed, batches(task, 0, passed))
    of_passes = measure_sensitivity(graph, deployed, batches(task, 0, passed), samples=passed)
    unscaled = measure_sensitivity(graph, deployed, batches(task, 0, size), samples=size)
    same = all(errors_of(of_passes, kind) == brute.errors[kind] for kind in KINDS)
    whole = {kind: brute.seconds[kind].times(count / passed) for kind in KINDS}
    complete = ours(count)
    starts = range(size, min(count - size + 1, size * SAMPLES_COMPARED), size)
    samples = [found, *(ours(size, start) for start in starts)]
    rank = compared(found, complete)
    share = shares(seconds, whole)
    return {
        "images": count,
        "samples": found.samples,
        "layers": len(found.layers),
        "spearman": rank,
        "share_of_time": {each: pair[0] for each, pair in share.items()},
        "share_of_processor_time": {each: pair[1] for each, pair in share.items()},
        "same_bits": same,
        "full_passes_on_images": passed,
        "seconds": {
            "ours_both_kinds": seconds.rounded(),
            "brute_force": {kind: each.rounded() for kind, each in whole.items()},
        },
        "spearman_of_the_sample_alone": compared(unscaled, complete),
        "spread": spread(samples, complete),
        "errors": {kind: errors_by_layer(found, complete, kind) for kind in KINDS},
        "holds": same
        and rank["quantized_alone"] >= LEAST_SPEARMAN
        and max(share["both_kinds_of_brute_force_of_quantized_alone"]) <= MOST_TIME,
    }


def shares(ours: Seconds, brute: Mapping[str, Seconds]) -> Dict[str, tuple[float, float]]:
    """Return our part of brute force's time, on the clock and of the processor."""
    parts = {
        "both_kinds_of_brute_force_of_quantized_alone": brute["quantized_alone"],
        "both_kinds_of_brute_force_of_both": brute["quantized_alone"] + brute["float_alone"],
    }
    return {
        name: (round(ours.clock / each.clock, 4), round(ours.processor / each.processor, 4))
        for name, each in parts.items()
    }


def errors_by_layer(
    found: Sensitivities, complete: Sensitivities, kind: str
) -> Dict[str, Dict[str, float]]:
    """Return the errors of each layer on the sample and on all images."""
    pairs = zip(found.layers, errors_of(found, kind), errors_of(complete, kind))
    return {name: {"sample": _short(x), "all": _short(y)} for name, x, y in pairs}


def _short(value: float) -> float:
    return float(f"{value:.4g}")


def told(steps: Iterable[int], total: int) -> Iterator[int]:
    """Yield ``steps``; say on standard error how far they are, about a hundred times."""
    done, last = 0, 0
    for step in steps:
        done += step
        if done - last > total // 100 and total > SHORT:
            print(f"{100 * done // total} %", file=sys.stderr)
            last = done
        yield step


def main() -> None:
    """Print the measurement as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shared", type=Path, default=os.environ.get("AMCT_SHARED"))
    parser.add_argument("--network", action="append", choices=NETWORKS, help="default: all")
    parser.add_argument("--images", type=int, help="default: all")
    parser.add_argument("--full-passes", type=int, help="images that whole networks run on")
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)
    shared = Path(arguments.shared or ROOT.parent / "shared").resolve()
    names = arguments.network or NETWORKS
    found = {name: measure(shared, name, arguments.images, arguments.full_passes) for name in names}
    print(json.dumps({"networks": found}, indent=2))


if __name__ == "__main__":
    main()
