"""What of a TEST network is deployed: rule by rule, and on networks as people write them.

A line is one layer, ``Type bottoms -> tops | fields``; it is called like its first top.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from amct_caffe.model.deployed import deployed_network
from amct_caffe.model.formats.prototxt import document as documents
from amct_caffe.model.formats.prototxt.layer import Layer
from amct_caffe.model.layer_type import has_weights
from amct_core import plugins

FIELDS = {
    "Convolution": "convolution_param { num_output: 2 kernel_size: 1 }",
    "Deconvolution": "convolution_param { num_output: 2 kernel_size: 2 }",
    "InnerProduct": "inner_product_param { num_output: 2 }",
    "Embed": "embed_param { input_dim: 9 num_output: 2 }",
    "LSTM": 'recurrent_param { num_output: 2 weight_filler { type: "xavier" } }',
    "Python": 'python_param { module: "m" layer: "L" }',
}
RANDOM = 'dummy_data_param { data_filler { type: "gaussian" } }'
ONES = 'dummy_data_param { data_filler { type: "constant" value: 1 } }'


def layers(*lines: str) -> list[Layer]:
    """Return the layers of a network that is written in the notation above."""
    text = ""
    for index, line in enumerate(lines):
        head, _, fields = line.partition("|")
        before, _, tops = head.partition("->")
        kind, *bottoms = before.split()
        blobs = " ".join(f'bottom: "{name}"' for name in bottoms)
        blobs += " ".join(f' top: "{name}"' for name in tops.split())
        name = fields.split("name=")[1].split()[0] if "name=" in fields else None
        name = name or (tops.split() or [f"{kind}{index}"])[0]
        fields = fields.replace(f"name={name}", "")
        text += f'layer {{ name: "{name}" type: "{kind}" {blobs} {FIELDS.get(kind, "")} {fields} }}'
    return documents.from_text(text).layers


def deployed(*lines: str) -> str:
    """Return the deployed layers, each as ``Type bottoms -> tops``."""
    found = deployed_network(layers(*lines)).layers
    return "; ".join(f"{x.type} {' '.join([*x.bottoms, '->', *x.tops])}" for x in found)


def inputs(*lines: str) -> list[str]:
    return list(deployed_network(layers(*lines)).inputs)


def outputs(*lines: str) -> list[str]:
    return list(deployed_network(layers(*lines)).outputs)


PREDICTION = ("Data -> data label", "InnerProduct data -> ip")
IP = "Data -> data label; InnerProduct data -> ip"


class TestRule1Losses:
    @pytest.mark.parametrize("kind", ["Reduction", "Eltwise", "Python", "NeverHeardOf", "Power"])
    def test_a_loss_is_what_has_a_loss_weight(self, kind: str) -> None:
        loss = f"{kind} ip label -> loss | loss_weight: 0.5"
        assert deployed(*PREDICTION, loss) == IP
        assert inputs(*PREDICTION, loss) == ["data"]

    @pytest.mark.parametrize("kind", ["SmoothL1LossOHEM", "FocalLoss", "WarpCTC", "Yolov3"])
    @pytest.mark.parametrize("weight", ["", "loss_weight: 0", "loss_weight: 2"])
    def test_a_loss_type_is_one_whatever_its_weight(self, kind: str, weight: str) -> None:
        assert deployed(*PREDICTION, f"{kind} ip label -> loss | {weight}") == IP

    def test_without_a_weight_a_python_layer_is_none(self) -> None:
        found = deployed(*PREDICTION, "Python ip label -> error", "Python ip -> box")
        assert found == f"{IP}; Python ip label -> error; Python ip -> box"

    def test_a_loss_weight_of_zero_on_another_type_is_none(self) -> None:
        found = deployed(*PREDICTION, "Power ip -> half | loss_weight: 0")
        assert found == f"{IP}; Power ip -> half"

    @pytest.mark.parametrize(
        "kind",
        ["Accuracy", "DetectionEvaluate", "SegAccuracy", "IouAccuracy", "EvalDetection"],
    )
    def test_scores_are_declared_or_called_so(self, kind: str) -> None:
        assert deployed(*PREDICTION, f"{kind} ip label -> score") == IP

    def test_a_layer_with_weights_is_no_loss_for_its_weight(self) -> None:
        critic = "InnerProduct ip -> critic | loss_weight: -1"
        assert deployed(*PREDICTION, critic) == f"{IP}; InnerProduct ip -> critic"

    def test_nor_is_a_layer_that_layers_with_weights_read(self) -> None:
        sparse = ("ReLU ip -> ip | loss_weight: 0.01 name=relu", "InnerProduct ip -> more")
        expected = f"{IP}; ReLU ip -> ip; InnerProduct ip -> more"
        assert deployed(*PREDICTION, *sparse) == expected

    def test_only_tops_with_a_weight_are_results_of_a_loss(self) -> None:
        both = "Python ip -> boxes loss | loss_weight: 0 loss_weight: 1"
        decoded = "Power boxes -> decoded"
        shown = "Power loss -> shown"
        found = deployed(*PREDICTION, both, decoded, shown)
        assert found == f"{IP}; Python ip -> boxes loss; Power boxes -> decoded"


class TestRule2Labels:
    def test_a_label_reaches_no_layer_with_weights(self) -> None:
        embedded = ("Data -> words targets", "Embed words -> vectors", "InnerProduct vectors -> ip")
        loss = "HingeLoss ip targets -> loss"
        assert inputs(*embedded, loss) == ["words"]

    def test_a_loss_with_weights_of_its_own_does_not_count(self) -> None:
        loss = "CenterLoss ip label -> center | param { lr_mult: 1 }"
        assert inputs(*PREDICTION, loss) == ["data"]

    def test_an_input_that_is_not_from_data_layers_may_be_one(self) -> None:
        network = ("Input -> data", "Input -> label", *PREDICTION[1:], "HingeLoss ip label -> loss")
        assert deployed(*network) == "Input -> data; InnerProduct data -> ip"

    def test_without_any_weights_all_other_layers_count(self) -> None:
        found = deployed("Data -> data label", "Pooling data -> pool", "HingeLoss pool label -> l")
        assert found == "Data -> data label; Pooling data -> pool"

    @pytest.mark.parametrize(
        "fields",
        [
            "param { lr_mult: 1 }",
            'odd_param { weight_filler { type: "msra" } }',
            "odd_param { num_output: 3 }",
        ],
    )
    def test_unknown_types_show_that_they_have_weights(self, fields: str) -> None:
        network = ("Data -> a b", f"Odd a -> one | {fields}", f"Odd b -> two | {fields}")
        found = deployed(*network, "ContrastiveLoss one two -> loss")
        assert found == "Data -> a b; Odd a -> one; Odd b -> two"


class TestRule3WhatReadsLosses:
    def test_it_goes(self) -> None:
        total = ("HingeLoss ip label -> a", "HingeLoss ip label -> b", "Eltwise a b -> total")
        assert deployed(*PREDICTION, *total) == IP

    def test_so_does_an_error_made_of_an_accuracy(self) -> None:
        error = ("Accuracy ip label -> accuracy", "Power accuracy -> error")
        assert deployed(*PREDICTION, *error) == IP

    def test_layers_without_tops_go(self) -> None:
        assert deployed(*PREDICTION, "Silence label", "HDF5Output ip label", "Odd ip") == IP


class TestRule4WhatReachesLossesOnly:
    def test_goes_if_it_depends_on_a_label(self) -> None:
        difference = ("Eltwise ip label -> d", "Power d -> d | name=in_place", "EuclideanLoss d d")
        assert deployed(*PREDICTION, *difference) == IP

    def test_goes_if_no_layer_with_weights_is_on_its_way(self) -> None:
        target = ("Flatten data -> flat", "Power flat -> flat | name=half")
        assert deployed(*PREDICTION, *target, "EuclideanLoss ip flat -> loss") == IP

    def test_stays_if_it_is_a_prediction(self) -> None:
        head = "Sigmoid ip -> ip | name=in_place"
        loss = "EuclideanLoss label ip -> loss"
        assert deployed(*PREDICTION, head, loss) == f"{IP}; Sigmoid ip -> ip"

    def test_stays_if_something_else_reads_it(self) -> None:
        half = ("Power data -> half", "EuclideanLoss ip half -> loss", "Eltwise ip half -> sum")
        assert deployed(*PREDICTION, *half) == f"{IP}; Power data -> half; Eltwise ip half -> sum"

    def test_labels_that_nobody_reads_in_this_phase_go(self) -> None:
        assert deployed(*PREDICTION, "Flatten label -> flat", "Power flat -> half") == IP

    def test_parts_of_a_label_that_nobody_reads_go_with_the_others(self) -> None:
        parts = ("Slice label -> one two", "HingeLoss ip one -> loss")
        assert deployed(*PREDICTION, *parts) == IP

    def test_an_output_stays_though_another_input_reaches_no_weights(self) -> None:
        masked = ("Data -> mask", "Eltwise ip mask -> masked")
        assert inputs(*PREDICTION, *masked) == ["data", "mask"]


class TestRule5EverythingElse:
    def test_unknown_types_and_auxiliary_heads_stay(self) -> None:
        aux = ("NeverHeardOf ip -> odd", "InnerProduct odd -> aux", "HingeLoss aux label -> loss")
        expected = f"{IP}; NeverHeardOf ip -> odd; InnerProduct odd -> aux"
        assert deployed(*PREDICTION, *aux) == expected


class TestRule6Forms:
    def test_the_loss_becomes_softmax(self) -> None:
        found = deployed(*PREDICTION, "SoftmaxWithLoss ip label -> loss | loss_weight: 0")
        assert found == f"{IP}; Softmax ip -> prob"

    def test_not_where_its_bottom_goes(self) -> None:
        masked = ("Eltwise ip label -> masked", "SoftmaxWithLoss masked label -> loss")
        assert deployed(*PREDICTION, *masked) == IP

    def test_a_second_top_keeps_its_name_and_readers(self) -> None:
        loss = ("SoftmaxWithLoss ip label -> loss p", "ArgMax p -> best")
        assert deployed(*PREDICTION, *loss) == f"{IP}; Softmax ip -> p; ArgMax p -> best"

    def test_a_loss_without_tops_gets_one(self) -> None:
        assert deployed(*PREDICTION, "SoftmaxWithLoss ip label") == f"{IP}; Softmax ip -> prob"

    @pytest.mark.parametrize(
        ("weights", "prob"), [((0.3, 0.3, 1), 2), ((1, 1, 1), 2), ((1, 2, 0.5), 1), ((3, 0, 0), 0)]
    )
    def test_prob_is_the_head_of_the_largest_weight_and_else_the_last(
        self, weights: tuple[float, ...], prob: int
    ) -> None:
        heads = [f"InnerProduct data -> head{i}" for i in range(3)]
        losses = [
            f"SoftmaxWithLoss head{i} label -> loss{i} | loss_weight: {weight}"
            for i, weight in enumerate(weights)
        ]
        network = deployed_network(layers(*PREDICTION[:1], *heads, *losses))
        tops = [layer.tops[0] for layer in network.layers if layer.type == "Softmax"]
        assert tops == ["prob" if i == prob else f"loss{i}" for i in range(3)]

    @pytest.mark.parametrize("before", [True, False])
    def test_a_softmax_that_is_there_is_not_added_again(self, before: bool) -> None:
        both = ["Softmax ip -> softmax", "SoftmaxWithLoss ip label -> loss"]
        found = deployed(*PREDICTION, *(both if before else both[::-1]))
        assert found == f"{IP}; Softmax ip -> softmax"

    def test_nor_does_its_name_go_to_an_auxiliary_head(self) -> None:
        aux = ("InnerProduct ip -> aux", "SoftmaxWithLoss aux label -> l1 | loss_weight: 0.3")
        main = ("Softmax ip -> softmax", "SoftmaxWithLoss ip label -> l2")
        expected = f"{IP}; InnerProduct ip -> aux; Softmax aux -> l1; Softmax ip -> softmax"
        assert deployed(*PREDICTION, *aux, *main) == expected

    def test_a_softmax_along_another_axis_is_another_one(self) -> None:
        other = "Softmax ip -> rows | softmax_param { axis: 2 }"
        found = deployed(*PREDICTION, other, "SoftmaxWithLoss ip label -> loss")
        assert found == f"{IP}; Softmax ip -> rows; Softmax ip -> prob"

    def test_a_softmax_of_the_blob_before_an_in_place_layer_is_another_one(self) -> None:
        other = ("Softmax ip -> early", "Power ip -> ip | name=in_place")
        found = deployed(*PREDICTION, *other, "SoftmaxWithLoss ip label -> loss")
        assert found == f"{IP}; Softmax ip -> early; Power ip -> ip; Softmax ip -> prob"

    def test_where_prob_is_taken_the_top_is_called_like_the_layer(self) -> None:
        taken = ("InnerProduct ip -> other", "Softmax other -> prob")
        found = deployed(*PREDICTION, *taken, "SoftmaxWithLoss ip label -> loss")
        assert found == f"{IP}; InnerProduct ip -> other; Softmax other -> prob; Softmax ip -> loss"

    def test_two_losses_on_one_blob_give_one_softmax(self) -> None:
        both = ("SoftmaxWithLoss ip label -> a | loss_weight: 2", "SoftmaxWithLoss ip label -> b")
        assert deployed(*PREDICTION, *both) == f"{IP}; Softmax ip -> prob"


class TestRule7Inputs:
    @pytest.mark.parametrize("kind", ["NeverHeardOf", "Python", "VideoData", "SiameseData"])
    def test_a_layer_without_bottoms_brings_data(self, kind: str) -> None:
        assert inputs(f"{kind} -> data label", *PREDICTION[1:]) == ["data"]

    def test_constants_that_a_layer_reads_stay(self) -> None:
        network = (*PREDICTION, f"DummyData -> ones | {ONES}", "Eltwise ip ones -> sum")
        assert deployed(*network) == f"{IP}; DummyData -> ones; Eltwise ip ones -> sum"
        assert inputs(*network) == ["data"]

    def test_random_dummy_data_are_data(self) -> None:
        network = (f"DummyData -> data | {RANDOM}", PREDICTION[1])
        assert inputs(*network) == ["data"]

    @pytest.mark.parametrize("fields", ["", ONES])
    def test_constants_stand_for_data_where_there_are_no_others(self, fields: str) -> None:
        network = (f"DummyData -> data label | {fields}", PREDICTION[1])
        assert inputs(*network, "HingeLoss ip label -> loss") == ["data"]

    def test_constants_may_be_labels(self) -> None:
        network = (*PREDICTION, f"DummyData -> t | {ONES}", "EuclideanLoss ip t -> loss")
        assert deployed(*network) == IP

    def test_a_learned_parameter_that_a_layer_reads_stays(self) -> None:
        network = (*PREDICTION, "Parameter -> p", "Bias ip p -> sum")
        assert deployed(*network) == f"{IP}; Parameter -> p; Bias ip p -> sum"
        assert inputs(*network) == ["data"]


NETWORKS = {
    "BVLC's siamese": (
        (
            "Data -> pair_data sim",
            "Slice pair_data -> data data_p",
            "Convolution data -> conv1",
            "InnerProduct conv1 -> feat",
            "Convolution data_p -> conv1_p",
            "InnerProduct conv1_p -> feat_p",
            "ContrastiveLoss feat feat_p sim -> loss",
        ),
        "pair_data -> feat feat_p",
    ),
    "triplets of one input": (
        (
            "Data -> data label",
            "Convolution data -> feature",
            "Slice feature -> anchor positive negative",
            "TripletLoss anchor positive negative -> loss",
        ),
        "data -> anchor positive negative",
    ),
    "triplets by the label": (
        (
            "Data -> data label",
            "InnerProduct data -> feature",
            "Python feature label -> anchor positive negative",
            "TripletLoss anchor positive negative -> loss",
        ),
        "data -> feature",
    ),
    "BVLC's autoencoder": (
        (
            "Data -> data",
            "Flatten data -> flatdata",
            "InnerProduct data -> encode",
            "Sigmoid encode -> encoded",
            "InnerProduct encoded -> decode",
            "SigmoidCrossEntropyLoss decode flatdata -> cross | loss_weight: 1",
            "Sigmoid decode -> decoded",
            "EuclideanLoss decoded flatdata -> l2 | loss_weight: 0",
        ),
        "data -> decoded",
    ),
    "a super-resolution network": (
        (
            "HDF5Data -> data label",
            "Convolution data -> out",
            "Crop label out -> cropped",
            "EuclideanLoss cropped out -> loss",
        ),
        "data -> out",
    ),
    "FCN": (
        (
            "Python -> data label",
            "Convolution data -> score",
            "Deconvolution score -> up",
            "Crop up data -> crop",
            "SoftmaxWithLoss crop label -> loss",
            "SegAccuracy crop label -> accuracy",
        ),
        "data -> prob",
    ),
    "a density map, pooled for its loss": (
        (
            "Data -> data",
            "Data -> density",
            "Convolution data -> map",
            "Pooling density -> small",
            "EuclideanLoss map small -> loss",
        ),
        "data -> map",
    ),
    "Faster R-CNN in one stage": (
        (
            "Python -> data im_info gt_boxes",
            "Convolution data -> conv",
            "Convolution conv -> cls",
            "Convolution conv -> bbox",
            "Reshape cls -> cls_reshape",
            "Python cls gt_boxes im_info data -> labels targets in_w out_w",
            "SoftmaxWithLoss cls_reshape labels -> rpn_loss_cls | loss_weight: 1",
            "SmoothL1Loss bbox targets in_w out_w -> rpn_loss_box | loss_weight: 1",
            "Softmax cls_reshape -> rpn_prob",
            "Python rpn_prob bbox im_info -> rois",
            "ROIPooling conv rois -> pool",
            "InnerProduct pool -> score",
            "InnerProduct pool -> pred",
            "SoftmaxWithLoss score labels -> loss_cls | loss_weight: 1",
            "SmoothL1Loss pred targets -> loss_bbox | loss_weight: 1",
        ),
        "data im_info -> pred prob",
    ),
    "R-FCN with hard examples": (
        (
            "Python -> data rois labels targets weights",
            "Convolution data -> conv",
            "PSROIPooling conv rois -> cls",
            "InnerProduct cls -> score",
            "SoftmaxWithLossOHEM score labels -> t p per_roi | loss_weight: 0 loss_weight: 0 "
            "loss_weight: 0",
            "Silence t",
            "BoxAnnotatorOHEM rois per_roi labels targets weights -> ohem box_weights",
            "SoftmaxWithLoss score ohem -> loss",
            "Accuracy score ohem -> accuracy",
        ),
        "data rois -> prob",
    ),
    "a recogniser of lines": (
        (
            "Data -> data label",
            "ContinuationIndicator -> cont",
            "Convolution data -> conv",
            "LSTM conv cont -> lstm",
            "InnerProduct lstm -> fc",
            "WarpCTC fc label -> loss",
            "CTCGreedyDecoder fc cont -> decoded",
            "Accuracy decoded label -> accuracy",
        ),
        "data cont -> decoded",
    ),
    "GoogLeNet": (
        (
            "Data -> data label",
            "Convolution data -> conv",
            "InnerProduct conv -> aux",
            "SoftmaxWithLoss aux label -> loss1/loss1 | loss_weight: 0.3",
            "Accuracy aux label -> loss1/top-1",
            "InnerProduct conv -> classifier",
            "SoftmaxWithLoss classifier label -> loss3/loss3 | loss_weight: 1",
        ),
        "data -> loss1/loss1 prob",
    ),
    "SSD without its detections": (
        (
            "AnnotatedData -> data label",
            "Convolution data -> conv",
            "Convolution conv -> loc",
            "Flatten loc -> loc_flat",
            "Convolution conv -> conf",
            "Flatten conf -> conf_flat",
            "PriorBox conv data -> priors",
            "MultiBoxLoss loc_flat conf_flat priors label -> loss",
        ),
        "data -> loc_flat conf_flat priors",
    ),
    "SSD with its detections": (
        (
            "AnnotatedData -> data label",
            "Convolution data -> loc",
            "Convolution data -> conf",
            "PriorBox loc data -> priors",
            "Softmax conf -> scores",
            "DetectionOutput loc scores priors -> detections",
            "DetectionEvaluate detections label -> eval",
        ),
        "data -> detections",
    ),
    "several labels in one blob": (
        (
            "Data -> data label",
            "Slice label -> age sex",
            "Flatten age -> age_flat",
            "Convolution data -> conv",
            "InnerProduct conv -> age_head",
            "EuclideanLoss age_head age_flat -> age_loss",
            "InnerProduct conv -> sex_head",
            "SoftmaxWithLoss sex_head sex -> sex_loss",
            "Accuracy sex_head sex -> accuracy",
        ),
        "data -> age_head prob",
    ),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_that_people_train(name: str) -> None:
    lines, expected = NETWORKS[name]
    network = deployed_network(layers(*lines))
    assert f"{' '.join(network.inputs)} -> {' '.join(network.outputs)}" == expected


@pytest.mark.parametrize("name", NETWORKS)
def test_no_layer_with_weights_is_lost(name: str) -> None:
    found = layers(*NETWORKS[name][0])
    weighted = {layer.name for layer in found if has_weights(layer)}
    assert weighted
    assert weighted <= {layer.name for layer in deployed_network(found).layers}


PLUGIN = """
from amct_core.extensions import LayerType, Role
from amct_core.hookspecs import hookimpl

@hookimpl
def amct_layer_types():
    return [LayerType("Jaccard", role=Role.SCORE), LayerType("Rank", role=Role.LOSS)]
"""


@pytest.fixture
def plugin_with_roles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Install a plugin that declares what types of other Caffes are for."""
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "plugin_with_roles.py").write_text(PLUGIN)
    own = EntryPoint("roles", "plugin_with_roles", "amct")
    points = [*plugins.installed_entry_points(), own]
    monkeypatch.setattr(plugins, "installed_entry_points", lambda: points)
    plugins.host.cache_clear()
    plugins.registries.cache_clear()
    yield
    monkeypatch.undo()
    plugins.host.cache_clear()
    plugins.registries.cache_clear()


@pytest.mark.usefixtures("plugin_with_roles")
def test_plugins_declare_losses_and_scores() -> None:
    assert deployed(*PREDICTION, "Jaccard ip label -> j", "Rank label ip -> loss") == IP


def test_without_the_plugin_both_are_layers_like_others() -> None:
    found = deployed(*PREDICTION, "Jaccard ip label -> j", "Rank label ip -> r")
    assert found == f"{IP}; Jaccard ip label -> j; Rank label ip -> r"


def test_outputs_are_what_layers_compute_and_nobody_reads() -> None:
    assert outputs(*PREDICTION, "EuclideanLoss ip label -> loss") == ["ip"]
    assert outputs(*PREDICTION, "ReLU ip -> ip | name=relu", "EuclideanLoss label ip") == ["ip"]
    assert outputs("Data -> data label", "Slice data -> a b", "InnerProduct a -> ip") == ["b", "ip"]


def test_tops_of_data_layers_that_nobody_reads_are_not_used() -> None:
    network = layers("Data -> data label", "InnerProduct data -> ip", "HingeLoss ip label -> loss")
    assert deployed_network(network).unused == ("label",)
