"""What a report takes from other rooms: the page, and the sensitivities of the layers."""

from __future__ import annotations

import importlib
from typing import Any, Callable, Dict, Optional

import attrs

from amct_core.errors import EnvironmentUnsuitableError
from cpu_sim_backend.analysis.measuring import affordable_batch
from cpu_sim_backend.analysis.model import NetworkReport
from cpu_sim_backend.analysis.networks import Networks
from cpu_sim_backend.data.source import DataSource
from cpu_sim_backend.simulator import Simulator


def page_renderer() -> Callable[[NetworkReport], str]:
    """Return what makes the page of a report.

    Raises:
        EnvironmentUnsuitableError: it is not installed.
    """
    found: Callable[[NetworkReport], str] = _loaded(
        "cpu_sim_backend.report_page", "render", "-o writes a page", "Leave -o out, or give --json."
    )
    return found


def sensitivity_measure() -> Callable[..., Any]:
    """Return what measures sensitivities.

    Raises:
        EnvironmentUnsuitableError: it is not installed.
    """
    found: Callable[..., Any] = _loaded(
        "cpu_sim_backend.analysis.sensitivity",
        "measure_sensitivity",
        "--sensitivity measures layers one by one",
        "Leave --sensitivity out.",
    )
    return found


def with_sensitivities(
    report: NetworkReport,
    networks: Networks,
    data: DataSource,
    samples: Optional[int],
    engine: str,
) -> NetworkReport:
    """Return ``report`` with what each layer alone costs in the network's outputs.

    Args:
        report: without.
        networks: that it is about.
        data: the samples; the first so many are used.
        samples: how many; None: as many as the measurement takes by itself.
        engine: of the simulation.

    Raises:
        AmctError: it cannot be measured.
    """
    simulator = Simulator.from_graph(networks.deployed, engine)
    options: Dict[str, Any] = {"engine": engine}
    if samples is not None:
        options["samples"] = samples
    size = affordable_batch(networks.deployed, simulator.inputs)
    batches = simulator.batches(data, size)
    found = sensitivity_measure()(networks.original, networks.deployed, batches, **options)
    layers = tuple(
        attrs.evolve(layer, sensitivity=found.layers.get(layer.name)) for layer in report.layers
    )
    return attrs.evolve(report, layers=layers, sensitivity_samples=found.samples)


def _loaded(module: str, name: str, what: str, remedy: str) -> Any:
    try:
        return getattr(importlib.import_module(module), name)
    except ModuleNotFoundError as error:
        raise EnvironmentUnsuitableError(
            f"{what}, and '{error.name}' is not installed.", remedy=remedy
        ) from error
