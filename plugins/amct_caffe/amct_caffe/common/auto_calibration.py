"""AMCT's classes for accuracy-based auto calibration, for users to derive from.

None of them is abstract: an evaluator for ``amct_caffe calibration`` needs only ``calibration``.
"""

from __future__ import annotations

from typing import Any, Dict, FrozenSet, List, Optional, Sequence, Tuple

from amct_core.errors import AutoCalibrationError
from amct_core.ptq.auto_calibration.binary_search import BinarySearch

__all__ = [
    "AutoCalibrationEvaluatorBase",
    "AutoCalibrationStrategyBase",
    "BinarySearchStrategy",
    "CosineSimilaritySensitivity",
    "SensitivityBase",
]


class AutoCalibrationEvaluatorBase:
    """Runs models on the user's data; derive a class from it."""

    def calibration(self, model_file: str, weights_file: str) -> None:
        """Run at least ``batch_num`` forwards of the model in one ``caffe.Net``."""
        raise _missing(self, "calibration")

    def evaluate(self, model_file: str, weights_file: str) -> Any:
        """Return the metric of a model, such as its accuracy."""
        raise _missing(self, "evaluate")

    def metric_eval(self, original_metric: Any, new_metric: Any) -> Tuple[bool, float]:
        """Return whether ``new_metric`` is good enough, and what it loses."""
        raise _missing(self, "metric_eval")


class AutoCalibrationStrategyBase:
    """Chooses the layers to roll back, from the ranking and from how each choice did."""

    def initialize(self, ranking_info: Sequence[Tuple[str, float]]) -> None:
        """Take in the layers with their scores, the most sensitive first."""
        raise _missing(self, "initialize")

    def update_quant_config(self, metric_eval: Tuple[bool, float]) -> Dict[str, Any]:
        """Take in how the last configuration did; return the next one.

        The first call tells how the model did with every layer quantized.

        Returns:
            ``{'stop_flag': bool, 'roll_back_config': {layer: bool}}``: true for a layer that is
            quantized; every layer of the ranking is there.  With ``stop_flag`` it is the last one:
            it is tried if it was not.
        """
        raise _missing(self, "update_quant_config")


class SensitivityBase:
    """Says how much quantization changes a layer's output."""

    def compare(self, data: Any, other: Any) -> float:
        """Return a score for the float output and the quantized one; lower is more sensitive."""
        raise _missing(self, "compare")


class CosineSimilaritySensitivity(SensitivityBase):
    """``0.5 + 0.5 cos`` of the angle between the two outputs."""

    def compare(self, data: Any, other: Any) -> float:
        """Return the score, in 0..1: see :func:`amct_core.numerics.similarity.cosine`."""
        from amct_core.numerics.similarity import cosine

        return cosine(data, other)


class BinarySearchStrategy(AutoCalibrationStrategyBase):
    """Rolls back the most sensitive layers, as few as a binary search finds."""

    def initialize(self, ranking_info: Sequence[Tuple[str, float]]) -> None:
        """Begin a search over the layers of ``ranking_info``."""
        self._layers = [str(layer) for layer, _ in ranking_info]
        self._search = BinarySearch([(layer, float(score)) for layer, score in ranking_info])
        self._started = False
        self._best: Optional[FrozenSet[str]] = None

    def update_quant_config(self, metric_eval: Tuple[bool, float]) -> Dict[str, Any]:
        """Return the next configuration; at the end the best one, or all layers rolled back."""
        satisfied, loss = bool(metric_eval[0]), metric_eval[1]
        if not self._started:
            self._started = True
            if satisfied:
                return self._answer(True, frozenset())
        else:
            if satisfied:
                self._best = self._search.propose()
            self._search.judge(satisfied, loss)
        proposal = self._search.propose()
        if proposal is not None:
            return self._answer(False, proposal)
        return self._answer(True, frozenset(self._layers) if self._best is None else self._best)

    def _answer(self, stop: bool, rolled_back: FrozenSet[str]) -> Dict[str, Any]:
        config = {layer: layer not in rolled_back for layer in self._layers}
        return {"stop_flag": stop, "roll_back_config": config}


class StrategySearch:
    """One search by a strategy of AMCT's kind, as the core wants it.

    Args:
        strategy: the user's.
        ranking: layers with scores, the most sensitive first.
        of_global: (satisfied, loss) with every layer quantized.
    """

    def __init__(
        self,
        strategy: AutoCalibrationStrategyBase,
        ranking: Sequence[Tuple[str, float]],
        of_global: Tuple[bool, float],
    ) -> None:
        self._strategy = strategy
        self._layers = tuple(layer for layer, _ in ranking)
        self._tried: List[FrozenSet[str]] = [frozenset()]
        strategy.initialize(list(ranking))
        self._take(of_global)

    def propose(self) -> Optional[FrozenSet[str]]:
        """Return what the strategy wants rolled back; None when it has stopped."""
        return None if self._over else self._rolled_back

    def judge(self, satisfied: bool, loss: float) -> None:
        """Tell the strategy, unless it has said that this was the last one."""
        self._tried.append(self._rolled_back)
        if self._stops:
            self._over = True
        else:
            self._take((satisfied, loss))

    def _take(self, metric_eval: Tuple[bool, float]) -> None:
        answer = self._strategy.update_quant_config(metric_eval)
        try:
            self._stops = bool(answer["stop_flag"])
            config = dict(answer["roll_back_config"])
        except (TypeError, KeyError, ValueError) as error:
            raise AutoCalibrationError(
                f"it returned {answer!r}; expected {{'stop_flag': bool, 'roll_back_config': "
                "{layer: bool}}.",
                field=f"{type(self._strategy).__name__}.update_quant_config",
                remedy="Correct the strategy.",
            ) from error
        self._check_layers(config)
        self._rolled_back = frozenset(layer for layer, kept in config.items() if not kept)
        self._over = self._stops and self._rolled_back in self._tried

    def _check_layers(self, config: Dict[str, Any]) -> None:
        unknown = [layer for layer in config if layer not in self._layers]
        missing = [layer for layer in self._layers if layer not in config]
        if unknown or missing:
            found = [f"unknown layers: {unknown}"] if unknown else []
            found += [f"layers that are missing: {missing}"] if missing else []
            raise AutoCalibrationError(
                f"its roll_back_config has {'; '.join(found)}; expected each layer of the ranking "
                "that initialize was given.",
                field=f"{type(self._strategy).__name__}.update_quant_config",
                remedy="Correct the strategy.",
            )


def _missing(instance: object, method: str) -> NotImplementedError:
    return NotImplementedError(f"{type(instance).__name__} does not define {method}().")
