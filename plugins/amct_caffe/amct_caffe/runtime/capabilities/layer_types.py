"""Which layer types Caffe has."""

from __future__ import annotations

from amct_caffe.runtime.capabilities.probe import Finding, Probe


def _layer_types() -> Finding:
    from amct_caffe.runtime.pycaffe import caffe

    if not hasattr(caffe, "layer_type_list"):
        return Finding(False, sentence="this pycaffe does not tell (it has no layer_type_list)")
    types = sorted(str(kind) for kind in caffe.layer_type_list())
    return Finding(True, types)


def _python_layers() -> Finding:
    # Importing Caffe without them is refused before this runs.
    from amct_caffe.runtime.pycaffe import caffe

    there = "Python" in caffe.layer_type_list() if hasattr(caffe, "layer_type_list") else True
    return Finding(there)


LAYER_TYPES = Probe("layer_types", "Does it tell which layer types it has?", _layer_types)
PYTHON_LAYERS = Probe("python_layers", "Was it built with Python layers?", _python_layers)
