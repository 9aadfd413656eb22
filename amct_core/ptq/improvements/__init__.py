"""Optional improvements of post-training quantization; all are off unless somebody asks for them.

Each is a pure function on values.  :mod:`~amct_core.ptq.improvements.steps` says in which order
they are applied, and which exclude each other.
"""
