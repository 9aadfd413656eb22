"""The advice file: the cures of a report, for ``qat config --apply`` and ``ptq config --apply``.

::

    {"version": 1, "advice": [
      {"layer": "ip2", "cause": "weight outlier", "reason": "...",
       "qat": {"skip": true}, "ptq": {"skip": true}},
      {"layer": "conv3", "cause": "clipping", "reason": "...",
       "qat": {"set": {"retrain_data_config.clip_max": 6.1}}}]}

``qat`` or ``ptq`` is missing where that configuration cannot say the cure.  Keys of ``set`` are
dotted keys of the layer's entry; null removes one.
"""

from __future__ import annotations

from typing import Any, Dict, Iterator, List, Sequence

from cpu_sim_backend.analysis.model import Change, NetworkReport

VERSION = 1
_OF_INPUT = "retrain_data_config."


def advice(report: NetworkReport) -> Dict[str, Any]:
    """Return the document; what is harmless, or has no cure in a configuration, is not in it.

    Layers that read one blob are fake-quantized with one retrain_data_config, so that a change of
    it is advised to all of them.
    """
    entries: List[Dict[str, Any]] = []
    for finding in report.findings:
        if finding.harmless or (finding.qat is None and finding.ptq is None):
            continue
        entry: Dict[str, Any] = {
            "layer": finding.layer,
            "cause": finding.cause,
            "reason": finding.measured,
        }
        for name, change in (("qat", finding.qat), ("ptq", finding.ptq)):
            if change is not None:
                entry[name] = _as_json(change)
        entries.append(entry)
    return {"version": VERSION, "advice": [*entries, *_for_sharing_layers(report, entries)]}


def _for_sharing_layers(
    report: NetworkReport, entries: Sequence[Dict[str, Any]]
) -> Iterator[Dict[str, Any]]:
    """Yield what else has to change where layers read the input of one that is advised."""
    advised = {entry["layer"] for entry in entries if "qat" in entry}
    for entry in entries:
        settings = {
            key: value
            for key, value in entry.get("qat", {}).get("set", {}).items()
            if key.startswith(_OF_INPUT)
        }
        for layer in _readers(report, entry["layer"]) if settings else ():
            if layer not in advised:
                advised.add(layer)
                yield {
                    "layer": layer,
                    "cause": entry["cause"],
                    "reason": f"it reads the same blob as '{entry['layer']}'",
                    "qat": {"set": settings},
                }


def _readers(report: NetworkReport, name: str) -> List[str]:
    """Return the quantized layers that share the input of ``name``, itself among them."""
    found = [layer.activation for layer in report.layers if layer.name == name]
    return [
        layer.name
        for layer in report.layers
        for own in found
        if (layer.activation.blob, layer.activation.scale, layer.activation.offset)
        == (own.blob, own.scale, own.offset)
    ]


def _as_json(change: Change) -> Dict[str, Any]:
    return {"skip": True} if change.skip else {"set": dict(change.values)}
