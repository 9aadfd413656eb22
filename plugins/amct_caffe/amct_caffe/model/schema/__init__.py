"""What Caffe's and Ascend's caffe.proto say, as data of our own.

The facts lie in ``caffe_schema.json``.  :mod:`.fields` answers questions about them without
protobuf; :mod:`.pool` builds protobuf messages in a private descriptor pool, beside any
``caffe_pb2`` that a process may have loaded; :mod:`.validation` checks a text tree against them;
:mod:`.encoding` turns a text tree into protobuf's binary format.
"""
