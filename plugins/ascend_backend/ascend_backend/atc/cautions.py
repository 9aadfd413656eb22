"""What ``atc`` accepts on its command line and a quantized model does not, or the reverse.

Sources: hicann/ge docs/zh/user_guides/atc_tools/CLI_options/general_restrictions.md for dynamic
shapes and precision, base/common/util.cc (IsPathCharsValid) for paths.
"""

from __future__ import annotations

import os
import re
from typing import Dict, Iterator, List, Tuple

from ascend_backend.atc.command import Conversion

_DYNAMIC = ("dynamic_batch_size", "dynamic_image_size", "dynamic_dims", "input_shape_range")
_PRECISE: Dict[str, Tuple[str, ...]] = {
    "precision_mode": ("force_fp32", "must_keep_origin_dtype"),
    "precision_mode_v2": ("origin",),
}
_PATH = re.compile(r"[A-Za-z0-9_./\u4e00-\u9fa5-]*")


def cautions(conversion: Conversion) -> List[str]:
    """Return a sentence for each thing that will fail or not do what it is meant to."""
    return [*_dynamic_shapes(conversion), *_precision(conversion), *_paths(conversion)]


def _dynamic_shapes(conversion: Conversion) -> Iterator[str]:
    given = [f"--{name}" for name, _ in _options(conversion) if name in _DYNAMIC]
    if "-1" in conversion.input_shape or "~" in conversion.input_shape:
        given.append("an open dimension in --input-shape")
    if given:
        yield f"{', '.join(given)}: atc converts quantized models with fixed shapes only."


def _precision(conversion: Conversion) -> Iterator[str]:
    for name, value in _options(conversion):
        if value in _PRECISE.get(name, ()):
            yield f"--{name}={value}: high precision gives up what quantization gains."


def _paths(conversion: Conversion) -> Iterator[str]:
    paths = (conversion.model, conversion.weights, conversion.output, conversion.op_name_map)
    for path in filter(None, paths):
        resolved = os.path.realpath(path)
        if not _PATH.fullmatch(resolved):
            yield (
                f"{resolved}: atc takes paths of letters, digits, '_', '-', '.' and Chinese "
                "characters only, links followed; move the files."
            )


def _options(conversion: Conversion) -> Iterator[Tuple[str, str]]:
    """Yield name and value of the extra options; the value may be an argument of its own."""
    followers = (*conversion.extra[1:], "")
    for option, follower in zip(conversion.extra, followers):
        if option.startswith("-"):
            name, equals, value = option.lstrip("-").partition("=")
            yield name, value if equals else follower
