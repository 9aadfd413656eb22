"""The fast engine: int8 matrix products by onnxruntime, everything between them in one pass.

Tensors lie in memory channels last, 8-bit values as ``q + 128`` (uint8).  A layer is an unfolding,
one product, and one pass that adds the bias, shifts, dequantizes, applies what follows (ReLU, a
residual sum) and quantizes for the layers that read it.  The reference engine says what is right;
the two agree in every bit.
"""
