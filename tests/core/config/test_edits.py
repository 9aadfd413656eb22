"""``--only``, ``--apply``, ``--skip`` and ``--set`` together, in both forms of configuration."""

from __future__ import annotations

import json
import logging
from typing import Any

import attrs
import pytest

from amct_core.config import advice, assignments, forms, ptq_check
from amct_core.config.check import check, check_names
from amct_core.config.edits import Edits
from amct_core.config.model import QatConfig, default_config
from amct_core.config.ptq import PtqActivation, PtqConfig
from amct_core.config.selectors import Selector
from amct_core.errors import ConfigError, NothingEnabledError
from amct_core.plugins import registries
from tests.core.config.networks import CONVOLUTION, POOLING, PRODUCT, RELU, of_types

NETWORK = of_types(
    {
        "conv1": CONVOLUTION,
        "relu": RELU,
        "conv2": CONVOLUTION,
        "pool": POOLING,
        "max": POOLING,
        "ip1": PRODUCT,
    },
    {"max": "its pooling method is MAX; expected AVE."},
)
CLIPS = ("retrain_data_config.clip_max", "retrain_data_config.clip_min")


def options(form: Any, only: Any, skip: Any, sets: Any, advised: Any) -> Edits:
    files = [json.dumps({"version": 1, "advice": each}) for each in advised]
    return Edits(
        only=tuple(Selector(each, f"--only {each}") for each in only),
        advice=tuple(advice.parse(text, "advice.json") for text in files),
        skip=tuple(Selector(each, f"--skip {each}") for each in skip),
        assignments=tuple(assignments.parse(each, form.keys) for each in sets),
    )


def qat(
    only: Any = (), skip: Any = (), sets: Any = (), advised: Any = (), base: QatConfig | None = None
) -> QatConfig:
    facts, reasons = NETWORK.supported, NETWORK.reasons

    def checked(config: QatConfig) -> QatConfig:
        config = check(config, facts, reasons, None)
        check_names(config, registries(), None)
        return config

    edits = options(forms.QAT, only, skip, sets, advised)
    return edits.apply(base or default_config(facts), NETWORK, forms.QAT, checked)


def ptq(only: Any = (), skip: Any = (), sets: Any = (), advised: Any = ()) -> PtqConfig:
    def checked(config: PtqConfig) -> PtqConfig:
        config = ptq_check.check(config, NETWORK, None)
        ptq_check.check_names(config, registries(), None)
        return config

    default = forms.PTQ.complete(PtqConfig(), NETWORK.supported)
    layers = {name: attrs.evolve(layer, enabled=True) for name, layer in default.layers.items()}
    default = ptq_check.check(default.with_layers(layers), NETWORK, None)
    return options(forms.PTQ, only, skip, sets, advised).apply(default, NETWORK, forms.PTQ, checked)


def entry(layer: str, qat: Any = None, ptq: Any = None) -> dict[str, Any]:
    parts = {key: value for key, value in (("qat", qat), ("ptq", ptq)) if value is not None}
    return {"layer": layer, "cause": "clipping", "reason": "Because.", **parts}


class TestSkipAndOnly:
    @pytest.mark.parametrize("change", [qat, ptq])
    def test_skip_leaves_layers_in_float(self, change: Any) -> None:
        assert list(change(skip=["conv*", "pool"]).enabled) == ["ip1"]
        assert list(change(skip=["type:Convolution", "type:InnerProduct"]).enabled) == ["pool"]

    @pytest.mark.parametrize("change", [qat, ptq])
    def test_only_leaves_everything_else_in_float(self, change: Any) -> None:
        assert list(change(only=["conv1", "type:InnerProduct"]).enabled) == ["conv1", "ip1"]

    def test_only_switches_on_what_was_off(self) -> None:
        assert list(qat(only=["conv1"], base=qat(skip=["conv1"])).enabled) == ["conv1"]

    def test_skip_takes_from_only(self) -> None:
        assert list(qat(only=["conv*"], skip=["conv2"]).enabled) == ["conv1"]

    def test_all_layers_keep_their_entries(self) -> None:
        assert list(qat(only=["ip1"]).layers) == ["conv1", "conv2", "pool", "ip1"]

    def test_what_is_in_float_anyway_may_be_skipped_and_is_logged(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO, "amct_core")
        assert qat(skip=["max", "relu"]) == qat()
        assert "--skip max: layer 'max' is in float anyway: its pooling method" in caplog.text
        assert "--skip relu: layer 'relu' is in float anyway: nothing quantizes" in caplog.text

    def test_only_what_can_be_quantized_can_be_asked_for(self) -> None:
        with pytest.raises(ConfigError, match="cannot be quantized: its pooling method is MAX"):
            qat(only=["max"])

    @pytest.mark.parametrize("change", [qat, ptq])
    def test_something_must_be_left(self, change: Any) -> None:
        with pytest.raises(NothingEnabledError, match="no layer is quantized"):
            change(skip=["*"])

    @pytest.mark.parametrize("said", [{"skip": ["conv3"]}, {"only": ["conv3"]}])
    def test_a_name_that_is_none_is_refused_with_near_ones(self, said: Any) -> None:
        with pytest.raises(ConfigError, match=r"'conv3'\. Did you mean 'conv2', 'conv1'"):
            qat(**said)


class TestSet:
    def test_a_value_is_set_in_the_entries_that_are_named(self) -> None:
        changed = qat(sets=["conv*.retrain_data_config.init_algo=mse"])
        algos = {name: layer.activation.init_algo for name, layer in changed.layers.items()}
        assert algos == {"conv1": "mse", "conv2": "mse", "pool": "ifmr", "ip1": "ifmr"}

    def test_keys_of_the_whole_config_are_set(self) -> None:
        changed = qat(sets=["batch_num=4", "batch_norm=fold", "input_shapes.data=[1, 3]"])
        assert (changed.batch_num, changed.batch_norm) == (4, "fold")
        assert changed.input_shapes == {"data": (1, 3)}
        assert ptq(sets=["do_fusion=false", 'skip_fusion_layers=["ip1"]']).do_fusion is False

    def test_a_later_one_wins(self) -> None:
        sets = ["*.retrain_data_config.clip_lr_mult=2", "conv1.retrain_data_config.clip_lr_mult=3"]
        assert qat(sets=sets).layers["conv1"].activation.clip_lr_mult == 3
        assert qat(sets=sets[::-1]).layers["conv1"].activation.clip_lr_mult == 2

    def test_keys_that_count_together_may_be_set_one_by_one(self) -> None:
        changed = qat(sets=[f"conv1.{CLIPS[0]}=6", f"conv1.{CLIPS[1]}=-6"])
        assert changed.layers["conv1"].activation.clip_min == -6.0
        with pytest.raises(ConfigError, match=r"^--set conv1\S+=6, layer 'conv1'.*clip_min.*miss"):
            qat(sets=[f"conv1.{CLIPS[0]}=6"])

    def test_null_removes_a_key(self) -> None:
        clipped = qat(sets=[f"conv1.{CLIPS[0]}=6", f"conv1.{CLIPS[1]}=-6"])
        again = qat(sets=[f"conv1.{key}=null" for key in CLIPS], base=clipped)
        assert again == qat()

    def test_a_pattern_leaves_out_layers_without_weights(self) -> None:
        changed = qat(sets=["*.retrain_weight_config.channel_wise=false"])
        assert changed.layers["pool"].weight is None
        weight = changed.layers["conv1"].weight
        assert weight is not None and weight.channel_wise is False

    def test_weights_of_a_layer_that_has_none_are_refused(self) -> None:
        with pytest.raises(ConfigError, match=r"layer 'pool', field.*the layer has no weights"):
            qat(sets=["pool.retrain_weight_config.channel_wise=false"])

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("conv1.retrain_data_config.clip_maxi=6", "unknown key.*Did you mean 'clip_max'"),
            ("conv1.retrain_data_config.algo=3", r"it is 3 \(int\); expected a string"),
            ("conv1.retrain_data_config.fixed_min=yes", "it is 'yes'.*expected true or false"),
            ("conv1.retrain_data_config.init_algo=msee", "there is no calibrator 'msee'; known"),
            ("conv1.retrain_data_config=3", "it is 3; expected an object"),
            ("ip1.retrain_weight_config.channel_wise=true", "InnerProduct layers have one scale"),
            ("batch_num=0", "it is 0; expected an integer above 0"),
            ("batch_num.x=0", "expected an integer"),
            ("version=2", "version should be 1"),
        ],
    )
    def test_what_a_file_must_not_say_is_refused_and_the_option_named(
        self, text: str, message: str
    ) -> None:
        with pytest.raises(ConfigError, match=message) as caught:
            qat(sets=["conv2.retrain_data_config.clip_lr_mult=2", text])
        assert caught.value.file == f"--set {text}"

    def test_a_fault_in_a_whole_section_names_the_option_that_set_the_section(self) -> None:
        section = 'conv1.retrain_data_config={"init_algo": "msee"}'
        with pytest.raises(ConfigError, match="no calibrator 'msee'") as caught:
            qat(sets=[section, "conv1.retrain_data_config.clip_lr_mult=2"])
        assert caught.value.file == f"--set {section}"

    def test_every_fault_of_a_ptq_config_is_told_with_its_option(self) -> None:
        sets = ["conv1.activation_quant_params.search_step=-1", "batch_num=x"]
        with pytest.raises(ConfigError) as caught:
            ptq(sets=sets)
        assert all(f"--set {each}" in str(caught.value) for each in sets)


class TestCalibrators:
    def test_a_new_calibrator_forgets_the_parameters_of_the_old_one(self) -> None:
        changed = ptq(sets=["conv1.activation_quant_params.act_algo=mse"])
        assert changed.layers["conv1"].activation == PtqActivation("mse")
        assert changed.layers["conv2"].activation == PtqActivation()

    def test_parameters_of_the_new_one_may_be_set_before_it(self) -> None:
        sets = [
            "conv1.activation_quant_params.num_of_bins=2048",
            "conv1.activation_quant_params.act_algo=hfmg",
        ]
        expected = PtqActivation("hfmg", num_of_bins=2048)
        assert ptq(sets=sets).layers["conv1"].activation == expected
        assert ptq(sets=sets[::-1]).layers["conv1"].activation == expected

    def test_the_same_calibrator_keeps_its_parameters(self) -> None:
        sets = ["*.activation_quant_params.search_step=0.02"]
        again = [*sets, "*.activation_quant_params.act_algo=ifmr"]
        assert ptq(sets=sets) == ptq(sets=again)

    def test_parameters_of_another_calibrator_are_refused(self) -> None:
        with pytest.raises(ConfigError, match="percentil"):
            ptq(sets=["conv1.activation_quant_params.percentil=0.9"])


class TestAdvice:
    def test_it_is_applied_as_skip_and_set(self) -> None:
        values = {CLIPS[0]: 6.1, CLIPS[1]: -6.1}
        advised = [entry("ip1", {"skip": True}), entry("conv1", {"set": values})]
        by_options = qat(skip=["ip1"], sets=[f"conv1.{k}={v}" for k, v in values.items()])
        assert qat(advised=[advised]) == by_options

    def test_a_form_takes_its_part_alone(self) -> None:
        algo = {"activation_quant_params.act_algo": "min_max"}
        advised = [entry("conv1", {"skip": True}, {"set": algo}), entry("ip1", {"skip": True})]
        assert list(qat(advised=[advised]).enabled) == ["conv2", "pool"]
        changed = ptq(advised=[advised])
        assert list(changed.enabled) == ["conv1", "conv2", "pool", "ip1"]
        assert changed.layers["conv1"].activation == PtqActivation("min_max")

    def test_options_win_over_it(self) -> None:
        advised = [entry("ip1", {"skip": True})]
        assert "ip1" in qat(advised=[advised], sets=["ip1.retrain_enable=true"]).enabled

    def test_it_takes_from_only(self) -> None:
        advised = [entry("conv1", {"skip": True})]
        assert list(qat(only=["conv*"], advised=[advised]).enabled) == ["conv2"]

    def test_a_later_file_wins(self) -> None:
        def advice_on(algo: str) -> Any:
            return [entry("conv1", {"set": {"retrain_data_config.init_algo": algo}})]

        changed = qat(advised=[advice_on("mse"), advice_on("kl")])
        assert changed.layers["conv1"].activation.init_algo == "kl"

    @pytest.mark.parametrize(
        ("advised", "message"),
        [
            (entry("conv3", {"skip": True}), "no layer of name 'conv3'. Did you mean 'conv2'"),
            (entry("conv*", {"skip": True}), "no layer of name"),
            (entry("conv1", {"set": {"clip": 1}}), "layer 'conv1': 'clip' is no key"),
            (
                entry("conv1", {"set": {CLIPS[0]: "x"}}),
                "layer 'conv1', field 'retrain_data_config.clip_max': it is 'x'",
            ),
            (entry("max", {"set": {CLIPS[0]: 1}}), "this layer cannot be quantized"),
        ],
    )
    def test_what_does_not_fit_the_network_is_refused_with_the_file(
        self, advised: Any, message: str
    ) -> None:
        with pytest.raises(ConfigError, match=message) as caught:
            qat(advised=[[advised]])
        assert caught.value.file == "advice.json"


class TestConflicts:
    def test_set_may_switch_on_what_a_pattern_leaves_in_float(self) -> None:
        changed = qat(skip=["conv*"], sets=["conv1.retrain_enable=true"])
        assert list(changed.enabled) == ["conv1", "pool", "ip1"]

    @pytest.mark.parametrize("layers", ["conv1", "*"])
    def test_what_skip_names_itself_cannot_be_switched_on(self, layers: str) -> None:
        with pytest.raises(ConfigError, match="--skip conv1, layer 'conv1': it leaves the layer"):
            qat(skip=["conv1"], sets=[f"{layers}.retrain_enable=true"])

    def test_values_of_a_layer_in_float_are_set_all_the_same(self) -> None:
        changed = qat(skip=["conv1"], sets=["conv1.retrain_data_config.init_algo=mse"])
        layer = changed.layers["conv1"]
        assert (layer.retrain_enable, layer.activation.init_algo) == (False, "mse")


def test_without_changes_the_configuration_is_the_same_object() -> None:
    config = default_config(NETWORK.supported)
    assert Edits().apply(config, NETWORK, forms.QAT, lambda each: each) is config
