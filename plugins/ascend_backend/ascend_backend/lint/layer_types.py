"""Which layer types ATC converts.

Sources: the types that the plugins of canndev ops/built-in/framework/caffe_plugin register
(``OriginOpType``, 2022), without those for control flow, which no Caffe model has; ``caffe_op_map``
of hicann/ge parser/parser/common/op_map.cc.  Names of operators are not among them: PassThrough is
that of Reorg, BNInference that of BatchNorm.
"""

from __future__ import annotations

PARSER_TYPES = frozenset({"DummyData", "Dropout", "Input", "NetOutput", "Reshape"})
"""What the parser itself knows."""

STANDARD_TYPES = frozenset(
    {
        *("AbsVal", "ArgMax", "BNLL", "BatchNorm", "Bias", "Concat", "Convolution", "Crop"),
        *("Deconvolution", "ELU", "Eltwise", "Exp", "Flatten", "InnerProduct", "LRN", "LSTM"),
        *("Log", "MVN", "PReLU", "Pooling", "Power", "RNN", "ReLU", "Reduction", "SPP", "Scale"),
        *("Sigmoid", "Slice", "Softmax", "Split", "TanH", "Threshold", "Tile"),
    }
)
"""Types of BVLC Caffe for which there is a plugin."""

EXTENDED_TYPES = frozenset(
    {
        *("BasicRNNCell", "BatchedMatMul", "CondTake", "ContinuationIndicator", "Correlation"),
        *("DepthwiseConvolution", "Elu", "FSRDetectionOutput", "LeakyReLU", "MatrixInverse"),
        *("Mish", "Normalize", "PSROIPooling", "Permute", "PriorBox", "Proposal", "ROIAlign"),
        *("ROIPooling", "RReLU", "ReLU6", "Reorg", "Reverse", "SSDDetectionOutput"),
        *("ShuffleChannel", "SpatialTransformer", "Upsample", "WarpPerspective", "Yolo"),
        *("YoloV2DetectionOutput", "YoloV3DetectionOutput", "YoloV3DetectionOutputV2"),
    }
)
"""Types of other Caffes for which there is a plugin."""

QUANTIZATION_TYPES = frozenset(
    {"AntiQuant", "DeQuant", "DequantS16", "Quant", "Requant", "RequantS16"}
)
"""Types that AMCT adds."""

CONVERTED_TYPES = PARSER_TYPES | STANDARD_TYPES | EXTENDED_TYPES | QUANTIZATION_TYPES

CONVOLUTION_TYPES = ("Convolution", "Deconvolution", "DepthwiseConvolution")
"""Types whose plugins take one bottom, one top and ``convolution_param``."""

TRAINING_TYPES = frozenset(
    {
        *("Accuracy", "ContrastiveLoss", "EuclideanLoss", "HingeLoss", "InfogainLoss"),
        *("MultinomialLogisticLoss", "SigmoidCrossEntropyLoss", "SmoothL1Loss"),
        *("SoftmaxWithLoss", "AnnotatedData", "Data", "HDF5Data", "HDF5Output", "ImageData"),
        *("MemoryData", "MultiLabelLMDB", "WindowData", "Python"),
    }
)
"""Data sources, losses, scores and Python code, which have no place on the processor."""

AMBIGUOUS_TYPE = "DetectionOutput"
"""Refused with an error of its own: there are two kinds of it."""
