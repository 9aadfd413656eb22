"""What Caffe's and Ascend's files may hold.

The facts lie in ``caffe.proto``; ``caffe.desc`` is the FileDescriptorSet that ``make schema``
compiles from it.  :mod:`.pool` makes protobuf's descriptors and classes of it,
beside any ``caffe_pb2`` that a process may have loaded; :mod:`.fields` answers questions about
single fields; :mod:`.validation` checks a text tree against the schema; :mod:`.encoding` turns a
text tree into protobuf's binary format.
"""
