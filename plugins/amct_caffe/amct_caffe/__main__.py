"""``python -m amct_caffe`` is ``amct_caffe``."""

from __future__ import annotations

import sys

from amct_caffe.command_line.main import main

if __name__ == "__main__":
    sys.exit(main())
