"""Tells whether there is a Caffe, without importing it."""

from __future__ import annotations

import importlib.util


def caffe_is_installed() -> bool:
    """Return whether there is a module called caffe.

    A folder of that name in the current one is none: Python takes it for a namespace package, which
    has no file of its own.
    """
    try:
        spec = importlib.util.find_spec("caffe")
    except ValueError:  # a stub in sys.modules
        return False
    return spec is not None and spec.origin is not None
