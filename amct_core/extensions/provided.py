"""What the objects that plugins return have in common."""

from __future__ import annotations

import abc
import inspect
from typing import TYPE_CHECKING, Any, ClassVar

import attrs

from amct_core.errors import PluginError


class Constructed(abc.ABCMeta):
    """Class of the classes that plugins make objects of: wrong arguments are told with its name.

    Python's own message names neither the class, before CPython 3.10, nor the object.
    """

    if not TYPE_CHECKING:  # which knows what __init__ takes

        def __call__(cls, *args: Any, **kwargs: Any) -> Any:
            """Make an object.

            Raises:
                PluginError: the arguments are not those of the class.
            """
            try:
                return super().__call__(*args, **kwargs)
            except TypeError as error:
                wrong = _wrong_arguments(cls, args, kwargs)
                if wrong is None:
                    raise
                raise PluginError(wrong) from error


def _wrong_arguments(cls: type, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str | None:
    """Return what is wrong with the arguments of ``cls``; None if nothing is."""
    # Not of cls itself: inspect would tell what __call__ above takes, which is everything.
    signature = inspect.signature(cls.__init__)  # type: ignore[misc]
    try:
        signature.bind(None, *args, **kwargs)
    except TypeError as error:
        name = kwargs.get("name", args[0] if args else None)
        whose = f" '{name}'" if isinstance(name, str) else ""
        fields = [each for each in list(signature.parameters)[1:] if each != "provider"]
        return f"{cls.__name__}{whose}: {error}; expected {', '.join(fields)}."
    return None


@attrs.frozen
class Provided(metaclass=Constructed):
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
