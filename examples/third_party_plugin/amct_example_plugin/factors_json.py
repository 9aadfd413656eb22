"""A deploy backend that writes the factors of each quantized layer as JSON."""

from __future__ import annotations

import json

from amct_core.extensions import DeployBackend
from amct_core.file_names import file_under
from amct_core.files import FileSet
from amct_core.quantized_model import QuantizedLayer, QuantizedModel


def write(model: QuantizedModel, save_path: str, files: FileSet) -> None:
    """Stage ``<save_path>_factors.json``."""
    document = {
        "network": model.graph.name,
        "layers": [_layer(layer) for layer in model.layers],
    }
    files.add(file_under(save_path, "factors.json"), json.dumps(document, indent=2) + "\n")


def _layer(layer: QuantizedLayer) -> dict[str, object]:
    return {
        "name": layer.name,
        "type": layer.op,
        "quant_scale": float(layer.quant_scale),
        "offset": layer.offset,
        "weights": None if layer.weights is None else layer.weights.tolist(),
        "bias": None if layer.bias is None else layer.bias.tolist(),
        "deq_scale": layer.deq_scale.tolist(),
        "shift_n": layer.shift_n.tolist(),
    }


BACKEND = DeployBackend(
    name="factors_json", description="the factors of each quantized layer as JSON", write=write
)
