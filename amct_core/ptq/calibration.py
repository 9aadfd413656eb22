"""Calibrates activations in an engine, without the framework.

The network that runs is the one that calibration in the framework runs: fused, with fake-quantized
weights and float activations.  The record is the one that it would write, as far as the engine's
float layers agree with the framework's.
"""

from __future__ import annotations

import itertools
import logging
from typing import Any, Dict, Iterable, Iterator, Mapping, Tuple

from amct_core.errors import AmctError, ConfigError
from amct_core.plugins import registries
from amct_core.ptq.engine import Array, Batch, Engine
from amct_core.ptq.observing import Observer, observer_for, parameters_of, require_finite
from amct_core.ptq.plan import CalibrationGroup, CalibrationPlan
from amct_core.record import Record
from amct_core.record.activations import activation_factors

_log = logging.getLogger("amct_core.ptq")

Factors = Tuple[Any, int]
"""scale_d (float32 > 0) and offset_d (-128..127)."""


def calibrate(plan: CalibrationPlan, batches: Iterable[Batch], engine: Engine) -> Record:
    """Return the complete record of a calibration.

    Args:
        plan: what is calibrated, and with which weights.
        batches: the data; the first ``batch_num`` of them count.
        engine: what runs the network.

    Raises:
        ConfigError: there are fewer batches.
        QuantizationError: a batch makes NaN or infinity, or no scale fits; the message names the
            layer.
        ModelError: a layer cannot be run, or data are missing.
    """
    observers = {group.name: _observer(plan, group) for group in plan.groups}
    shapes = _observe(plan, observers, batches, engine)
    record = plan.record()
    for group in plan.groups:
        scale, offset = _result(observers[group.name], group)
        record = activation_factors(record, group.layers, scale, offset, shapes[group.name])
        _log.info("layer %s: scale_d %.9g, offset_d %d", ", ".join(group.layers), scale, offset)
    return record


def _observer(plan: CalibrationPlan, group: CalibrationGroup) -> Observer:
    calibrator = registries().calibrators.get(group.activation.act_algo)
    if calibrator.prepare is not None:
        calibrator.prepare()
    return observer_for(calibrator, parameters_of(group.activation, plan.config.activation_offset))


def _observe(
    plan: CalibrationPlan,
    observers: Mapping[str, Observer],
    batches: Iterable[Batch],
    engine: Engine,
) -> Dict[str, Tuple[int, ...]]:
    """Let each group's observer see all batches; return the shape of each group's last one."""
    shapes: Dict[str, Tuple[int, ...]] = {}
    for number, arrays in enumerate(inputs_of_groups(plan, batches, engine), 1):
        for group in plan.groups:
            x = arrays[group.name]
            require_finite(x, number, group.layers, group.value.name)
            observers[group.name].observe(x)
            shapes[group.name] = x.shape
    return shapes


def inputs_of_groups(
    plan: CalibrationPlan, batches: Iterable[Batch], engine: Engine
) -> Iterator[Dict[str, Array]]:
    """Yield, for each of ``batch_num`` batches, what each group reads, by the group's name.

    Raises:
        ConfigError: there are fewer batches.
    """
    wanted = tuple(dict.fromkeys(group.value for group in plan.groups))
    run = engine.prepare(plan.fake_quantized(), wanted)
    count, seen = plan.config.batch_num, 0
    for batch in itertools.islice(batches, count):
        values = run(batch)
        yield {group.name: values[group.value] for group in plan.groups}
        seen += 1
    if seen < count:
        raise ConfigError(
            f"there are {seen} batches of data; batch_num is {count}.",
            field="batch_num",
            remedy="Give more samples, smaller batches, or a smaller batch_num.",
        )


def _result(observer: Observer, group: CalibrationGroup) -> Factors:
    try:
        return observer.result()
    except AmctError as error:
        raise error.at(layer=", ".join(group.layers)) from error
