"""What each layer alone costs in the network's outputs, added to a report."""

from __future__ import annotations

from typing import Iterable, Iterator, Optional

import attrs

from amct_core import progress as any_progress
from cpu_sim_backend.analysis.measuring import affordable_batch
from cpu_sim_backend.analysis.model import NetworkReport
from cpu_sim_backend.analysis.networks import Networks
from cpu_sim_backend.analysis.sensitivity import measure_sensitivity, samples_for
from cpu_sim_backend.data.source import DataSource
from cpu_sim_backend.simulator import Simulator


def with_sensitivities(
    report: NetworkReport,
    networks: Networks,
    data: DataSource,
    samples: Optional[int],
    engine: str,
    batch_size: Optional[int] = None,
) -> NetworkReport:
    """Return ``report`` with the sensitivity of each quantized layer.

    Args:
        report: without them.
        networks: that it is about.
        data: as for the report.
        samples: on how many the networks run; None: :func:`.samples_for` the data.
        engine: of the simulation.
        batch_size: samples per batch, at most; None: as many as need not much memory.

    Raises:
        AmctError: the networks do not belong together, or one cannot be run on the data.
    """
    simulator = Simulator.from_graph(networks.deployed, engine)
    size = batch_size or affordable_batch(networks.deployed, simulator.inputs)
    batches = simulator.batches(data, size)
    found = measure_sensitivity(
        networks.original,
        networks.deployed,
        batches,
        engine=engine,
        samples=samples or samples_for(batches.samples),
        progress=_progress,
    )
    layers = tuple(
        attrs.evolve(layer, sensitivity=found.layers[layer.name]) for layer in report.layers
    )
    return attrs.evolve(
        report,
        layers=layers,
        sensitivity_samples=found.samples,
        all_quantized=found.all_quantized,
    )


def _progress(steps: Iterable[int], total: int) -> Iterator[int]:
    return any_progress.progress(steps, total, "measuring layers alone", lambda step: step)
