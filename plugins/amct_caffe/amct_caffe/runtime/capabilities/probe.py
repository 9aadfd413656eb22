"""A question about Caffe, and how it is answered."""

from __future__ import annotations

from typing import Callable, Sequence

import attrs


@attrs.frozen
class Finding:
    """What a probe has found.

    Attributes:
        there: the answer, yes or no.
        found: what belongs to it.
        sentence: why, in a few words or in Caffe's own.
    """

    there: bool
    found: Sequence[str] = ()
    sentence: str = ""


@attrs.frozen
class Probe:
    """One question about the Caffe that is installed.

    Attributes:
        name: in lower case with underscores.
        question: for people.
        ask: finds the answer; runs in a process of its own, in an empty folder, with Caffe
            imported; whatever it raises, and whatever ends that process, is an answer too.
    """

    name: str
    question: str
    ask: Callable[[], Finding]
