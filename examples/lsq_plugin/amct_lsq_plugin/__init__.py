"""Learned Step Size Quantization as a plugin: its step sizes are trained by the solver."""
