"""The fast engine: 8-bit products, and all that follows each of them in the same pass.

Tensors lie in memory channels last, 8-bit values as ``q + 128`` (uint8).  A layer is one
pass: sums of products in vector registers, then bias, shift, DeQuant, what follows (ReLU, a
residual sum) and the Quant for the layers that read it.  The reference engine says what is right;
the two agree in every bit.
"""
