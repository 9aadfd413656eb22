"""``python -m amct_core`` is ``amct``."""

from __future__ import annotations

from amct_core.cli.main import main

if __name__ == "__main__":
    main()
