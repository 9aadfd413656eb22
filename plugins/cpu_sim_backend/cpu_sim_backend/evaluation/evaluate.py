"""Runs the columns of an evaluation on the data, batch by batch."""

from __future__ import annotations

import contextlib
import tempfile
from typing import Any, Dict, Iterator, List, Mapping, Optional, Tuple

import numpy as np
from numpy.typing import NDArray

from amct_core.errors import AmctError, ConfigError
from amct_core.files import temporary_folder
from cpu_sim_backend.evaluation.columns import Column
from cpu_sim_backend.evaluation.labels import Labels, without_labels
from cpu_sim_backend.evaluation.options import EvaluationOptions
from cpu_sim_backend.evaluation.prepare import Prepared, prepare
from cpu_sim_backend.evaluation.result import ColumnResult, Evaluation
from cpu_sim_backend.evaluation.spool import Spool
from cpu_sim_backend.evaluation.tally import ColumnTally, LabelTally, are_scores
from cpu_sim_backend.progress import progress
from cpu_sim_backend.scoring.metrics import Metric, metric_function, metric_value

Array = NDArray[Any]


def evaluate(save_path: str, options: EvaluationOptions) -> Evaluation:
    """Run the float32, the fake-quant and the deployable model side by side.

    Memory does not grow with the data, except for one number per label; the outputs that a metric
    needs wait in temporary files.

    Args:
        save_path: folder and prefix of the saved model.
        options: what the user asks for.

    Raises:
        ConfigError: it is not known what is to be judged, or the float32 model is not known.
        ModelError: the files of the float32 model are gone or have changed.
        AmctError: a file cannot be read, a model cannot be run, or data do not fit.
    """
    return evaluate_prepared(prepare(save_path, options), options)


def evaluate_prepared(prepared: Prepared, options: EvaluationOptions) -> Evaluation:
    """Do as :func:`evaluate` with what :func:`prepare` has returned for ``options``."""
    metrics = {name: metric_function(name) for name in options.metrics}
    with _spool(bool(metrics)) as spool:
        run = _Run(prepared, options, spool)
        for batch in progress(prepared.batches, prepared.batches.samples, "evaluating"):
            run.add(batch)
        found = {each.name: run.metrics(metrics, each) for each in prepared.columns}
    columns = tuple(
        ColumnResult(
            name=column.name,
            description=column.description,
            right=() if tally.labels is None else tally.labels.right,
            metrics=found[column.name],
            outputs=tuple(each.result() for each in tally.outputs.values()),
        )
        for column, tally in zip(prepared.columns, run.tallies)
    )
    files = prepared.batches.source.files
    return Evaluation(
        samples=prepared.batches.samples,
        labels=None if prepared.labels is None else prepared.labels.description,
        judged=run.judged,
        scores=prepared.scores,
        columns=columns,
        left_out=prepared.left_out,
        files=None if files is None else tuple(files),
        not_judged=prepared.not_judged,
    )


@contextlib.contextmanager
def _spool(is_needed: bool) -> Iterator[Optional[Spool]]:
    if not is_needed:
        yield None
        return
    with temporary_folder(tempfile.gettempdir(), "amct-evaluate") as folder:
        spool = Spool(folder)
        try:
            yield spool
        finally:
            spool.close()


class _Run:
    """Adds up batch after batch.

    Attributes:
        tallies: of each column.
        judged: how many samples had a label that counts.
    """

    def __init__(
        self, prepared: Prepared, options: EvaluationOptions, spool: Optional[Spool]
    ) -> None:
        self._prepared, self._options, self._spool = prepared, options, spool
        self.tallies: List[ColumnTally] = []
        self.judged = 0
        self._done = 0
        self._labels: List[Array] = []

    def add(self, batch: Mapping[str, Array]) -> None:
        """Run one batch in each column."""
        prepared = self._prepared
        fed = without_labels(batch, prepared.labels)
        # The framework may end its process for what is refused here.
        prepared.simulator.check_inputs(fed)
        found = [column.run(fed, prepared.blobs) for column in prepared.columns]
        count = len(next(iter(fed.values())))
        labels = None
        if prepared.labels is not None:
            labels = prepared.labels.of(batch, self._done, count)
        if not self.tallies:
            self.tallies = self._first_tallies(found[0], labels)
        for column, tally, own in zip(prepared.columns, self.tallies, found):
            tally.add(found[0], own)
            if self._spool is not None:
                self._spool.add(column.name, {blob: own[blob] for blob in prepared.blobs})
        if labels is not None:
            self._judge(found, labels, prepared.labels)
        self._done += count

    def _first_tallies(
        self, float32: Mapping[str, Array], labels: Optional[Array]
    ) -> List[ColumnTally]:
        blob = self._prepared.scores
        of_labels = None
        if labels is not None and blob is not None:
            # What cannot be judged is an error, unless the user judges otherwise.
            asked = bool(self._options.top_k) or not self._options.metrics
            if asked or are_scores(float32[blob], labels):
                of_labels = LabelTally("", blob, tuple(sorted(set(self._options.top_k))))
        return [
            ColumnTally.of(column.name, self._prepared.blobs, of_labels)
            for column in self._prepared.columns
        ]

    def _judge(
        self, found: List[Mapping[str, Array]], labels: Array, source: Optional[Labels]
    ) -> None:
        assert source is not None
        counts = source.counts(labels)
        self.judged += int(counts.sum())
        if self._spool is not None and source.known is None:
            self._labels.append(labels)
        for tally, own in zip(self.tallies, found):
            if tally.labels is not None:
                tally.labels.add(own[tally.labels.blob], labels, counts, self._done)

    def metrics(
        self, metrics: Mapping[str, Metric], column: Column
    ) -> Tuple[Tuple[str, float], ...]:
        """Return what the user's functions say of all samples of a column."""
        if self._spool is None:
            return ()
        outputs, labels = self._spool.arrays(column.name), self._all_labels()
        found: Dict[str, float] = {}
        for name, function in metrics.items():
            try:
                found[name] = metric_value(name, function(outputs, labels), self._done)
            except ConfigError as error:
                raise _of_column(error, column) from error
        return tuple(found.items())

    def _all_labels(self) -> Optional[Array]:
        labels = self._prepared.labels
        if labels is None:
            return None
        return labels.known if labels.known is not None else np.concatenate(self._labels)


def _of_column(error: AmctError, column: Column) -> ConfigError:
    return ConfigError(
        f"{error.problem.rstrip('.')}, for column {column.name}.",
        field=error.field,
        remedy=error.remedy,
    )
