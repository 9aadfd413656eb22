"""Which layer types ATC converts.

Sources: ``caffe_op_map`` of hicann/ge parser/parser/common/op_map.cc; CANN's list of supported
Caffe operators (operatorlist_00098); canndev ops/built-in/framework/caffe_plugin; hicann/ge
docs/zh/user_guides/atc_tools/custom_network_modify_caffe/extended_operator_list.md.
"""

from __future__ import annotations

PARSER_TYPES = frozenset({"DummyData", "Dropout", "Input", "NetOutput", "Reshape"})
"""What the parser itself knows."""

STANDARD_TYPES = frozenset(
    {
        *("AbsVal", "ArgMax", "BNLL", "BatchNorm", "Bias", "Clip", "Concat", "Convolution", "Crop"),
        *("ConvolutionDepthwise", "DepthwiseConv", "Deconvolution", "ELU", "Eltwise", "Exp"),
        *("Flatten", "InnerProduct", "LRN", "LSTM", "Log", "MVN", "PReLU", "Pooling", "Power"),
        *("RNN", "RReLU", "ReLU", "Reduction", "SPP", "Scale", "Sigmoid", "Slice", "Softmax"),
        *("Split", "TanH", "Threshold", "Tile"),
    }
)
"""Types of BVLC Caffe that CANN's list of supported operators names."""

EXTENDED_TYPES = frozenset(
    {
        *("BNInference", "BatchedMatMul", "CondTake", "ContinuationIndicator", "Correlation"),
        *("FSRDetectionOutput", "Interp", "LeakyReLU", "MatrixInverse", "Mish", "Normalize"),
        *("PSROIPooling", "PassThrough", "Permute", "PriorBox", "Proposal", "ROIAlign"),
        *("ROIPooling", "ReLU6", "Reorg", "Reverse", "SReLU", "SSDDetectionOutput"),
        *("ShuffleChannel", "SpatialTransformer", "Upsample", "WarpPerspective", "Yolo"),
        *("YoloV2DetectionOutput", "YoloV3DetectionOutput"),
    }
)
"""Types of other Caffes that ATC converts."""

QUANTIZATION_TYPES = frozenset(
    {"AntiQuant", "DeQuant", "DequantS16", "Quant", "Requant", "RequantS16"}
)
"""Types that AMCT adds."""

CONVERTED_TYPES = PARSER_TYPES | STANDARD_TYPES | EXTENDED_TYPES | QUANTIZATION_TYPES

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
