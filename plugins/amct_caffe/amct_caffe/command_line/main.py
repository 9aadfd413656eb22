"""The console script ``amct_caffe``.

Exit status: 0 success, 1 an error, 2 wrong usage; 129, 130, 143: stopped by a signal; as ``amct``
has them.
"""

from __future__ import annotations

import os
import sys
from typing import Optional, Sequence

from amct_caffe.command_line.arguments import parse
from amct_core.cli.apart import Invocation, go_apart, status_of
from amct_core.errors import AmctError
from amct_core.supervision.stopping import Stopped

_INTERRUPTED = 130
"""128 + SIGINT, as shells report it."""


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Run ``amct_caffe`` with ``arguments``, by default those of this process.

    As the program of a process, it runs Caffe in a process of its own, like ``amct``.

    Returns:
        The exit status.

    Raises:
        SystemExit: wrong usage, or a call for help.
    """
    found = parse(sys.argv[1:] if arguments is None else arguments)
    invocation = Invocation.of_process(os.environ) if arguments is None else Invocation()
    try:
        ending = go_apart(invocation)
        if ending is not None:
            return status_of(ending)
        from amct_caffe.command_line.calibration import calibrate
        from amct_core import logging as amct_logging

        amct_logging.configure()
        calibrate(found)
    except AmctError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1
    except Stopped as stop:
        print(stop, file=sys.stderr)
        return stop.status
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return _INTERRUPTED
    return 0
