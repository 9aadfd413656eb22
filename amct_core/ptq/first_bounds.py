"""Quantization-aware training that starts from a post-training record.

The first clip bounds of a layer's input are those that its ``scale_d`` and ``offset_d`` stand for
(:func:`amct_core.numerics.affine.bounds`), in place of what ``init_algo`` finds in the first
batches.  Training goes on from there.

1. Bounds that the configuration gives count more.
2. A layer that the record lacks begins as without a record, with ``init_algo``.
3. So does a layer that post-training quantization has fused with a BatchNorm or Scale before it:
   it reads another blob there than in training, where these stay.
"""

from __future__ import annotations

import logging
from typing import Dict

import attrs

from amct_core import record as records
from amct_core.config.model import LayerConfig, QatConfig
from amct_core.errors import RecordError
from amct_core.graph import Graph
from amct_core.numerics import affine
from amct_core.ptq.fusion import layers_fused_before
from amct_core.record import LayerRecord, Record

_log = logging.getLogger("amct_core.ptq")


@attrs.frozen(eq=False)
class RecordedBounds:
    """First bounds from a record: what :func:`amct_core.workflow.insert` takes.

    Attributes:
        record: of a calibration of the same network.
        file: where it is, for messages.
    """

    record: Record
    file: str

    @classmethod
    def read(cls, file: str) -> RecordedBounds:
        """Read a record.

        Raises:
            RecordError: it is no record, or has values out of range.
        """
        return cls(records.read(file), file)

    def __call__(self, config: QatConfig, graph: Graph) -> QatConfig:
        """Return ``config`` with first bounds.

        Raises:
            RecordError: no quantized layer gets any.
        """
        skip = frozenset(name for name in self.record if self.record.get(name).skip_fusion)
        fused = layers_fused_before(graph, skip)
        layers: Dict[str, LayerConfig] = {}
        for name, layer in config.enabled.items():
            entry = self.record.find(name)
            if layer.activation.clip_max is not None:
                _log.info("layer '%s' begins with the bounds of the configuration", name)
            elif entry is None or entry.scale_d is None or entry.offset_d is None:
                _log.warning("'%s' has no factors of layer '%s'; init_algo counts", self.file, name)
            elif name in fused:
                _log.warning(
                    "layer '%s' was calibrated in front of what is fused with it; init_algo counts",
                    name,
                )
            else:
                layers[name] = _with_bounds(layer, entry)
        if not layers:
            raise RecordError(
                f"it has factors of {', '.join(self.record) or 'no layer'}; expected those of "
                f"quantized layers: {', '.join(config.enabled)}.",
                file=self.file,
                field="scale_d",
                remedy="Give the record of a calibration of this network, or none.",
            )
        _log.info("%d layers begin with the bounds of '%s'", len(layers), self.file)
        return attrs.evolve(config, layers={**config.layers, **layers})


def _with_bounds(layer: LayerConfig, entry: LayerRecord) -> LayerConfig:
    assert entry.scale_d is not None and entry.offset_d is not None
    high, low = affine.bounds(entry.scale_d, entry.offset_d)
    activation = attrs.evolve(layer.activation, clip_max=float(high), clip_min=float(low))
    return attrs.evolve(layer, activation=activation)
