"""AMCT's function for accuracy-based auto calibration."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Union

from amct_caffe.api import _path
from amct_caffe.common.auto_calibration import (
    AutoCalibrationEvaluatorBase,
    AutoCalibrationStrategyBase,
    SensitivityBase,
    StrategySearch,
)
from amct_core.errors import AutoCalibrationError

if TYPE_CHECKING:
    from amct_core.extensions import FallbackStrategy, Sensitivity
    from amct_core.extensions.fallback import FallbackSearch, Ranking
    from amct_core.ptq.auto_calibration.evaluation import CheckedEvaluator


def accuracy_based_auto_calibration(
    model_file: str,
    weights_file: str,
    model_evaluator: AutoCalibrationEvaluatorBase,
    config_file: str,
    record_file: str,
    save_dir: str,
    strategy: Union[str, AutoCalibrationStrategyBase] = "BinarySearch",
    sensitivity: Union[str, SensitivityBase] = "CosineSimilarity",
) -> None:
    """Quantize as many layers as the user's metric allows; the others stay in float.

    Writes the fake-quant and the deployable model, the record, and into the folder of ``save_dir``
    ``accuracy_based_auto_calibration_ranking_information.json`` and ``..._final_config.json``; into
    ``amct_log`` ``..._record.json`` with every candidate.  Where only a network without any
    quantized layer satisfies, no model is written, and an earlier one of this name is removed.

    Args:
        model_file, weights_file: the trained network, as in testing.
        model_evaluator: runs models on the user's data.
        config_file: JSON of :func:`create_quant_config`; read, not changed.
        record_file: record of the saved model.
        save_dir: folder and file name prefix, such as ``'./results/MobileNetV2'``.
        strategy: a registered name, or an instance of a class of the user's own.
        sensitivity: likewise.

    Raises:
        AutoCalibrationError: (a ``RuntimeError``) an argument is not of AMCT's classes, the config
            file is missing, or what the evaluator, strategy or sensitivity returns is wrong.
        ConfigError: (a ``ValueError``) the original does not satisfy ``metric_eval``.
        AmctError: what :func:`init`, :func:`quantize_model` and :func:`save_model` raise.
    """
    from amct_core import logging as amct_logging
    from amct_core.deploy_choice import API_DEFAULT
    from amct_core.ptq.auto_calibration.evaluation import CheckedEvaluator
    from amct_core.ptq.auto_calibration.run import Request, auto_calibrate

    amct_logging.configure()
    if not isinstance(model_evaluator, AutoCalibrationEvaluatorBase):
        raise _foreign("the model evaluator", AutoCalibrationEvaluatorBase, model_evaluator)
    config = _path(config_file, "config_file")
    if not os.path.isfile(config):
        raise AutoCalibrationError(
            f"Can not find the config_file at {config}.",
            field="config_file",
            remedy="Make it with create_quant_config.",
        )
    evaluator = CheckedEvaluator(model_evaluator)
    auto_calibrate(
        Request(
            model_file=os.path.realpath(_path(model_file, "model_file")),
            weights_file=os.path.realpath(_path(weights_file, "weights_file")),
            config_file=config,
            record_file=_path(record_file, "record_file"),
            save_path=_path(save_dir, "save_dir"),
            evaluator=evaluator,
            strategy=_strategy(strategy, evaluator),
            sensitivity=_sensitivity(sensitivity),
            default_backend=API_DEFAULT,
        )
    )


def _strategy(
    given: Union[str, AutoCalibrationStrategyBase], evaluator: CheckedEvaluator
) -> FallbackStrategy:
    from amct_core.extensions import FallbackStrategy
    from amct_core.plugins import registries

    if isinstance(given, str):
        return registries().fallback_strategies.get(given)
    if not isinstance(given, AutoCalibrationStrategyBase):
        raise _foreign("strategy", AutoCalibrationStrategyBase, given)
    strategy = given

    def start(ranking: Ranking) -> FallbackSearch:
        verdict = evaluator.last
        assert verdict is not None  # the search begins when the global model has been judged
        return StrategySearch(strategy, ranking, (verdict.satisfied, verdict.loss))

    return FallbackStrategy(name=type(given).__name__.lstrip("_") or "strategy", start=start)


def _sensitivity(given: Union[str, SensitivityBase]) -> Sensitivity:
    from amct_core.extensions import Sensitivity
    from amct_core.plugins import registries

    if isinstance(given, str):
        return registries().sensitivities.get(given)
    if not isinstance(given, SensitivityBase):
        raise _foreign("sensitivity", SensitivityBase, given)
    return Sensitivity(
        name=type(given).__name__.lstrip("_") or "sensitivity", compare=given.compare
    )


def _foreign(what: str, base: type, found: object) -> AutoCalibrationError:
    return AutoCalibrationError(
        f"{what} is not inherited from base class {base.__name__}: it is a {type(found).__name__}.",
        remedy=f"Derive its class from amct_caffe.common.auto_calibration.{base.__name__}.",
    )
