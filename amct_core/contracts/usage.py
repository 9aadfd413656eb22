"""An extension at work: what is said when it breaks its contract, or fails."""

from __future__ import annotations

from contextlib import contextmanager
from typing import Any, Iterator, Optional, Sequence, Tuple

import attrs

from amct_core.entry_points import are_own
from amct_core.errors import AmctError, PluginError
from amct_core.extensions.provided import Provided
from amct_core.plugins import BUILTIN, described


@attrs.frozen
class Usage:
    """An extension, and the layer that uses it.

    Attributes:
        extension: what a plugin has registered.
        layer: name of the layer, or names of several; None where it is used for a whole network.
    """

    extension: Provided
    layer: Optional[str] = None

    def error(self, problem: str) -> PluginError:
        """Return the error that ``problem`` is, such as "forward gave 3; expected a pair."."""
        return PluginError(
            f"{self._who}: {problem}",
            layer=self.layer,
            remedy=self._remedy(),
        )

    def _remedy(self) -> str:
        if self.extension.is_chosen:
            return f"Tell the author of the plugin, or use another {self.extension.kind}."
        if self.extension.provider == BUILTIN or are_own(self.extension.provider):
            return "Tell the author of the plugin."
        return "Uninstall the plugin, or tell its author."

    @contextmanager
    def running(self, function: str, tells_itself: bool = False) -> Iterator[None]:
        """Run a function of the extension; what it raises comes out with its names.

        An :class:`AmctError` keeps its type: numbers that cannot be quantized are seldom the
        plugin's fault.

        Args:
            function: its name.
            tells_itself: whether an AmctError says enough without the plugin's name, as those of
                layer types and backends do, which look at the user's files.

        Raises:
            PluginError: the function failed; its error is the cause.
        """
        try:
            yield
        except AmctError as error:
            raise self._placed(error, tells_itself) from error
        except MemoryError:
            raise
        except Exception as error:
            raise self.error(f"{function} failed with {described(error)}") from error

    def several(self, function: str, result: Any, names: Sequence[str]) -> Tuple[Any, ...]:
        """Return the parts of a result that has to have one for each of ``names``.

        Raises:
            PluginError: it has more or fewer.
        """
        expected = f"({', '.join(names)})"
        if not isinstance(result, (tuple, list)):
            raise self.error(
                f"{function} returned {shown(result)}; expected a tuple of {len(names)}, "
                f"{expected}."
            )
        if len(result) != len(names):
            raise self.error(
                f"{function} returned {len(result)} values; expected {len(names)}, {expected}."
            )
        return tuple(result)

    @property
    def _who(self) -> str:
        name = getattr(self.extension, "name", type(self.extension).__name__)
        what = f"{self.extension.kind} '{name}'"
        provider = self.extension.provider
        return f"plugin '{provider}', {what}" if provider else what

    def _placed(self, error: AmctError, tells_itself: bool) -> AmctError:
        placed = error.at(layer=self.layer)
        provider = self.extension.provider
        if tells_itself or not provider or provider == BUILTIN or isinstance(error, PluginError):
            return placed
        return type(placed)(
            f"{self._who}: {placed.problem}",
            file=placed.file,
            layer=placed.layer,
            field=placed.field,
            remedy=placed.remedy,
        )


def shown(value: Any) -> str:
    """Return what a value is, short enough for a message."""
    shape, dtype = getattr(value, "shape", None), getattr(value, "dtype", None)
    if shape is not None and dtype is not None and len(shape) > 0:
        return f"{dtype} {tuple(shape)}"
    text = repr(_plain(value))
    return text if len(text) <= 60 else f"{text[:57]}..."


def _plain(value: Any) -> Any:
    """Return numbers of NumPy as Python's: NumPy 2 writes their type beside them."""
    if isinstance(value, (tuple, list)):
        return type(value)(map(_plain, value)) if type(value) in (tuple, list) else value
    item = getattr(value, "item", None)
    return item() if item is not None and getattr(value, "shape", None) == () else value
