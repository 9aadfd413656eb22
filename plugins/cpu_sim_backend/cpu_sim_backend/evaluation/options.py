"""What the user asks of an evaluation."""

from __future__ import annotations

from typing import Optional, Tuple

import attrs

from amct_core.file_names import ModelFiles
from cpu_sim_backend.data.choice import DataOptions


@attrs.frozen
class EvaluationOptions:
    """What the user asks for.

    Attributes:
        data: where the samples are from.
        labels: a list file, or the name of an array of the ``.npz`` file; None: those beside the
            data.
        scores: the blob that is judged; None: what the Accuracy layer reads, else the only output.
        top_k: among how many of the largest scores labels are looked for; empty: 1, and 5 where
            there are at least 5 classes.
        metrics: ``module:function``, any number.
        float_files: the float32 model; None: the one that saving has noted.
        retrained: the modified model and a snapshot of it.
        soc_version: a processor that gets a column of its own.
        batch_size: samples per batch, at most.
        engine: of the simulator.
        model_file: another prototxt of the deployable model.
        backend: the deploy backend that wrote the model; None: the one that recognises it.
    """

    data: DataOptions
    labels: Optional[str] = None
    scores: Optional[str] = None
    top_k: Tuple[int, ...] = ()
    metrics: Tuple[str, ...] = ()
    float_files: Optional[ModelFiles] = None
    retrained: Optional[ModelFiles] = None
    soc_version: Optional[str] = None
    batch_size: int = 100
    engine: str = "auto"
    model_file: Optional[str] = None
    backend: Optional[str] = None
