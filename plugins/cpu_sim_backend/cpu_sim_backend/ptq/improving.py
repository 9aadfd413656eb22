"""Improvements of ``amct ptq run``; what they need of data goes through the simulator."""

from __future__ import annotations

from typing import Optional

from amct_core.errors import ConfigError
from amct_core.plugins import registries
from amct_core.ptq import workflow
from amct_core.ptq.improvements.steps import Improvements
from amct_core.ptq.workflow import PtqNetwork
from amct_core.quantized_model import QuantizedModel
from cpu_sim_backend.data.choice import DataOptions
from cpu_sim_backend.ptq.data import calibration_data
from cpu_sim_backend.ptq.engine import SimulatorEngine


def choose(
    equalize: bool, bias_correction: bool, weight_rounding: Optional[str], options: DataOptions
) -> Improvements:
    """Return the improvements that the options name, before anything is written.

    Args:
        equalize, bias_correction: whether they are asked for.
        weight_rounding: name of a registered rounding of weights; None: to the nearest.
        options: the data of the calibration.

    Raises:
        PluginError: there is no such rounding.
        ConfigError: there are no data, and what is asked for needs them.
    """
    roundings = registries().weight_roundings
    rounding = None if weight_rounding is None else roundings.get(weight_rounding)
    improvements = Improvements(equalize, bias_correction, rounding)
    if improvements.need_data and options.data is None:
        what = "bias correction" if rounding is None else "the rounding of weights"
        raise ConfigError(
            f"there are no data; {what} runs in the simulator, which does not run the network's "
            "data layers.",
            field="--data",
            remedy="Give an .npz file with one array per input, or a folder of images.",
        )
    return improvements


def quantized(
    network: PtqNetwork,
    improvements: Improvements,
    options: DataOptions,
    batch_size: Optional[int] = None,
) -> QuantizedModel:
    """Return the network in integers as it is to be saved.

    Args:
        network: prepared for ``improvements`` (:func:`workflow.prepared`) and calibrated.
        improvements: what is asked for.
        options: the data of the calibration.
        batch_size: samples of one batch, as the calibration took them.

    Raises:
        AmctError: the record is not complete, or data or network cannot be used.
    """
    model = workflow.quantized(network)
    if not improvements.need_data:
        return model
    data = calibration_data(network, options, batch_size)
    return improvements.after_calibration(model, network.graph, data, SimulatorEngine())
