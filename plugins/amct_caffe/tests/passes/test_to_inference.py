"""to_inference, rule by rule; what stays is in test_deployed."""

from __future__ import annotations

from amct_caffe.model.formats.prototxt import document as documents
from amct_caffe.model.to_inference import data_blobs, to_inference, with_input_shapes
from plugins.amct_caffe.tests.passes.networks import TEST, UNKNOWN, normal

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
SHAPES = {"data": (4, 2), "more": (4, 3)}


def inferred(text: str) -> str:
    layers = documents.from_text(text).layers
    fed = to_inference(layers, SHAPES.__getitem__)
    return documents.NetDocument.create("n", fed).format()


def after(text: str) -> str:
    return normal('name: "n"\n' + text)


INPUT = 'layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 4 dim: 2 } } }\n'


def test_1_and_2_data_become_inputs_and_what_is_deployed_stays() -> None:
    softmax = (
        'layer { name: "loss" type: "Softmax" bottom: "ip" top: "prob" softmax_param { axis: 1 } }'
    )
    assert inferred(DATA + IP + ACCURACY + LOSS) == after(INPUT + IP + softmax)


def test_2_a_python_layer_without_bottoms_is_a_data_layer_one_with_them_is_not() -> None:
    source = (
        'layer { name: "source" type: "Python" top: "data" top: "label" '
        'python_param { module: "m" layer: "L" } }\n'
    )
    reader = (
        'layer { name: "p" type: "Python" bottom: "ip" top: "p" '
        'python_param { module: "m" layer: "L" } }\n'
    )
    assert inferred(source + IP + reader) == after(INPUT + IP + reader)


def input_of(name: str, shapes: str, *tops: str) -> str:
    names = " ".join(f'top: "{top}"' for top in tops)
    return f'layer {{ name: "{name}" type: "Input" {names} input_param {{ {shapes} }} }}\n'


def test_3_an_input_whose_one_top_is_read_stays_as_it_is() -> None:
    own = input_of("i", "shape { dim: 9 dim: 2 }", "data")
    assert inferred(own + IP) == after(own + IP)


def test_3_the_unread_top_of_an_input_goes() -> None:
    both = input_of("i", "shape { dim: 4 dim: 2 } shape { dim: 4 }", "data", "label")
    loss = 'layer { name: "e" type: "EuclideanLoss" bottom: "ip" bottom: "label" top: "e" }\n'
    assert inferred(both + IP + loss) == after(INPUT + IP)


def test_3_an_input_of_several_tops_becomes_one_for_each() -> None:
    both = input_of("i", "shape { dim: 4 dim: 2 }", "data", "more")
    add = 'layer { name: "add" type: "Eltwise" bottom: "ip" bottom: "more" top: "sum" }\n'
    more = input_of("more", "shape { dim: 4 dim: 3 }", "more")
    assert inferred(both + IP + add) == after(INPUT + more + IP + add)


def test_4_rules_of_phase_go() -> None:
    ruled = IP.replace("bottom", 'exclude { phase: TRAIN } include { stage: "s" } bottom', 1)
    assert inferred(DATA + ruled) == after(INPUT + IP)


def test_4_loss_weights_go() -> None:
    critic = IP.replace("bottom", "loss_weight: -1 bottom", 1)
    assert inferred(DATA + critic) == after(INPUT + IP)


def test_2_a_constant_that_is_read_stays_as_it_is() -> None:
    ones = (
        'layer { name: "ones" type: "DummyData" top: "ones" dummy_data_param { '
        'shape { dim: 4 dim: 3 } data_filler { type: "constant" value: 1 } } }\n'
    )
    add = 'layer { name: "add" type: "Eltwise" bottom: "ip" bottom: "ones" top: "sum" }\n'
    assert inferred(DATA + ones + IP + add) == after(INPUT + ones + IP + add)


def test_unknown_layers_and_fields_and_parameter_names_stay_as_they_are() -> None:
    odd = IP.replace("bottom", 'odd_field: 7 param { name: "w" odd: 1 } bottom', 1)
    assert inferred(DATA + UNKNOWN + odd) == after(INPUT + UNKNOWN + odd)


def test_the_layers_that_came_in_stay_as_they_were() -> None:
    document = documents.from_text(DATA + IP.replace("bottom", TEST + " bottom", 1) + LOSS)
    before = document.format()
    to_inference(document.layers, SHAPES.__getitem__)
    assert document.format() == before


def test_the_shape_of_a_blob_that_goes_is_not_asked_for() -> None:
    def shape_of(blob: str) -> tuple[int, ...]:
        return {"data": (4, 2)}[blob]

    to_inference(documents.from_text(DATA + IP + LOSS).layers, shape_of)


class TestDataBlobs:
    def test_are_those_that_become_inputs(self) -> None:
        text = DATA + input_of("i", "shape { dim: 4 dim: 3 }", "more", "unread") + IP + LOSS
        add = 'layer { name: "add" type: "Eltwise" bottom: "ip" bottom: "more" top: "sum" }\n'
        assert data_blobs(documents.from_text(text + add).layers) == ["data", "more"]


class TestWithInputShapes:
    def test_every_input_gets_the_shape_that_is_told(self) -> None:
        layers = documents.from_text(input_of("data", "shape { dim: 9 }", "data") + IP).layers
        fed = with_input_shapes(layers, SHAPES.__getitem__)
        assert documents.NetDocument.create("n", fed).format() == after(INPUT + IP)
