"""Which tests are those of a part of the product."""

from __future__ import annotations

from typing import Tuple

import attrs


@attrs.frozen
class Area:
    """A part of the product.

    Attributes:
        name: of the part.
        modules: patterns of its modules, from the root of the repository.
        tests: paths of its tests.
    """

    name: str
    modules: Tuple[str, ...]
    tests: Tuple[str, ...]


_FORMATS = "plugins/amct_caffe/amct_caffe/model/formats"

AREAS = (
    Area("numerics", ("amct_core/numerics/*.py",), ("tests/core/numerics",)),
    Area("record", ("amct_core/record/*.py",), ("tests/core/record",)),
    Area("config", ("amct_core/config/*.py",), ("tests/core/config",)),
    Area("derive", ("amct_core/derive.py",), ("tests/core/test_derive.py",)),
    Area(
        "packing",
        ("amct_core/numerics/dequant.py",),
        ("tests/core/numerics/test_dequant.py",),
    ),
    Area(
        "formats",
        ("amct_core/textproto/*.py", f"{_FORMATS}/caffemodel/*.py", f"{_FORMATS}/prototxt/*.py"),
        ("tests/core/textproto", "plugins/amct_caffe/tests/files"),
    ),
)
"""In the order in which a mutant finds its tests; all areas get equally many mutants."""
