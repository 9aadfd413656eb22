"""AMCT's modules that users' evaluators import by this path."""
