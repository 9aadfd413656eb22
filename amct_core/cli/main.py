"""``amct``: the console script, its global options, and what becomes of errors.

Exit status: 0 success, 1 an error or a negative result, 2 wrong usage, 70 a fault of the program
itself; 129, 130, 143: stopped by SIGHUP, SIGINT, SIGTERM.  Results go to standard output,
everything else to standard error.
"""

from __future__ import annotations

import errno
import io
import os
import platform
import shlex
import signal
import sys
import tempfile
import traceback
from typing import Any

import click

import amct_core
from amct_core.cli.apart import Invocation
from amct_core.cli.group import CommandGroup, called_of_plugin
from amct_core.errors import AmctError, PluginError
from amct_core.logging import leave_to_command
from amct_core.supervision.stopping import Stopped

INTERRUPTED = 128 + signal.SIGINT
"""As shells report it."""

INTERNAL_ERROR = 70
"""EX_SOFTWARE of sysexits.h."""


class RootGroup(CommandGroup):
    """``amct`` itself: turns errors into messages and exit statuses."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the sub-command; what it returns is no exit status and is dropped."""
        try:
            super().invoke(ctx)
        except AmctError as error:
            if ctx.params["debug"]:
                click.echo(traceback.format_exc(), err=True, nl=False)
            else:
                click.echo(f"Error: {error}{_where_it_failed(error)}", err=True)
            ctx.exit(1)
        except Stopped as stop:
            click.echo(str(stop), err=True)
            ctx.exit(stop.status)
        except (KeyboardInterrupt, click.Abort):
            click.echo("Interrupted.", err=True)
            ctx.exit(INTERRUPTED)
        except (click.ClickException, click.exceptions.Exit):
            raise
        except Exception as error:
            if isinstance(error, OSError) and error.errno == errno.EPIPE:
                raise  # whoever read the output has gone; click ends quietly
            if ctx.params["debug"]:
                click.echo(traceback.format_exc(), err=True, nl=False)
            click.echo(_internal_error(error, called_of_plugin(ctx)), err=True)
            ctx.exit(INTERNAL_ERROR)


def _where_it_failed(error: AmctError) -> str:
    """Return where to read what went wrong inside a plugin; nothing for any other error."""
    cause: BaseException | None = error
    while isinstance(cause, AmctError):  # an error of ours may have got its place on its way
        cause = cause.__cause__
    if cause is None or not isinstance(error, PluginError):
        return ""
    path, report = _kept_report("amct_plugin_error_")
    return f"\n{report}" if path is None else f"\nThe traceback, for its author, is in {path}."


def _kept_report(prefix: str) -> tuple[str | None, str]:
    """Write a report about the error that is handled; return its file, if it could be written."""
    report = (
        f"command: {shlex.join(sys.argv)}\n"
        f"amct {amct_core.__version__}, Python {platform.python_version()}, "
        f"{platform.platform()}\n\n{traceback.format_exc()}"
    )
    try:
        handle, path = tempfile.mkstemp(prefix=prefix, suffix=".txt")
        with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as stream:
            stream.write(report)
    except OSError:
        return None, report
    return path, report


def _internal_error(error: Exception, called: tuple[str, str] | None) -> str:
    """Write a report about an error that is no AmctError; return what the user is told.

    Args:
        error: it.
        called: the plugin whose command it ends, and the command.
    """
    what = f"Internal error: {type(error).__name__}: {error}"
    whose = "the program"
    if called is not None:
        plugin, command = called
        what += f" (plugin '{plugin}', command '{command}')"
        whose = f"plugin '{plugin}'"
    ask = f"This is a fault of {whose}, or of a module of yours that it ran."
    path, report = _kept_report("amct_internal_error_")
    if path is None:
        return f"{what}\n{report}\n{ask} Send this text to whoever maintains it."
    return (
        f"{what}\n{ask} A report is in {path}: send it to whoever maintains it, with the files of "
        "the command if you may."
    )


@click.group(
    "amct",
    cls=RootGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Run 'amct COMMAND --help' for the options of a command.",
)
@click.option("--debug", is_flag=True, help="Show where in the program an error was raised.")
@click.version_option(amct_core.__version__, prog_name="amct")
def cli(debug: bool) -> None:
    """Quantization-aware training for models that run as INT8 on Ascend processors."""


def main() -> None:
    """Run ``amct`` with the arguments of this process."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        # Names of layers may hold bytes of another encoding.
        sys.stdout.reconfigure(errors="backslashreplace")
    leave_to_command()
    cli(prog_name="amct", obj=Invocation.of_process(os.environ))
