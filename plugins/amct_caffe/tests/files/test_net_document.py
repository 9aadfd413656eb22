"""Network prototxts: what is kept, how layers are edited, which layers a phase has."""

from __future__ import annotations

from pathlib import Path
from typing import Any, List

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amct_caffe.model.formats.prototxt import document as documents
from amct_caffe.model.formats.prototxt import solver as solvers
from amct_caffe.model.formats.prototxt.document import Layer, NetDocument, ParamSpec
from amct_caffe.model.formats.prototxt.phases import meets, same_layers_rule
from amct_core.errors import AmctError, FileFormatError, ModelError
from amct_core.network_state import NetworkState, NetworkStates
from amct_core.textproto import Message, format_message

NET = """\
name: "net"
force_backward: true
vendor_option: FAST
layer {
  name: "data"
  type: "Input"
  top: "data"
  input_param {
    shape {
      dim: 1
      dim: 3
    }
  }
}
layer {
  name: "odd"
  type: "VendorLayer"
  vendor_param {
    depth: 3
    nested {
      mode: A
    }
  }
  bottom: "data"
  top: "odd"
  top: "other"
  vendor_flag: true
}
"""


def test_unknown_layers_and_fields_survive_untouched_and_in_order() -> None:
    assert documents.from_text(NET).format() == NET


def test_fields_and_layers_are_told_apart() -> None:
    document = documents.from_text(NET, "net.prototxt")
    assert document.name == "net"
    assert document.file == "net.prototxt"
    assert [entry.name for entry in document.fields] == ["name", "force_backward", "vendor_option"]
    assert [(layer.name, layer.type) for layer in document.layers] == [
        ("data", "Input"),
        ("odd", "VendorLayer"),
    ]


def test_bottoms_and_tops_are_replaced_in_their_place() -> None:
    layer = documents.from_text(NET).layers[1]
    assert (layer.bottoms, layer.tops) == (["data"], ["odd", "other"])
    layer.bottoms = ["a", "b"]
    layer.tops = ["c"]
    names = [entry.name for entry in layer.message]
    assert names == ["name", "type", "vendor_param", "bottom", "bottom", "top", "vendor_flag"]


def test_param_specs_keep_what_they_do_not_say_and_what_others_add() -> None:
    text = """
    layer { name: "a" type: "T"
      param { name: "w" lr_mult: 2 } param { decay_mult: 0 vendor: 1 share_mode: PERMISSIVE } }
    """
    layer = documents.from_text(text).layers[0]
    first, second = layer.param_specs
    assert first == ParamSpec(name="w", lr_mult=2.0)
    assert (second.lr_mult, second.decay_mult, second.share_mode) == (None, 0.0, "PERMISSIVE")
    before = [format_message(spec) for spec in layer.message.messages("param")]
    layer.param_specs = [second, first]
    after = [format_message(spec) for spec in layer.message.messages("param")]
    assert sorted("".join(after).split()) == sorted("".join(before).split())
    assert "vendor: 1" in after[0]


def test_parameters_of_a_layer_that_has_none_are_empty() -> None:
    layer = documents.from_text(NET).layers[1]
    assert layer.parameters("vendor_param").integer("depth") == 3
    assert layer.parameters("convolution_param") == Message()


def test_a_copy_is_independent() -> None:
    document = documents.from_text(NET)
    copy = document.copy()
    copy.layers[0].tops = ["x"]
    copy.fields.set("name", "y")
    copy.layers.pop()
    assert document.format() == NET


def test_layers_are_inserted_where_asked() -> None:
    text = """
    layer { name: "d" type: "A" include { phase: TRAIN } }
    layer { name: "d" type: "B" include { phase: TEST } }
    layer { name: "e" type: "C" }
    """
    document = documents.from_text(text)
    document.insert_after({"d": [Layer.create("x", "X", ["a"], ["b"])]})
    document.insert_before({"d": [Layer.create("y", "Y", [], []), Layer.create("z", "Z", [], [])]})
    assert [layer.name for layer in document.layers] == ["y", "z", "d", "d", "x", "e"]


@pytest.mark.parametrize("insert", [NetDocument.insert_before, NetDocument.insert_after])
def test_inserting_beside_a_layer_that_is_not_there_is_an_error(insert: Any) -> None:
    with pytest.raises(ModelError) as caught:
        insert(documents.from_text(NET, "net.prototxt"), {"none": []})
    assert (caught.value.file, caught.value.layer) == ("net.prototxt", "none")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('layer { name: "a" type: "T"', "line 1, column 28"),
        ('layer { name: "a"\n type: 3 }', "line 2"),
        ('layer { name: "a" }', "without a name or type"),
        ('layer { type: "T" }', "without a name or type"),
        ("base_lr: 0.1", "no layer"),
        ("", "no layer"),
    ],
)
def test_a_file_that_is_no_network_gives_an_error_that_names_it(
    tmp_path: Path, text: str, found: str
) -> None:
    path = tmp_path / "net.prototxt"
    path.write_text(text)
    with pytest.raises(AmctError) as caught:
        documents.read(str(path))
    assert caught.value.file == str(path)
    assert found in str(caught.value)


def test_a_missing_file_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(AmctError, match=r"none\.prototxt"):
        documents.read(str(tmp_path / "none.prototxt"))


REAL = [
    "resnet20_cifar/resnet20.prototxt",
    "squeezenet/SqueezeNet_deploy.prototxt",
    "open_nsfw/deploy.prototxt",
    "ultralight_face/RFB-320.prototxt",
    "prototxt_only/ResNet-50-deploy.prototxt",
    "prototxt_only/mobilenet_v1_deploy.prototxt",
    "lenet/lenet.prototxt",
    "lenet/lenet_train_test.prototxt",
]


@pytest.mark.parametrize("name", REAL)
def test_real_networks_stay_what_they_are_when_written_and_read_again(
    models: Path, name: str
) -> None:
    document = documents.read(str(models / name))
    again = documents.from_text(document.format())
    assert again.fields == document.fields
    assert [layer.message for layer in again.layers] == [layer.message for layer in document.layers]


# --- phases ---------------------------------------------------------------------------------------


def included(rules: str, phase: str = "TEST", **state: Any) -> bool:
    """Return whether a layer with these rules is in a net of this state."""
    document = documents.from_text(f'layer {{ name: "a" type: "T" {rules} }}')
    return bool(document.layers_in(phase, NetworkState(**state)))


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ("", True),
        ("include { phase: TEST }", True),
        ("include { phase: 1 }", True),
        ("include { phase: TRAIN }", False),
        ("include { phase: TRAIN } include { phase: TEST }", True),
        ("include { }", True),
        ("exclude { phase: TEST }", False),
        ("exclude { phase: TRAIN }", True),
        ("exclude { phase: TRAIN } exclude { }", False),
        ("include { min_level: 2 }", True),
        ("include { min_level: 3 }", False),
        ("include { max_level: 2 }", True),
        ("include { max_level: 1 }", False),
        ('include { stage: "a" stage: "b" }', True),
        ('include { stage: "a" stage: "c" }', False),
        ('include { not_stage: "c" }', True),
        ('include { not_stage: "a" not_stage: "c" }', False),
        ('exclude { phase: TEST stage: "c" }', True),
    ],
)
def test_rules_decide_as_in_caffe(rules: str, expected: bool) -> None:
    assert included(rules, level=2, stages=["a", "b"]) is expected


def test_what_a_solver_says_is_merged_into_the_state_of_the_file() -> None:
    text = """
    state { level: 1 stage: "s" }
    layer { name: "a" type: "T" include { min_level: 1 stage: "s" } }
    layer { name: "b" type: "T" include { stage: "t" } }
    """
    document = documents.from_text(text)

    def layers(state: NetworkState) -> List[str]:
        return [layer.name for layer in document.layers_in("TRAIN", state)]

    assert layers(NetworkState()) == ["a"]
    assert layers(NetworkState(level=0)) == []
    assert layers(NetworkState(stages=["t"])) == ["a", "b"]


def test_each_phase_has_the_state_that_the_document_is_given() -> None:
    document = documents.from_text(
        'layer { name: "a" type: "T" include { stage: "train" } }'
        'layer { name: "b" type: "T" include { stage: "val" } }'
        'layer { name: "c" type: "T" include { stage: "deploy" } }'
    )
    document.states = NetworkStates(NetworkState(stages=["train"]), NetworkState(stages=["val"]))
    copy = document.copy()
    assert [layer.name for layer in copy.layers_in("TRAIN")] == ["a"]
    assert [layer.name for layer in copy.layers_in("TEST")] == ["b"]
    assert [layer.name for layer in copy.used_layers()] == ["a", "b"]
    assert list(copy.by_name()) == ["a", "b"]


def test_include_and_exclude_together_are_refused_as_by_caffe() -> None:
    document = documents.from_text(
        'layer { name: "a" type: "T"\n include { } exclude { } }', "net.prototxt"
    )
    with pytest.raises(ModelError) as caught:
        document.layers_in("TEST")
    assert (caught.value.file, caught.value.layer) == ("net.prototxt", "a")


RULES = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "phase": st.sampled_from(["TRAIN", "TEST"]),
            "min_level": st.integers(0, 2),
            "max_level": st.integers(0, 2),
            "stage": st.sampled_from(['"a"', '"b"']),
            "not_stage": st.sampled_from(['"a"', '"b"']),
        },
    ),
    max_size=2,
)


STATES = st.builds(
    NetworkState,
    level=st.none() | st.integers(0, 2),
    stages=st.lists(st.sampled_from(["a", "b"]), unique=True),
)


def layers_with(rules: List[Any]) -> str:
    """Return layers with these rules, and one without any."""
    text = ""
    for index, (kind, alternatives) in enumerate(rules):
        lines = [
            f"{kind} {{ {' '.join(f'{key}: {value}' for key, value in rule.items())} }}"
            for rule in alternatives
        ]
        text += (
            f'layer {{ name: "l{index}" type: "DummyData" top: "l{index}" {" ".join(lines)} '
            "dummy_data_param { shape { dim: 1 } } }\n"
        )
    return text + 'layer { name: "last" type: "DummyData" top: "t" dummy_data_param { shape { } } }'


def state_message(field: str, state: NetworkState) -> str:
    """Return a field of type NetState."""
    level = "" if state.level is None else f"level: {state.level} "
    return f"{field} {{ {level}{' '.join(f'stage: {stage!r}' for stage in state.stages)} }}\n"


NETS = st.lists(st.tuples(st.sampled_from(["include", "exclude"]), RULES), max_size=4)


@pytest.mark.caffe
@given(
    rules=NETS,
    phase=st.sampled_from(["TRAIN", "TEST"]),
    level=st.integers(0, 2),
    own=STATES,
    stages=st.lists(st.sampled_from(["a", "b"]), unique=True),
)
def test_caffe_itself_has_the_same_layers(
    caffe: Any,
    tmp_path_factory: pytest.TempPathFactory,
    rules: List[Any],
    phase: str,
    level: int,
    own: NetworkState,
    stages: List[str],
) -> None:
    path = tmp_path_factory.getbasetemp() / "rules.prototxt"
    path.write_text(state_message("state", own) + layers_with(rules))
    net = caffe.Net(str(path), getattr(caffe, phase), level=level, stages=stages)
    ours = documents.read(str(path)).layers_in(phase, NetworkState(level, stages))
    assert [layer.name for layer in ours] == list(net._layer_names)


@pytest.mark.caffe
@given(rules=NETS, own=STATES, train=STATES, tests=st.lists(STATES, min_size=1, max_size=3))
def test_the_nets_of_a_solver_have_the_layers_of_its_states(
    caffe: Any,
    tmp_path_factory: pytest.TempPathFactory,
    rules: List[Any],
    own: NetworkState,
    train: NetworkState,
    tests: List[NetworkState],
) -> None:
    net = tmp_path_factory.getbasetemp() / "net_in_states.prototxt"
    net.write_text(state_message("state", own) + layers_with(rules))
    file = tmp_path_factory.getbasetemp() / "solver_with_states.prototxt"
    file.write_text(
        f'net: "{net}" base_lr: 0 lr_policy: "fixed" test_interval: 1\n'
        + state_message("train_state", train)
        + "".join("test_iter: 1\n" + state_message("test_state", state) for state in tests)
    )
    in_caffe = caffe.get_solver(str(file))
    solver, document = solvers.read(str(file)), documents.read(str(net))
    document.states = solver.states
    trained = [layer.name for layer in document.layers_in("TRAIN")]
    first = [layer.name for layer in document.layers_in("TEST")]
    assert trained == list(in_caffe.net._layer_names)
    assert first == list(in_caffe.test_nets[0]._layer_names)
    for made, theirs in zip(solver.testing_nets(), in_caffe.test_nets):
        layers = document.layers_in("TEST", made.state)
        assert [layer.name for layer in layers] == list(theirs._layer_names)
    assert len(in_caffe.test_nets) == len(solver.testing_nets())


@given(rules=NETS, state=STATES, other=STATES)
def test_a_rule_for_the_same_layers_is_met_only_where_the_layers_are_the_same(
    rules: List[Any], state: NetworkState, other: NetworkState
) -> None:
    document = documents.from_text(layers_with(rules))
    rule = same_layers_rule(document.state_in("TEST", state), document.layers)
    assert meets(document.state_in("TEST", state), rule)
    assert not meets(document.state_in("TRAIN", state), rule)
    if meets(document.state_in("TEST", other), rule):
        assert document.layers_in("TEST", state) == document.layers_in("TEST", other)


def test_reading_reports_the_kind_of_error_a_caller_can_catch() -> None:
    with pytest.raises(FileFormatError):
        documents.from_text("layer {")
