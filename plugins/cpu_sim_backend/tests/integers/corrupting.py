"""A saved network of three quantized layers, and ways to damage its deployable half.

``two`` reads what ``one`` gives through a ReLU, ``three`` what ``two`` gives through a pooling.
``with_norm`` puts an MVN before ``one``: a float layer that equals Caffe's to 1e-6 only.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Callable, Dict, List

import attrs
import numpy as np
import pytest
from numpy.typing import NDArray

from amct_caffe.model.formats.caffemodel import reader, writer
from amct_core import workflow
from amct_core.file_names import name_map_file
from cpu_sim_backend import cli
from tests.conformance.runner import pretend_training
from tests.conformance.weights import write_random_weights

NETWORK = """
layer { name: "data" type: "Input" top: "data" input_param { shape {
  dim: 2 dim: 3 dim: 6 dim: 6 } } }
%s
layer { name: "one" type: "Convolution" bottom: "%s" top: "one"
  convolution_param { num_output: 4 kernel_size: 3 pad: 1 } }
layer { name: "relu" type: "ReLU" bottom: "one" top: "one" }
layer { name: "two" type: "Convolution" bottom: "one" top: "two"
  convolution_param { num_output: 3 kernel_size: 1 } }
layer { name: "pool" type: "Pooling" bottom: "two" top: "pool"
  pooling_param { pool: MAX kernel_size: 2 stride: 2 } }
layer { name: "three" type: "InnerProduct" bottom: "pool" top: "three"
  inner_product_param { num_output: 5 } }
layer { name: "prob" type: "Softmax" bottom: "three" top: "prob" }
"""
NORM = 'layer { name: "norm" type: "MVN" bottom: "data" top: "norm" }'

Damage = Callable[[Dict[str, List[NDArray[Any]]]], None]
"""Changes the blobs of the deployable model, by layer name."""


@attrs.frozen
class Verified:
    """What ``amct verify --json`` said."""

    exit_code: int
    report: Dict[str, Any]

    def layer(self, name: str) -> Dict[str, Any]:
        """Return what it said about one layer."""
        (found,) = (layer for layer in self.report["layers"] if layer["name"] == name)
        return dict(found)


@attrs.frozen
class Saved:
    """The files of the network, with data for it."""

    prefix: str
    data: str

    def damage(self, change: Damage) -> None:
        """Change blobs of the deployable model, as if they had been saved so."""
        path = Path(f"{self.prefix}_deploy_weights.caffemodel")
        model = reader.read(path)
        layers = [
            (layer.name, layer.type, [b.copy() for b in layer.blobs]) for layer in model.layers
        ]
        change({name: blobs for name, _, blobs in layers})
        with path.open("wb") as stream:
            writer.write(stream, model.name, layers)
        names = Path(name_map_file(self.prefix))
        content = json.loads(names.read_text())
        content.pop("digests", None)
        names.write_text(json.dumps(content))

    def verify(self, capsys: Any, *options: str) -> Verified:
        """Run ``amct verify --json``; its standard output is one JSON document."""
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.verify.main([self.prefix, "--data", self.data, "--json", *options], "verify")
        assert isinstance(ended.value.code, int)
        return Verified(ended.value.code, json.loads(capsys.readouterr().out))


def save(folder: Path, with_norm: bool = False) -> Saved:
    """Save the network with random weights and bounds as if it had been trained."""
    network = NETWORK % ((NORM, "norm") if with_norm else ("", "data"))
    (folder / "n.prototxt").write_text(network)
    write_random_weights(str(folder / "n.prototxt"), folder / "n.caffemodel")
    data = np.random.default_rng(0).normal(0, 1, (4, 3, 6, 6)).astype(np.float32)
    return quantized(folder, data=data)


def quantized(folder: Path, **data: NDArray[Any]) -> Saved:
    """Save ``n.prototxt`` and ``n.caffemodel`` as if they had been trained, with ``data``."""
    model, weights, config = (str(folder / n) for n in ("n.prototxt", "n.caffemodel", "c.json"))
    workflow.create_config(model, weights, config)
    modified = [str(folder / f"modified.{end}") for end in ("prototxt", "caffemodel")]
    record = str(folder / "record.txt")
    workflow.insert(model, weights, config, *modified, record)
    pretend_training(folder)
    snapshot, prefix = str(folder / "snapshot.caffemodel"), str(folder / "saved")
    workflow.save(modified[0], snapshot, prefix, "Both", record, config)
    np.savez(folder / "x.npz", **data)
    return Saved(prefix, str(folder / "x.npz"))
