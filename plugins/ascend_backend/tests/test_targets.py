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
    assert len(facts) == 10
    for fact in facts.values():
        assert fact.source
        assert (fact.value is None) == (fact.status == UNKNOWN)


def test_caffe_is_refused_where_atcs_documentation_says_so():
    refused = {family.name for family in families() if not family.accepts_caffe.value}
    assert refused == {"Ascend910B", "Ascend910_93", "Ascend950", "Ascend035"}


def test_shift_n_counts_on_v200_alone():
    honoured = {family.isa.value for family in families() if family.honours_shift_n.value}
    assert honoured == {"v200"}


@pytest.mark.parametrize("wrong", ["ascend310p3", "Ascend310P", "Ascend301P3", "310P3"])
def test_an_unknown_name_is_an_error_that_lists_near_ones(wrong):
    with pytest.raises(AmctError, match="Ascend310P3") as caught:
        find_target(wrong)
    assert caught.value.field == "--soc-version"


@pytest.mark.parametrize("wrong", ["", "x86", "Ascend310P3 "])
def test_a_name_unlike_any_lists_some_that_exist(wrong):
    with pytest.raises(AmctError, match="Ascend310"):
        find_target(wrong)
