"""The search for shift N in post-training quantization, which is off unless it is asked for.

What is searched over are the outputs of the calibrated network: quantized weights, float
activations, as in AMCT's SearchN layer.  It takes a pass of its own, because the search starts from
``deq_scale``, and so from the factors of the activations.
"""

from __future__ import annotations

import itertools
from typing import Any, Dict, Iterable

import attrs
import numpy as np

from amct_core.contracts.preparation import prepare
from amct_core.contracts.shifts import CheckedSearch
from amct_core.errors import ConfigError
from amct_core.extensions import ShiftSearch
from amct_core.graph import Node
from amct_core.ptq.engine import Array, Batch, Engine
from amct_core.ptq.plan import CalibrationPlan
from amct_core.record import Record


def with_shifts(
    plan: CalibrationPlan,
    record: Record,
    search: ShiftSearch,
    batches: Iterable[Batch],
    engine: Engine,
) -> Record:
    """Return ``record`` with N of each layer that has one, searched over ``batch_num`` batches.

    Args:
        plan: the calibration.
        record: its factors.
        search: how N is found.
        batches: the data that calibrated.
        engine: what runs the network.

    Raises:
        ConfigError: the search searches nothing.
        QuantizationError: outputs that are not finite; the message names the layer.
        PluginError: the search fails, or breaks its contract.
    """
    if search.start is None:
        raise ConfigError(
            f"'{search.name}' searches nothing.",
            field="shift_n_algo",
            remedy="Name a search, such as search_n, or none at all.",
        )
    prepare(search)
    graph = plan.fake_quantized()
    nodes = [each for each in graph.nodes if each.name in record and search.searches(each.type)]
    nodes = [each for each in nodes if each.name in plan.config.enabled]
    searchers: Dict[str, CheckedSearch] = {}
    run = engine.prepare(graph, [node.outputs[0] for node in nodes])
    for batch in itertools.islice(batches, plan.config.batch_num):
        outputs = run(batch)
        for node in nodes:
            y = outputs[node.outputs[0]]
            if node.name not in searchers:
                deq_scale, broadcast = _deq_scale(node, record), _is_global(y)
                started = CheckedSearch.start(search, deq_scale, broadcast, node.name)
                searchers[node.name] = started
            searchers[node.name].observe(y)
    for name, searcher in searchers.items():
        shifts = tuple(int(n) for n in searcher.result())
        record = record.with_layer(name, attrs.evolve(record.get(name), shift_bit=shifts))
    return record


def _deq_scale(node: Node, record: Record) -> Any:
    entry = record.get(node.name)
    return np.asarray(np.float32(entry.scale_d) * np.asarray(entry.scale_w, np.float32), np.float32)


def _is_global(y: Array) -> bool:
    """Return whether a convolution has one output per channel: too few to search by channel."""
    return y.ndim == 4 and y.shape[2:] == (1, 1)
