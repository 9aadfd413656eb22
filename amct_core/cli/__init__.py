"""The ``amct`` command line."""
