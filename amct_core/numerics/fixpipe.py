"""The deq_scale of processors with a fix-pipe: 19 bits.

Sign, 8 bits of exponent and the upper 10 bits of the mantissa stay; the 13 lowest bits of the
float32 become 0.  That cuts toward zero: the result is smaller by less than 2**-10 of the value.

Status: verified (mask 0xFFFFE000 in ``TransM1Scale``, hicann/ge graph_metadef/register/
graph_optimizer/graph_fusion/fusion_quant_util_impl.cc; ``CastToS19`` in hicann/amct).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from amct_core.numerics.arrays import UInt64Array

LOST_BITS = np.uint64(0x1FFF)
"""The bits of a deq_scale word that the fix-pipe has no room for."""


def cut(words: ArrayLike) -> UInt64Array:
    """Return deq_scale words without the 13 lowest bits of their float32; N stays.

    Args:
        words: uint64, as :func:`amct_core.numerics.dequant.pack` gives them.
    """
    result: UInt64Array = np.asarray(words, np.uint64) & ~LOST_BITS
    return result
