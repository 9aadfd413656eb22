"""to_inference, rule by rule."""

from __future__ import annotations

from amct_caffe.formats.prototxt import document as documents
from amct_caffe.passes.to_inference import to_inference
from plugins.amct_caffe.tests.passes.networks import normal

DATA = (
    'layer { name: "source" type: "Data" top: "data" top: "label" data_param { batch_size: 4 } }\n'
)
IP = (
    'layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip" '
    "inner_product_param { num_output: 3 } }\n"
)
LOSS = (
    'layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" '
    "softmax_param { axis: 1 } }\n"
)
ACCURACY = (
    'layer { name: "accuracy" type: "Accuracy" bottom: "ip" bottom: "label" top: "accuracy" }\n'
)
SHAPES = {"data": (4, 2)}


def inferred(text: str) -> str:
    layers = documents.from_text(text).layers
    fed = to_inference(layers, SHAPES.__getitem__)
    return documents.NetDocument.create("n", fed).format()


def after(text: str) -> str:
    return normal('name: "n"\n' + text)


INPUT = 'layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 4 dim: 2 } } }\n'


def test_1_2_and_4_data_becomes_input_the_loss_softmax_and_scores_go() -> None:
    softmax = (
        'layer { name: "loss" type: "Softmax" bottom: "ip" top: "prob" softmax_param { axis: 1 } }'
    )
    assert inferred(DATA + IP + ACCURACY + LOSS) == after(INPUT + IP + softmax)


def test_1_where_prob_is_taken_the_top_is_called_like_the_layer() -> None:
    prob = 'layer { name: "p" type: "Softmax" bottom: "ip" top: "prob" }\n'
    softmax = (
        'layer { name: "loss" type: "Softmax" bottom: "ip" top: "loss" softmax_param { axis: 1 } }'
    )
    assert inferred(DATA + IP + prob + LOSS) == after(INPUT + IP + prob + softmax)


def test_2_other_losses_and_silence_go() -> None:
    loss = 'layer { name: "e" type: "EuclideanLoss" bottom: "ip" bottom: "label" top: "e" }\n'
    silence = 'layer { name: "s" type: "Silence" bottom: "label" }\n'
    assert inferred(DATA + IP + loss + silence) == after(INPUT + IP)


def test_3_layers_that_only_prepare_labels_go() -> None:
    labels = 'layer { name: "half" type: "Power" bottom: "label" top: "half" }\n'
    loss = 'layer { name: "e" type: "EuclideanLoss" bottom: "ip" bottom: "half" top: "e" }\n'
    assert inferred(DATA + IP + labels + loss) == after(INPUT + IP)


def test_5_an_input_that_is_read_stays_as_it_is_and_unread_tops_go() -> None:
    whole = 'layer { name: "i" type: "Input" top: "data" input_param { shape { dim: 9 dim: 2 } } }'
    assert inferred(whole + IP) == after(whole + IP)
    both = (
        'layer { name: "i" type: "Input" top: "data" top: "label" '
        "input_param { shape { dim: 4 dim: 2 } shape { dim: 4 } } }\n"
    )
    assert inferred(both + IP + LOSS).startswith(after(INPUT))


def test_5_an_input_of_several_tops_becomes_one_for_each() -> None:
    both = (
        'layer { name: "i" type: "Input" top: "data" top: "more" '
        "input_param { shape { dim: 4 dim: 2 } } }\n"
    )
    add = 'layer { name: "add" type: "Eltwise" bottom: "ip" bottom: "more" top: "sum" }\n'
    layers = documents.from_text(both + IP + add).layers
    fed = to_inference(layers, lambda blob: {"data": (4, 2), "more": (4, 3)}[blob])
    assert [(layer.name, layer.type) for layer in fed[:2]] == [("data", "Input"), ("more", "Input")]


def test_6_rules_of_phase_go() -> None:
    ruled = IP.replace("bottom", 'exclude { phase: TRAIN } include { stage: "s" } bottom', 1)
    assert inferred(DATA + ruled) == after(INPUT + IP)
