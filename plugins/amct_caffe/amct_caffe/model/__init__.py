"""Caffe's files as a language: what a network, its layers and its weights say, without training."""
