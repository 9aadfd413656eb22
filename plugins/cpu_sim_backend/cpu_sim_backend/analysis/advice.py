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

from typing import Any, Dict, List

from cpu_sim_backend.analysis.model import Change, NetworkReport

VERSION = 1


def advice(report: NetworkReport) -> Dict[str, Any]:
    """Return the document; what is harmless, or has no cure in a configuration, is not in it."""
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
    return {"version": VERSION, "advice": entries}


def _as_json(change: Change) -> Dict[str, Any]:
    return {"skip": True} if change.skip else {"set": dict(change.values)}
