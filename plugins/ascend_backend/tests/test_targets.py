from __future__ import annotations

import pytest

from amct_core.errors import AmctError
from ascend_backend.targets import UNKNOWN, families, find_target, soc_versions


@pytest.mark.parametrize(
    ("soc_version", "family"),
    [
        ("Ascend310", "Ascend310"),
        ("Ascend310P3", "Ascend310P"),
        ("Ascend310B4", "Ascend310B"),
        ("Ascend910", "Ascend910"),
        ("Ascend910ProB", "Ascend910"),
        ("Ascend910_9391", "Ascend910_93"),
        ("Ascend950", "Ascend950"),
        ("Ascend950A1", "Ascend950"),
        ("Ascend910_9591", "Ascend950"),
        ("Ascend035", "Ascend035"),
    ],
)
def test_a_name_belongs_to_its_family(soc_version, family):
    target = find_target(soc_version)
    assert (target.soc_version, target.family.name) == (soc_version, family)


def test_910b_is_the_first_generation_and_910b_with_a_digit_the_second():
    assert find_target("Ascend910B").family.isa.value == "v100"
    assert find_target("Ascend910B3").family.isa.value == "v220"


def test_every_listed_name_is_found_in_one_family_only():
    names = soc_versions()
    assert len(names) == len(set(names))
    assert {find_target(name).soc_version for name in names} == set(names)


@pytest.mark.parametrize("family", families(), ids=lambda family: family.name)
def test_every_fact_has_a_source_and_only_unknown_ones_have_no_value(family):
    facts = family.facts()
    assert len(facts) == 9
    for fact in facts.values():
        assert fact.source
        assert (fact.value is None) == (fact.status == UNKNOWN)


def test_caffe_is_refused_where_atcs_documentation_says_so():
    refused = {family.name for family in families() if not family.accepts_caffe.value}
    assert refused == {"Ascend910B", "Ascend910_93", "Ascend950", "Ascend035"}


def test_shift_n_counts_on_v200_alone():
    honoured = {family.isa.value for family in families() if family.honours_shift_n.value}
    assert honoured == {"v200"}


def values(fact: str) -> dict[str, object]:
    """Return the value of a fact by the ISA; every family of one ISA has the same."""
    found: dict[str, set[object]] = {}
    for family in families():
        facts = family.facts()
        found.setdefault(facts["isa"].value, set()).add(facts[fact].value)
    return {isa: value for isa, (value,) in found.items()}


def test_int8_is_merged_on_the_two_isas_whose_passes_are_public():
    merges = {"v100": "merged", "v200": "requantized", "v220": None, "v300": None, "v350": None}
    assert values("merges") == merges


def test_dequant_gives_float16_everywhere_and_multiplies_in_it_on_v100():
    others = dict.fromkeys(("v200", "v220", "v300", "v350"), "float16")
    assert values("dequantizes_to") == {"v100": "float16 scale", **others}


def test_whether_layers_are_rolled_back_is_known_of_v100_and_v200_alone():
    rolls = {"v100": True, "v200": True, "v220": None, "v300": None, "v350": None}
    assert values("rolls_back") == rolls


@pytest.mark.parametrize(
    ("soc_version", "value"),
    [
        ("Ascend310", True),
        ("Ascend310P3", True),
        ("Ascend310B1", True),
        ("Ascend910B3", True),
        ("Ascend950", False),
        ("Ascend035", None),
    ],
)
def test_where_quant_computes_in_float16(soc_version, value):
    assert find_target(soc_version).family.quantizes_in_fp16.value is value


@pytest.mark.parametrize(
    ("soc_version", "value"),
    [("Ascend310", False), ("Ascend310P3", None), ("Ascend310B1", True), ("Ascend910B3", True)],
)
def test_the_fix_pipe_cuts_deq_scale(soc_version, value):
    assert find_target(soc_version).family.cuts_deq_scale.value is value


@pytest.mark.parametrize("wrong", ["ascend310p3", "Ascend310P", "Ascend301P3", "310P3"])
def test_an_unknown_name_is_an_error_that_lists_near_ones(wrong):
    with pytest.raises(AmctError, match="Ascend310P3") as caught:
        find_target(wrong)
    assert caught.value.field == "--soc-version"


@pytest.mark.parametrize("wrong", ["", "x86", "Ascend310P3 "])
def test_a_name_unlike_any_lists_some_that_exist(wrong):
    with pytest.raises(AmctError, match="Ascend310"):
        find_target(wrong)
