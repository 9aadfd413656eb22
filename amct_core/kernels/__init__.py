"""Compiled forms of definitions in :mod:`amct_core.numerics` that are too slow on large data.

Each gives what its definition gives; where numba is not installed, the definition itself runs.
"""
