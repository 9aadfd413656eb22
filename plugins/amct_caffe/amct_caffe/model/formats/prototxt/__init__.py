"""Reads and writes prototxt files: networks and solvers."""
