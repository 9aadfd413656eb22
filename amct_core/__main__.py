"""``amct`` and ``python -m amct_core``: the first thing that runs, so that nothing runs before it.

What the command needs takes a moment to import; Ctrl-C in that moment is told as any other.
"""

from __future__ import annotations

import signal
import sys


def main() -> None:
    """Run ``amct`` with the arguments of this process."""
    try:
        from amct_core.cli.main import main as run

        run()
    except KeyboardInterrupt:
        sys.stderr.write("Interrupted.\n")
        sys.exit(128 + signal.SIGINT)


if __name__ == "__main__":
    main()
