"""Caffe's files: schema, prototxt, caffemodel."""
