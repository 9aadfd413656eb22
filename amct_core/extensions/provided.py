"""What the objects that plugins return have in common."""

from __future__ import annotations

from typing import ClassVar

import attrs


@attrs.frozen
class Provided:
    """An object that a plugin returns from a hook.

    Attributes:
        kind: what such an object is, in words, for messages ("activation algorithm").
        is_chosen: whether the user names one, such as an algorithm in a config; false for what is
            used because it is installed.
        provider: name of the plugin that it comes from.  The registry sets it, so that errors can
            name the plugin wherever the object is used; a plugin leaves it out.
    """

    kind: ClassVar[str] = "extension"
    is_chosen: ClassVar[bool] = True

    provider: str = attrs.field(default="", kw_only=True, eq=False, repr=False)
