"""The configuration of quantization-aware training: JSON, simplified text form, checks."""
