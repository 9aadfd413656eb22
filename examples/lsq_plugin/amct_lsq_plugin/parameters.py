"""What ``algo_parameters`` may say."""

from __future__ import annotations

import attrs
from attrs.validators import ge, gt


@attrs.frozen
class Parameters:
    """The two constants of the paper.

    Attributes:
        first_step: the first step is this times ``mean(|v|) / sqrt(Qp)``.
        gradient_scale: the gradient of a step is multiplied by this times ``1 / sqrt(n * Qp)``.
    """

    first_step: float = attrs.field(default=2.0, validator=gt(0.0))
    gradient_scale: float = attrs.field(default=1.0, validator=ge(0.0))


DEFAULTS = Parameters()
