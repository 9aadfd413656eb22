"""Calibrates activations in an engine, without the framework.

The network that runs is the one that calibration in the framework runs: fused, with fake-quantized
weights and float activations.  The record is the one that it would write, as far as the engine's
float layers agree with the framework's.
"""

from __future__ import annotations

import itertools
import logging
from typing import Dict, Iterable, Iterator, Mapping, Optional, Sequence, Tuple

from amct_core.contracts.preparation import prepare
from amct_core.errors import ConfigError
from amct_core.plugins import Registries, registries
from amct_core.ptq.choice import Choice, Factors, candidates
from amct_core.ptq.engine import Array, Batch, Engine
from amct_core.ptq.observing import Observer, observer_for, parameters_of, require_finite
from amct_core.ptq.plan import CalibrationGroup, CalibrationPlan, naming_layers
from amct_core.ptq.shift import with_shifts
from amct_core.record import Record
from amct_core.record.activations import activation_factors

_log = logging.getLogger("amct_core.ptq")


def calibrate(
    plan: CalibrationPlan,
    batches: Iterable[Batch],
    engine: Engine,
    shift_search: Optional[str] = None,
) -> Record:
    """Return the complete record of a calibration.

    Args:
        plan: what is calibrated, and with which weights.
        batches: the data; the first ``batch_num`` of them count.  They are iterated again for
            ``best`` and for the search for shift N; then an iterator is not enough.
        engine: what runs the network.
        shift_search: name of a search for shift N; None: none is searched, as in AMCT.

    Raises:
        ConfigError: there are fewer batches.
        QuantizationError: a batch makes NaN or infinity, or no scale fits; the message names the
            layer.
        ModelError: a layer cannot be run, or data are missing.
        PluginError: there is no such search; or a plugin fails, or breaks its contract.
    """
    plugins = registries()
    search = None if shift_search is None else plugins.shift_searches.get(shift_search).bound({})
    observers = {group.name: _observers(plan, group, plugins) for group in plan.groups}
    shapes = _observe(plan, observers, batches, engine)
    found = {group.name: _results(observers[group.name], group) for group in plan.groups}
    factors = _chosen(plan, found, batches, engine)
    record = plan.record()
    for group in plan.groups:
        scale, offset = factors[group.name]
        record = activation_factors(record, group.layers, scale, offset, shapes[group.name])
        _log.info("layer %s: scale_d %.9g, offset_d %d", ", ".join(group.layers), scale, offset)
    return record if search is None else with_shifts(plan, record, search, batches, engine)


def _observers(
    plan: CalibrationPlan, group: CalibrationGroup, plugins: Registries
) -> Dict[str, Observer]:
    """Return the observers of one group by calibrator: several where one is to be chosen."""
    calibrator = plugins.calibrators.get(group.activation.act_algo)
    with_offset, layer = plan.config.activation_offset, ", ".join(group.layers)
    if calibrator.chooses:
        return candidates(plugins, with_offset, layer)
    prepare(calibrator, layer)
    parameters = parameters_of(group.activation, with_offset)
    return {calibrator.name: observer_for(calibrator, parameters, layer)}


def _observe(
    plan: CalibrationPlan,
    observers: Mapping[str, Mapping[str, Observer]],
    batches: Iterable[Batch],
    engine: Engine,
) -> Dict[str, Tuple[int, ...]]:
    """Let each group's observers see all batches; return the shape of each group's last one."""
    shapes: Dict[str, Tuple[int, ...]] = {}
    wanted = plan.groups
    for number, arrays in enumerate(inputs_of_groups(plan, wanted, batches, engine), 1):
        for group in wanted:
            x = arrays[group.name]
            require_finite(x, number, group.layers, group.value.name)
            for observer in observers[group.name].values():
                observer.observe(x)
            shapes[group.name] = x.shape
    return shapes


def _chosen(
    plan: CalibrationPlan,
    found: Mapping[str, Mapping[str, Factors]],
    batches: Iterable[Batch],
    engine: Engine,
) -> Dict[str, Factors]:
    """Return each group's factors; where several calibrators have found some, the best ones."""
    factors = {name: next(iter(each.values())) for name, each in found.items()}
    several = [group for group in plan.groups if len(found[group.name]) > 1]
    if not several:
        return factors
    choices = {group.name: Choice(plan, group, found[group.name], engine) for group in several}
    for arrays in inputs_of_groups(plan, several, batches, engine):
        for name, choice in choices.items():
            choice.observe(arrays[name])
    return {**factors, **{name: choice.result() for name, choice in choices.items()}}


def inputs_of_groups(
    plan: CalibrationPlan,
    groups: Sequence[CalibrationGroup],
    batches: Iterable[Batch],
    engine: Engine,
) -> Iterator[Dict[str, Array]]:
    """Yield, for each of ``batch_num`` batches, what each of ``groups`` reads, by its name.

    Raises:
        ConfigError: there are fewer batches.
    """
    wanted = tuple(dict.fromkeys(group.value for group in groups))
    run = engine.prepare(plan.fake_quantized(), wanted)
    count, seen = plan.config.batch_num, 0
    for batch in itertools.islice(batches, count):
        values = run(batch)
        yield {group.name: values[group.value] for group in groups}
        seen += 1
    if seen < count:
        raise ConfigError(
            f"there are {seen} batches of data; batch_num is {count}.",
            field="batch_num",
            remedy="Give more samples, smaller batches, or a smaller batch_num.",
        )


def _results(observers: Mapping[str, Observer], group: CalibrationGroup) -> Dict[str, Factors]:
    with naming_layers(group):
        return {name: observer.result() for name, observer in observers.items()}
