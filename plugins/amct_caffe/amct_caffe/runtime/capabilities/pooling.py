"""By which field Caffe is told that Pooling rounds its output size down."""

from __future__ import annotations

from amct_caffe.runtime.capabilities.probe import Finding, Probe

FIELDS = {"round_mode": "round_mode: FLOOR", "ceil_mode": "ceil_mode: false"}
"""In which Caffes: ``round_mode`` in BVLC's after 1.0, ``ceil_mode`` in NVIDIA's and others."""


def _rounds_down() -> Finding:
    from amct_caffe.runtime.capabilities.apart import run_apart

    found, sentence = [], ""
    for field, text in FIELDS.items():
        outcome = run_apart(lambda text=text: _width(text))  # type: ignore[misc]
        if outcome.value == 2:
            found.append(field)
        else:
            sentence = outcome.sentence
    return Finding(bool(found), found, "" if found else sentence)


def _width(field: str) -> int:
    """Return the width of the output: 5 pixels, windows of 2; 3 if rounded up, 2 if down."""
    from amct_caffe.runtime.capabilities.nets import build, input_text, layer_text

    body = f"pooling_param {{ kernel_size: 2 stride: 2 {field} }}"
    net = build(input_text(1, 1, 5, 5) + layer_text("Pooling", ["data"], "pool", body))
    return int(net.blobs["pool"].data.shape[3])


ROUNDS_DOWN = Probe(
    "pooling_rounds_down",
    "Can Pooling round its output size down (round_mode or ceil_mode)?",
    _rounds_down,
)
