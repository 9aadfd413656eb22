"""The network that is searched: what it gives with any candidate."""

from __future__ import annotations

import logging
from typing import Any, Dict, Mapping, Tuple

import attrs
import numpy as np
from numpy.typing import NDArray

from amct_core.config.ptq import PtqActivation, PtqConfig
from amct_core.extensions import Sensitivity
from amct_core.graph import Graph, Value
from amct_core.graph.deployed_layers import deployed_layers
from amct_core.plugins import registries
from amct_core.ptq.auto import Candidate, Recipe, rolled_back
from amct_core.ptq.auto_calibration.ranking import rank
from amct_core.ptq.calibration import calibrate, inputs_of_groups
from amct_core.ptq.engine import Engine
from amct_core.ptq.from_record import quantized_model
from amct_core.ptq.plan import make_plan
from amct_core.ptq.workflow import PtqNetwork
from amct_core.quantized_graph import quantized_graph
from amct_core.quantized_model import QuantizedModel
from amct_core.record import Record
from cpu_sim_backend.ptq.auto.samples import Samples
from cpu_sim_backend.ptq.output_errors import layers_quantized_alone
from cpu_sim_backend.scoring.metrics import checked_scores
from cpu_sim_backend.scoring.scores import Scoring

_log = logging.getLogger("cpu_sim_backend.ptq")

Array = NDArray[Any]


@attrs.define(eq=False)
class SearchedNetwork:
    """A network with the data it is calibrated and judged with.

    Attributes:
        network: as read, fused.
        engine: runs it.
        calibration, evaluation: samples.
        scoring: how outputs are judged.
        batch_size: of the evaluation, and of the calibration.
    """

    network: PtqNetwork
    engine: Engine
    calibration: Samples
    evaluation: Samples
    scoring: Scoring
    batch_size: int
    _graphs: Dict[bool, Graph] = attrs.field(factory=dict, init=False)
    _records: Dict[Recipe, Record] = attrs.field(factory=dict, init=False)
    _models: Dict[Recipe, QuantizedModel] = attrs.field(factory=dict, init=False)

    def float_scores(self) -> Array:
        """Return the scores in float32."""
        return self._scores(self.network.graph)

    def scores(self, candidate: Candidate) -> Array:
        """Return the scores of a candidate, computed in exact integers."""
        return self._scores(self.model(candidate))

    def similarities(self, recipe: Recipe, samples: int, measure: Sensitivity) -> Dict[str, float]:
        """Return by layer how much its own output suffers, as a plugin measures it; more is worse.

        Each layer runs in float and with quantized weights and input, as in AMCT's auto
        calibration, on what it reads of the first ``samples`` samples of the calibration.
        """
        few = tuple(self.calibration.part(0, samples).batches(self.batch_size))
        config = attrs.evolve(self.config(Candidate(recipe)), batch_num=len(few))
        plan = make_plan(self.graph(recipe), config, self.network.record_file, registries())
        inputs = tuple(inputs_of_groups(plan, plan.groups, few, self.engine))
        ranking = rank(
            plan,
            self._record(recipe),
            lambda group: (each[group.name] for each in inputs),
            measure,
        )
        for name, score in ranking:
            _log.info("%s of layer %s: %.6g", measure.name, name, score)
        largest = float(np.finfo(np.float64).max)  # JSON has no infinity
        return {name: max(-largest, min(-score, largest)) for name, score in ranking}

    def sensitivities(self, recipe: Recipe, samples: int) -> Dict[str, float]:
        """Return by layer the error of the outputs with only that layer in integers.

        It is the sum of squared differences from float32 over the sum of squares, on the first
        ``samples`` samples of the calibration.
        """
        values = tuple(self.scoring.values.values())
        layers = deployed_layers(quantized_graph(self.model(Candidate(recipe)))).values()
        network = layers_quantized_alone(self.graph(recipe), tuple(layers), values, self.engine)
        errors, power = dict.fromkeys(self._record(recipe), 0.0), 0.0
        for batch in self.calibration.part(0, samples).batches(self.batch_size):
            unchanged = network.unchanged(batch)
            reference = network.compared(unchanged)
            power += sum(
                float(np.square(each, dtype=np.float64).sum()) for each in reference.values()
            )
            for name, error in network.errors(unchanged, reference):
                errors[name] += error.total
        found = {name: error / power if power else error for name, error in errors.items()}
        for name, share in found.items():
            _log.info("sensitivity of layer %s: %.6g", name, share)
        return found

    def graph(self, recipe: Recipe) -> Graph:
        """Return the network in float, as the recipe prepares it."""
        if recipe.equalized not in self._graphs:
            graph = recipe.improvements.before_calibration(self.network.graph)
            self._graphs[recipe.equalized] = graph
        return self._graphs[recipe.equalized]

    def config(self, candidate: Candidate) -> PtqConfig:
        """Return the configuration that says what a candidate is."""
        activation = PtqActivation(candidate.recipe.act_algo)
        config = self.network.config
        return config.with_layers(
            {
                name: attrs.evolve(
                    layer,
                    enabled=layer.enabled and name not in candidate.float_layers,
                    activation=activation,
                )
                for name, layer in config.layers.items()
            }
        )

    def record(self, candidate: Candidate) -> Record:
        """Return the factors of a candidate: those of all layers, less those left in float."""
        layers = self._record(candidate.recipe).layers
        return Record({k: v for k, v in layers.items() if k not in candidate.float_layers})

    def model(self, candidate: Candidate) -> QuantizedModel:
        """Return the network as a candidate has it.

        Improvements are made once, with all layers in integers; layers in float lose theirs.
        """
        recipe = candidate.recipe
        if recipe not in self._models:
            self._models[recipe] = self._all_in_integers(recipe)
        return rolled_back(self._models[recipe], self.graph(recipe), candidate.float_layers)

    def _all_in_integers(self, recipe: Recipe) -> QuantizedModel:
        algorithms = {
            name: registries().weight_algorithms.get(layer.weight.algorithm).bound({}, layer=name)
            for name, layer in self.network.config.enabled.items()
            if layer.weight is not None
        }
        graph, file = self.graph(recipe), self.network.record_file
        model = quantized_model(graph, self._record(recipe), algorithms, file)
        batches = tuple(self.calibration.batches(self.batch_size))
        return recipe.improvements.after_calibration(model, graph, batches, self.engine)

    def _record(self, recipe: Recipe) -> Record:
        """Return the factors of all layers; improvements after calibration leave them alone."""
        plain = recipe.calibration
        if plain not in self._records:
            plan = make_plan(
                self.graph(recipe),
                self.config(Candidate(recipe)),
                self.network.record_file,
                registries(),
            )
            batches = tuple(self.calibration.batches(self.batch_size))  # "best" takes them twice
            self._records[plain] = calibrate(plan, batches, self.engine)
        return self._records[plain]

    def _scores(self, network: Any) -> Array:
        outputs = self._outputs(network, self.evaluation)
        found = self.scoring.score(outputs, self.evaluation.labels)
        return checked_scores(found, len(self.evaluation), self.scoring.score)

    def _outputs(self, network: Any, samples: Samples) -> Mapping[str, Array]:
        wanted: Tuple[Value, ...] = tuple(self.scoring.values.values())
        run = self.engine.prepare(network, wanted)
        found = [run(batch) for batch in samples.batches(self.batch_size)]
        return {
            name: np.concatenate([each[value] for each in found])
            for name, value in self.scoring.values.items()
        }
