"""Rewritings of a Caffe network, one per file."""
