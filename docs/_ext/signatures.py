"""Signatures of attrs classes as a reader would write them."""

from __future__ import annotations

import inspect
import re
from typing import Any, Optional, Tuple

import attrs

_DEFAULT = re.compile(r"attr_dict\['(\w+)'\]\.default")


def readable(
    app: object,
    what: str,
    name: str,
    item: Any,
    options: object,
    signature: Optional[str],
    returned: Optional[str],
) -> Optional[Tuple[str, Optional[str]]]:
    """Return the signature with plain defaults: attrs writes expressions of its own there."""
    if signature is None or not inspect.isclass(item) or not attrs.has(item):
        return None
    fields = attrs.fields_dict(item)
    plain = _DEFAULT.sub(lambda found: repr(fields[found[1]].default), signature)
    # Made anew for each instance.
    return plain.replace("NOTHING", "..."), returned
