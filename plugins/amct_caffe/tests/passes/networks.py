"""Networks for the tests of passes: prototxt in, prototxt out.

Texts are compared as Caffe's text format writes them, so that a test may put a layer on one line.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs
import numpy as np

from amct_caffe.frontend import views_of
from amct_caffe.model.formats.prototxt import document as documents
from amct_caffe.model.network import CaffeNetwork
from amct_caffe.qat.plan import QatPlan, make_plan
from amct_core.config.model import QatConfig, default_config
from amct_core.plugins import registries
from amct_core.quantizable import find_quantizable
from amct_core.textproto import format_message, parse

Shapes = Mapping[str, Sequence[Sequence[int]]]

INPUT = (
    'layer { name: "data" type: "Input" top: "data" '
    "input_param { shape { dim: 1 dim: 2 dim: 4 dim: 4 } } }\n"
)


def network(text: str, shapes: Shapes) -> CaffeNetwork:
    """Return a network with weights of the given shapes, all different numbers."""
    generator = np.random.default_rng(3)
    weights = {
        name: [generator.uniform(0.5, 1.5, shape).astype(np.float32) for shape in blobs]
        for name, blobs in shapes.items()
    }
    return CaffeNetwork(documents.from_text(text), weights)


def plan_of(state: CaffeNetwork, **config: Any) -> QatPlan:
    """Return the plan that quantizes every layer that can be; ``config`` changes the defaults."""
    views = views_of(state)
    found = find_quantizable(views)
    settings: QatConfig = attrs.evolve(default_config(found.supported), **config)
    search = registries().shift_searches.get(settings.shift_n_algo)
    return make_plan(views, settings, "c.json", "r.txt", search)


def text_of(state: CaffeNetwork) -> str:
    """Return the network's prototxt."""
    return state.document.format()


def normal(text: str) -> str:
    """Return ``text`` as it is written after it has been read."""
    return format_message(parse(text))


def without_param_str(text: str) -> str:
    """Return ``text`` without what the inserted layers are told, which has tests of its own."""
    return "".join(line for line in text.splitlines(True) if "param_str" not in line)


def conv(name: str, bottom: str, top: str = "", extra: str = "", outputs: int = 2) -> str:
    """Return a Convolution of 1 x 1."""
    return (
        f'layer {{ name: "{name}" type: "Convolution" bottom: "{bottom}" top: "{top or name}" '
        f"{extra} convolution_param {{ num_output: {outputs} kernel_size: 1 }} }}\n"
    )


CONV = [(2, 2, 1, 1), (2,)]
"""Blobs of :func:`conv` over two channels."""


def batch_norm(name: str, bottom: str, top: str = "", extra: str = "") -> str:
    """Return a BatchNorm."""
    return (
        f'layer {{ name: "{name}" type: "BatchNorm" bottom: "{bottom}" top: "{top or name}" '
        f"{extra} }}\n"
    )


def scale(name: str, bottom: str, top: str = "", extra: str = "") -> str:
    """Return a Scale with a bias."""
    return (
        f'layer {{ name: "{name}" type: "Scale" bottom: "{bottom}" top: "{top or name}" {extra} '
        "scale_param { bias_term: true } }\n"
    )


def relu(name: str, blob: str, extra: str = "") -> str:
    """Return a ReLU in place."""
    return f'layer {{ name: "{name}" type: "ReLU" bottom: "{blob}" top: "{blob}" {extra} }}\n'


BATCH_NORM = [(2,), (2,), (1,)]
SCALE = [(2,), (2,)]
"""Blobs of :func:`batch_norm` and :func:`scale` over two channels."""

TRAIN = "include { phase: TRAIN }"
TEST = "include { phase: TEST }"

UNKNOWN = (
    'layer { name: "odd" type: "Invented" bottom: "data" top: "odd" odd_field: 7 '
    "invented_param { depth: 3 kind: DEEP } }\n"
)
"""A layer of a type, and with fields, that nothing here knows."""
