"""The hooks of amct-caffe.  Imported whenever ``amct`` starts, so it imports next to nothing."""

from __future__ import annotations

from typing import Iterable, Tuple

from amct_core.extensions import CliCommand, Frontend, LayerQuantizer
from amct_core.hookspecs import hookimpl


@hookimpl
def amct_frontends() -> Iterable[Frontend]:
    """Caffe."""
    from amct_caffe.frontend import CaffeFrontend

    return [CaffeFrontend()]


@hookimpl
def amct_layer_quantizers() -> Iterable[LayerQuantizer]:
    """Convolution, Deconvolution, InnerProduct and AVE Pooling."""
    from amct_caffe.model.layer_quantizers import QUANTIZERS

    return QUANTIZERS


@hookimpl
def amct_cli_commands() -> Iterable[CliCommand]:
    """The commands that train in Caffe."""
    from amct_caffe.cli import COMMANDS

    commands: Tuple[CliCommand, ...] = COMMANDS
    return commands
