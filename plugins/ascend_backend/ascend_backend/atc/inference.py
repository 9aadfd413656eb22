"""Gives ATC the part of a model in AMCT's layout that it takes."""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path
from typing import Iterator, Tuple

import attrs

from amct_caffe.model.inference_network import inference_network
from amct_caffe.model.network import read_network
from amct_core.files import write_atomically
from ascend_backend.atc.command import Conversion
from ascend_backend.lint.inputs import INPUT_TYPES
from ascend_backend.lint.reading import read_model


@attrs.frozen
class ForAtc:
    """A conversion as ATC is asked to do it.

    Attributes:
        conversion: of the prototxt that ATC reads.
        taken_out: names of the layers that this prototxt does not have any more.
        inputs: names of its Input layers.
    """

    conversion: Conversion
    taken_out: Tuple[str, ...]
    inputs: Tuple[str, ...]


@contextlib.contextmanager
def without_training_layers(conversion: Conversion) -> Iterator[ForAtc]:
    """Yield ``conversion``, of a prototxt without data, loss and accuracy layers.

    A model that has none is taken as it is; of one in AMCT's layout, a copy without them lies
    in a temporary folder, under the same name, until the block ends.

    Raises:
        AmctError: a file cannot be read.
    """
    model = read_model(conversion.model, conversion.weights)
    taken_out = model.taken_out
    inputs = tuple(layer.name for layer in model.layers if layer.type in INPUT_TYPES)
    if not taken_out:
        yield ForAtc(conversion, (), inputs)
        return
    network = inference_network(read_network(conversion.model, conversion.weights))
    with tempfile.TemporaryDirectory(prefix=".amct-atc-") as folder:
        file = Path(folder) / Path(conversion.model).name
        write_atomically(file, network.document.format())
        names = tuple(layer.name for layer in taken_out)
        yield ForAtc(attrs.evolve(conversion, model=str(file)), names, inputs)
