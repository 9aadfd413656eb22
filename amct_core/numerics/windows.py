"""Output sizes of layers that slide windows over an image, along one axis.

Sources: ``compute_output_shape`` of BVLC Caffe's conv_layer and deconv_layer; ``Reshape`` of its
pooling_layer.
"""

from __future__ import annotations


def convolved_size(size: int, kernel: int, stride: int, pad: int, dilation: int = 1) -> int:
    """Return the output size of a convolution; not positive where the kernel does not fit."""
    return (size + 2 * pad - (dilation * (kernel - 1) + 1)) // stride + 1


def deconvolved_size(size: int, kernel: int, stride: int, pad: int, dilation: int = 1) -> int:
    """Return the output size of a deconvolution: that whose convolution has ``size``."""
    return stride * (size - 1) + dilation * (kernel - 1) + 1 - 2 * pad


def pooled_size(
    size: int, kernel: int, stride: int, pad: int, padded: bool, ceil_mode: bool = True
) -> int:
    """Return the output size of a pooling; not positive where the kernel does not fit.

    Rounded up, or down without ``ceil_mode``.  If there is padding along this axis or the other one
    (``padded``), a last window that would start behind the input and the padding before it is
    dropped.
    """
    span = size + 2 * pad - kernel
    length = (-(-span // stride) if ceil_mode else span // stride) + 1
    return length - 1 if padded and (length - 1) * stride >= size + pad else length
