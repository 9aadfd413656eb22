"""Everything that runs inside Caffe.  :mod:`.pycaffe` alone imports it."""
