"""In which formats Caffe keeps weights."""

from __future__ import annotations

from amct_caffe.runtime.capabilities.probe import Finding, Probe

_MARK = 2.5


def _hdf5_snapshots() -> Finding:
    from amct_caffe.runtime.capabilities.nets import build, input_text, layer_text

    text = input_text(1, 2) + layer_text("Scale", ["data"], "scale")
    net = build(text)
    if not hasattr(net, "save_hdf5"):
        return Finding(False, sentence="this pycaffe has no save_hdf5")
    net.params["scale"][0].data[...] = _MARK
    net.save_hdf5("weights.h5")
    read = build(text)
    read.load_hdf5("weights.h5")
    there = bool((read.params["scale"][0].data == _MARK).all())
    return Finding(there, sentence="" if there else "what it wrote it did not read back")


HDF5_SNAPSHOTS = Probe(
    "hdf5_snapshots", "Does it write snapshots in HDF5 (snapshot_format: HDF5)?", _hdf5_snapshots
)
