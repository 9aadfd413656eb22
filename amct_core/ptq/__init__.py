"""Post-training quantization: a trained network, a few batches of data, and no training.

Fusion (:mod:`~amct_core.ptq.fusion`) → a network with fake-quantized weights that records the
factors of its activations (:mod:`~amct_core.ptq.plan`, and the frontend) → the record →
:class:`~amct_core.quantized_model.QuantizedModel` (:mod:`~amct_core.ptq.from_record`).
"""
