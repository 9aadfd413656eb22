"""Non-uniform quantization (NUQ) of weights: the names that AMCT has; what they do is not offered.

AMCT's samples import this module and call ``amct_caffe.auto_nuq(...)``, too.  Importing a module
makes it the attribute of its package, so the module itself can be called.

AMCT's documentation marks NUQ as not supported on all current products: ATC compresses no weights
there, so a non-uniform model would be less accurate, and neither smaller nor faster.
"""

from __future__ import annotations

import sys
import types
from typing import Any, NoReturn

from amct_core.errors import EnvironmentUnsuitableError


class AutoNuqEvaluatorBase:
    """Base class of AMCT's evaluators for NUQ; existing ones can be defined and made.

    Takes any arguments: AMCT's own sample passes ``self`` a second time.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass

    def eval_model(self, model_file: str, weights_file: str, batch_num: int) -> float:
        """Return the accuracy of a model; the user's class does it."""
        raise NotImplementedError

    def is_satisfied(self, original_metric: float, new_metric: float) -> bool:
        """Return whether the loss of accuracy is small enough; the user's class does it."""
        raise NotImplementedError


def auto_nuq(
    model_file: str,
    weights_file: str,
    nuq_evaluator: Any,
    config_file: str,
    scale_offset_record_file: str,
    save_dir: str,
) -> NoReturn:
    """Say that non-uniform quantization is not offered, and what to use.

    Raises:
        EnvironmentUnsuitableError: (a ``RuntimeError``) always.
    """
    raise EnvironmentUnsuitableError(
        "non-uniform quantization (auto_nuq) is not offered: no current Ascend product supports "
        "it, by AMCT's own documentation, so its models are less accurate there, and neither "
        "smaller nor faster.",
        remedy="Quantize uniformly: create_quant_config (without nuq_config), init, quantize_model "
        "and save_model; where accuracy has a target, accuracy_based_auto_calibration or the "
        "command amct ptq auto; where it is missed, quantization-aware training "
        "with create_quant_retrain_model.",
    )


class _CallableModule(types.ModuleType):
    """This module, which can be called like its function."""

    __call__ = staticmethod(auto_nuq)


sys.modules[__name__].__class__ = _CallableModule
