"""A place to take small networks through quantization-aware training in real Caffe."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, Mapping, Optional, Sequence, Tuple

import attrs
import numpy as np
from numpy.typing import NDArray

from amct_core import record as records
from amct_core import workflow
from plugins.amct_caffe.tests.qat import nets
from tests import needs

Arrays = Dict[str, NDArray[np.float32]]


@attrs.frozen
class Modified:
    """A network with fake quantization, and the files that it consists of."""

    caffe: Any
    folder: Path
    model: str
    weights: str
    record_file: str
    config: str

    def solver(self, load: bool = True, name: str = "solver", **fields: Any) -> Any:
        """Return a solver of this network, by default with its weights loaded."""
        file = self.folder / f"{name}.prototxt"
        file.write_text(nets.solver(self.model, str(self.folder / name), **fields))
        solver = self.caffe.get_solver(str(file))
        if load:
            solver.net.copy_from(self.weights)
        return solver

    def snapshot(self, iteration: int, name: str = "solver", kind: str = "caffemodel") -> str:
        """Return the snapshot that the solver ``name`` took after ``iteration``."""
        return str(self.folder / f"{name}_iter_{iteration}.{kind}")

    def net(self, weights: Optional[str] = None, phase: Optional[int] = None) -> Any:
        """Return the network alone, in TRAIN by default."""
        phase = self.caffe.TRAIN if phase is None else phase
        return self.caffe.Net(self.model, phase, weights=weights or self.weights)

    def record(self) -> records.Record:
        """Return the record file's contents."""
        return records.read(self.record_file)

    def save(self, snapshot: str, save_type: str = "Fakequant") -> Tuple[str, str]:
        """Save the trained network; return the fake-quant model and its weights."""
        prefix = str(self.folder / "saved")
        workflow.save(self.model, snapshot, prefix, save_type, self.record_file, self.config)
        return f"{prefix}_fake_quant_model.prototxt", f"{prefix}_fake_quant_weights.caffemodel"


@attrs.frozen
class Bench:
    """A folder of its own, and Caffe."""

    caffe: Any
    folder: Path

    def data(self, name: str = "data", **arrays: NDArray[Any]) -> str:
        """Write a ``.npz`` of float32 arrays."""
        file = str(self.folder / f"{name}.npz")
        np.savez(file, **{key: np.asarray(array, np.float32) for key, array in arrays.items()})
        return file

    def modify(
        self,
        *layers: str,
        enable: Sequence[str] = (),
        blobs: Optional[Mapping[str, Sequence[NDArray[Any]]]] = None,
        data_config: Optional[Mapping[str, Any]] = None,
        weight_config: Optional[Mapping[str, Any]] = None,
        **config: Any,
    ) -> Modified:
        """Insert fake quantization into the network of ``layers``.

        Its weights are what Caffe's fillers make, unless ``blobs`` has others.

        Args:
            layers: texts.
            enable: the layers to quantize; all that can be if empty.
            blobs: weights by layer name.
            data_config: keys for each layer's ``retrain_data_config``.
            weight_config: keys for each layer's ``retrain_weight_config``.
            config: keys for the configuration as a whole.
        """
        model, weights = self._train_float("".join(layers), blobs or {})
        file = self.folder / "config.json"
        workflow.create_config(model, weights, str(file))
        entries = json.loads(file.read_text())
        entries.update(config)
        for name, entry in entries.items():
            if isinstance(entry, dict):
                entry["retrain_enable"] = not enable or name in enable
                entry["retrain_data_config"].update(data_config or {})
                if "retrain_weight_config" in entry:
                    entry["retrain_weight_config"].update(weight_config or {})
        file.write_text(json.dumps(entries))
        paths = [str(self.folder / f"modified.{end}") for end in ("prototxt", "caffemodel")]
        record_file = str(self.folder / "record.txt")
        workflow.insert(model, weights, str(file), *paths, record_file)
        return Modified(self.caffe, self.folder, *paths, record_file, str(file))

    def _train_float(self, text: str, blobs: Mapping[str, Any]) -> Tuple[str, str]:
        model, weights = str(self.folder / "float.prototxt"), str(self.folder / "float.caffemodel")
        needs.require_known(text)
        Path(model).write_text(text)
        self.caffe.set_random_seed(1)
        net = self.caffe.Net(model, self.caffe.TRAIN)
        for name, arrays in blobs.items():
            for blob, array in zip(net.params[name], arrays):
                blob.data[...] = array
        net.save(weights)
        return model, weights


def blobs_of(net: Any) -> Arrays:
    """Return copies of all parameters of a net, as ``layer[index]``."""
    return {
        f"{name}[{index}]": np.array(blob.data)
        for name, layer in net.params.items()
        for index, blob in enumerate(layer)
    }


def diffs_of(net: Any) -> Arrays:
    """Return copies of all gradients of a net's parameters, as ``layer[index]``."""
    return {
        f"{name}[{index}]": np.array(blob.diff)
        for name, layer in net.params.items()
        for index, blob in enumerate(layer)
    }
