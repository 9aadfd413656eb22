"""Refuses what is no network of Caffe, such as what another frontend or a backend reads."""

from __future__ import annotations

import os
from typing import Optional

from amct_core.errors import ModelError
from amct_core.plugins import registries
from amct_core.saved_model import saved_model
from amct_core.watched_frontend import watched

_CAFFE = "caffe"
_REMEDY = "'amct lint' looks at Caffe's files only, as ATC does."


def require_caffe(prefix: Optional[str], model_file: str) -> None:
    """Raise an error where a file is known to be another framework's, or a backend's.

    What nobody knows is left to whoever reads it.

    Args:
        prefix: of the saved model; None: files were given.
        model_file: the prototxt that is going to be read.

    Raises:
        ModelError: a frontend other than Caffe's, or a backend that writes no such file, knows it.
        PluginError: a plugin failed.
    """
    plugins = registries()
    if os.path.isfile(model_file):
        frontends = (watched(each, plugins) for each in plugins.frontends)
        names = [each.name for each in frontends if each.recognises(model_file)]
        if names and _CAFFE not in names:
            raise ModelError(
                f"it is a network of the frontend '{names[0]}'.", file=model_file, remedy=_REMEDY
            )
    elif prefix is not None:
        backend = saved_model(prefix, plugins).backend
        if backend is not None:
            raise ModelError(
                f"it was written by the deploy backend '{backend.name}', and there is no "
                f"'{model_file}'.",
                file=prefix,
                remedy=_REMEDY,
            )
