"""What ``algo_parameters`` may say."""

from __future__ import annotations

import attrs
from attrs.validators import ge, gt, in_


@attrs.frozen
class Parameters:
    """What the paper fixes, and how training begins.

    Attributes:
        begin: ``paper``: with the first step of the paper; ``least_error``: with that step, of
            those on a grid, which changes the values least (ours).
        first_step: the first step of the paper is this times ``mean(|v|) / sqrt(Qp)``.
        gradient_scale: the gradient of a step is multiplied by this times ``1 / sqrt(n * Qp)``.
    """

    begin: str = attrs.field(default="paper", validator=in_(("paper", "least_error")))
    first_step: float = attrs.field(default=2.0, validator=gt(0.0))
    gradient_scale: float = attrs.field(default=1.0, validator=ge(0.0))


DEFAULTS = Parameters()
