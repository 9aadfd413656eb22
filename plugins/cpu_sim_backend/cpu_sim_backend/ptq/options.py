"""The options of the commands that calibrate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Optional, TypeVar

import click

if TYPE_CHECKING:
    from cpu_sim_backend.data.choice import DataOptions

C = TypeVar("C", bound=Callable[..., Any])


def calibration_options(command: C) -> C:
    """Add the options that say with what data, and in what, a command calibrates."""
    options = (
        click.option(
            "--data",
            help="An .npz file with one array per network input, or a folder of images.  Default, "
            "in Caffe: the network's own TEST data layers.",
        ),
        click.option(
            "--preprocess",
            help="A JSON file that declares what is done to the images of a folder.",
        ),
        click.option(
            "--batch-size",
            type=click.IntRange(min=1),
            help="Samples of one batch of --data; by default all of them, divided by batch_num.",
        ),
        click.option(
            "--engine",
            type=click.Choice(("caffe", "simulator", "both")),
            help="What runs the network.  'both' keeps what Caffe finds, and says how far the "
            "simulator is from it.  Default: Caffe where it is installed.",
        ),
        click.option(
            "--shift-n-algo",
            help="Search shift N of each layer this way, in the simulator, and record it as "
            "shift_bit.  Default: N is not searched.",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


def improvement_options(command: C) -> C:
    """Add the options that say what is improved; off unless they are given."""
    options = (
        click.option(
            "--equalize",
            is_flag=True,
            help="Even out the ranges of channels across layers before calibration.",
        ),
        click.option(
            "--bias-correction",
            is_flag=True,
            help="Take away the mean error of each quantized layer's channels over --data, in the "
            "simulator.",
        ),
        click.option(
            "--weight-rounding",
            help="What rounds the weights up or down by what their layers read of --data, in the "
            "simulator: 'adaround', or another name of 'amct plugins'.  Default: to the nearest.",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


def data_options(
    data: Optional[str], preprocess: Optional[str], batch_size: Optional[int]
) -> DataOptions:
    """Return where the data come from.

    Raises:
        click.UsageError: the options disagree.
    """
    from cpu_sim_backend.data.choice import DataOptions

    if batch_size is not None and data is None:
        raise click.UsageError("give --batch-size with --data, and only with it.")
    options = DataOptions(data, preprocess)
    if options.is_folder != (preprocess is not None):
        raise click.UsageError("give --preprocess with a folder of images, and only with it.")
    return options
