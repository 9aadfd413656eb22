"""The contract of what an activation algorithm learns and keeps beside its clip bounds."""

from __future__ import annotations

from typing import Any, Mapping, Sequence, Union

import numpy as np

from amct_core.contracts.usage import Usage, shown
from amct_core.extensions.learned import LearnedParameter, StateVariable

Declared = Sequence[Union[LearnedParameter, StateVariable]]


def check_declared(
    usage: Usage, function: str, found: Any, expected: Declared, all_of_them: bool = False
) -> Mapping[str, Any]:
    """Return ``found``, if its names and shapes are among those that are declared.

    Args:
        usage: who has returned it.
        function: with which function.
        found: a mapping of name to array.
        expected: what is declared.
        all_of_them: whether each has to be there.

    Raises:
        PluginError: it is no such mapping.
    """
    shapes = {blob.name: blob.shape for blob in expected}
    known = ", ".join(f"'{each}' {shapes[each]}" for each in shapes) or "none"
    if not isinstance(found, Mapping):
        raise usage.error(
            f"{function} returned {shown(found)}; expected a mapping of these names to arrays of "
            f"these shapes: {known}."
        )
    missing = {name: None for name in shapes if all_of_them and name not in found}
    for name, array in {**found, **missing}.items():
        shape = getattr(array, "shape", None)
        if name not in shapes or shape != shapes[name]:
            raise usage.error(
                f"{function} returned '{name}' of shape {shape}; expected arrays of these names "
                f"and shapes: {known}."
            )
    return found


def check_finite(usage: Usage, function: str, found: Mapping[str, Any]) -> None:
    """Check the values that training goes on with.

    Raises:
        PluginError: one is not finite.
    """
    for name, array in found.items():
        if not np.isfinite(array).all():
            raise usage.error(
                f"{function} returned '{name}' with {array[~np.isfinite(array)].flat[0]}; expected "
                "finite numbers."
            )
