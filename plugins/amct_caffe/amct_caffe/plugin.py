"""The hooks of amct-caffe.  Imported whenever ``amct`` starts, so it imports next to nothing."""

from __future__ import annotations

from typing import Iterable, Tuple

from amct_core.extensions import CliCommand, Frontend, LayerType
from amct_core.hookspecs import hookimpl


@hookimpl
def amct_frontends() -> Iterable[Frontend]:
    """Caffe."""
    from amct_caffe.frontend import CaffeFrontend

    return [CaffeFrontend()]


@hookimpl
def amct_layer_types() -> Iterable[LayerType]:
    """The layer types of Caffe."""
    from amct_caffe.model.layer_types import LAYER_TYPES

    return LAYER_TYPES


@hookimpl
def amct_cli_commands() -> Iterable[CliCommand]:
    """The commands that train in Caffe."""
    from amct_caffe.cli import COMMANDS

    commands: Tuple[CliCommand, ...] = COMMANDS
    return commands
