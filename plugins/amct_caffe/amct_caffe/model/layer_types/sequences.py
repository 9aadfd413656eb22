"""Layers whose inputs do not count samples on the first axis: time steps, or regions of images.

Sources: BVLC Caffe, ``recurrent_layer.hpp`` (T x N x ..., with ``cont`` T x N); Fast R-CNN's and
R-FCN's Caffe, ``roi_pooling_layer.cpp`` and ``psroi_pooling_layer.cpp`` (regions R x 5, the first
number of each is the image in the batch).
"""

from __future__ import annotations

from amct_core.extensions import LayerType

LAYER_TYPES = (
    LayerType("LSTM", needs_whole_batch=True),
    LayerType("PSROIPooling", needs_whole_batch=True),
    LayerType("RNN", needs_whole_batch=True),
    LayerType("ROIAlign", needs_whole_batch=True),
    LayerType("ROIPooling", needs_whole_batch=True),
)
