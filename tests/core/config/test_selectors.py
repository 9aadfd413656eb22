"""Which layers a selector means: a name before a type before a pattern."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amct_core.config.selectors import Selected, Selector
from amct_core.errors import ConfigError
from tests.core.config.networks import CONVOLUTION, POOLING, PRODUCT, RELU, of_types

NETWORK = of_types(
    {
        "conv1": CONVOLUTION,
        "conv2/3x3_reduce": CONVOLUTION,
        "relu": RELU,
        "scope:0/fc.1": PRODUCT,
        "a*": PRODUCT,
        "ab": PRODUCT,
        "max": POOLING,
        "type:x": PRODUCT,
    },
    {"max": "its pooling method is MAX; expected AVE."},
)


def found(text: str) -> tuple[str, ...]:
    return Selector(text, f"--skip {text}").find(NETWORK).quantizable


@pytest.mark.parametrize("name", ["conv1", "conv2/3x3_reduce", "scope:0/fc.1", "a*", "type:x"])
def test_a_name_means_its_layer_whatever_characters_it_has(name: str) -> None:
    assert Selector(name, "").find(NETWORK) == Selected((name,), (), by_name=True)


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("conv*", ("conv1", "conv2/3x3_reduce")),
        ("*3x3*", ("conv2/3x3_reduce",)),
        ("conv?", ("conv1",)),
        ("conv[12]*", ("conv1", "conv2/3x3_reduce")),
        ("*.1", ("scope:0/fc.1",)),
        ("a**", ("a*", "ab")),
        ("a[*]", ("a*",)),
        ("type:InnerProduct", ("scope:0/fc.1", "a*", "ab", "type:x")),
        ("type:*Conv*", ("conv1", "conv2/3x3_reduce")),
        ("type[:]x", ("type:x",)),
    ],
)
def test_patterns_and_types_mean_all_that_match(pattern: str, names: tuple[str, ...]) -> None:
    assert found(pattern) == names


def test_a_star_means_every_layer_that_can_be_quantized() -> None:
    assert found("*") == tuple(NETWORK.supported)


def test_case_counts() -> None:
    with pytest.raises(ConfigError, match="Did you mean 'conv1'"):
        found("CONV1"[:4].lower() + "X")
    with pytest.raises(ConfigError):
        found("Conv1")


def test_what_cannot_be_quantized_is_found_and_told_apart() -> None:
    selected = Selector("max", "").find(NETWORK)
    assert (selected.quantizable, selected.others) == ((), ("max",))
    with pytest.raises(ConfigError, match="layer 'max': this layer cannot be quantized: its pool"):
        Selector("max", "--only max").quantizable(NETWORK)
    with pytest.raises(ConfigError, match="such as 'relu': nothing quantizes its layer type"):
        Selector("type:ReLU", "--only type:ReLU").quantizable(NETWORK)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "conv3",
            r"^--skip conv3: the network has no layer of name 'conv3'\. Did you mean 'conv1'",
        ),
        ("cnov*", r"no name of a layer of this network matches 'cnov\*'\. Did you mean 'conv1'"),
        ("type:Inner", r"no layer of type 'Inner'\. Did you mean 'type:InnerProduct'\?"),
        ("type:*LSTM", r"matches '\*LSTM'\. There are 'type:Convolution', 'type:ReLU'"),
        ("zzzzzz", r"There are 'conv1', 'conv2/3x3_reduce', .* and 3 others\."),
    ],
)
def test_what_matches_nothing_is_refused_with_what_is_near(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        found(text)


def test_a_name_alone_is_never_a_pattern() -> None:
    with pytest.raises(ConfigError, match=r"no layer of name 'conv\*'"):
        Selector("conv*", "advice.json", is_name=True).find(NETWORK)
    with pytest.raises(ConfigError, match="no layer of name 'type:ReLU'"):
        Selector("type:ReLU", "advice.json", is_name=True).find(NETWORK)


NAMES = st.text(st.sampled_from("ab*?[]!-:/.=0 "), min_size=1, max_size=8)


@given(st.lists(NAMES, min_size=1, max_size=5, unique=True), st.data())
def test_any_name_of_the_network_selects_that_layer_alone(
    names: list[str], data: st.DataObject
) -> None:
    layers = of_types(dict.fromkeys(names, CONVOLUTION))
    name = data.draw(st.sampled_from(names))
    assert Selector(name, "").find(layers).quantizable == (name,)


@given(st.lists(NAMES, min_size=1, max_size=5, unique=True), st.data())
def test_a_name_with_its_special_characters_in_brackets_matches_that_layer(
    names: list[str], data: st.DataObject
) -> None:
    name = data.draw(st.sampled_from(names))
    pattern = "".join(f"[{c}]" if c in "*?[" else c for c in name) + "*"
    layers = of_types(dict.fromkeys(names, CONVOLUTION))
    if pattern not in names and not pattern.startswith("type:"):
        expected = {each for each in names if each.startswith(name)}
        assert set(Selector(pattern, "").find(layers).quantizable) == expected


def refusal(text: str) -> ConfigError | None:
    try:
        found = Selector(text, "--skip").find(NETWORK)
    except ConfigError as error:
        return error
    assert found.quantizable or found.others
    return None


@given(NAMES)
def test_any_text_selects_layers_or_is_refused(text: str) -> None:
    error = refusal(text)
    assert error is None or error.file == "--skip"
