"""The console script ``amct_caffe``.

Exit status: 0 success, 1 an error, 2 wrong usage, 130 interrupted, as ``amct`` has them.
"""

from __future__ import annotations

import sys
from typing import Optional, Sequence

from amct_caffe.command_line.arguments import parse
from amct_core.errors import AmctError

_INTERRUPTED = 130
"""128 + SIGINT, as shells report it."""


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Run ``amct_caffe`` with ``arguments``, by default those of this process.

    Returns:
        The exit status.

    Raises:
        SystemExit: wrong usage, or a call for help.
    """
    found = parse(sys.argv[1:] if arguments is None else arguments)
    from amct_caffe.command_line.calibration import calibrate
    from amct_core import logging as amct_logging

    amct_logging.configure()
    try:
        calibrate(found)
    except AmctError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return _INTERRUPTED
    return 0
