"""The written definition of every number in this project, in plain NumPy, one file per algorithm.

Each docstring states the formula, the rounding, the ranges, the dtypes and the source.  What
trains, what simulates and what is deployed all call these functions or are tested against them;
they favour being plainly right over being fast.

``rounding``
    The two ways to round that the toolchain uses.
``affine``
    int8 activations: scale, offset, quantize, dequantize.
``arq``, ``ulq``, ``ifmr``
    Scales of weights, learned bounds of activations, first bounds of activations.
``hfmg``, ``min_max``, ``percentile``, ``mse``, ``kl``
    Bounds of activations in constant memory, from a stream of batches.
``histogram``, ``clipping``
    What these share: counts of a stream of values; the grid between two bounds.
``shift_search``
    Shift factor N.
``bn_fold``, ``bias``, ``dequant``, ``pooling``
    From a trained layer to the integers of a deployed one, and what these integers compute.
``float16``, ``fixpipe``, ``rollback``
    What processors do otherwise: Quant in float16, deq_scale of 19 bits, layers in float16.
``fused``, ``libm``
    Multiply-add with one rounding, and the C library's functions, as float layers take them.
``exactness``
    When float32 arithmetic on integers is exact.
``reduction``
    How processes that each hold a share of the data come to one result.

Import the submodules: ``from amct_core.numerics import arq``.  Importing this package alone imports
nothing, NumPy included.
"""
