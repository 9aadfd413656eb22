"""Converts a deployable model to an ``.om`` with ``atc``, or prepares that for another machine."""
