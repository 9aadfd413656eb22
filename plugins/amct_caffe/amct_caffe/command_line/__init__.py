"""``amct_caffe``: the command that AMCT has, beside our own ``amct``."""
