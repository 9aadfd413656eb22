"""Renders a QuantizedModel as Caffe layers."""
