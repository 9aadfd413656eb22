"""``amct atc`` as a user calls it."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from ascend_backend.atc.find import find_atc

SOC = ("--soc-version", "Ascend310P3")
DETECTION = """layer { name: "boxes" type: "DetectionOutput"
  bottom: "relu" bottom: "relu" bottom: "relu" top: "boxnum" top: "boxes"
  ssddetectionoutput_param { num_classes: 21 iou_threshold: 0.45 top_k: 400 code_type: 2
    keep_top_k: 200 confidence_threshold: 0.01 } }
"""


@pytest.fixture
def on_path(atc) -> str:
    """Return a PATH on which the stand-in is."""
    return os.pathsep.join([str(atc.path.parent), os.defpath])


def test_the_om_is_the_only_result_on_standard_output(amct_atc, saved, on_path):
    ended = amct_atc(saved.prefix, *SOC, "--input-shape", "data:1,3", path=on_path)
    assert (ended.status, ended.out) == (0, f"{saved.prefix}.om\n"), ended.err
    assert "ATC run success" in ended.err
    assert saved.files() == {"net.om", "net.atc.log"}


def test_a_shape_of_no_input_is_refused_before_atc_runs(amct_atc, saved, on_path):
    ended = amct_atc(saved.prefix, *SOC, "--input-shape", "data:1,3;image:1,3", path=on_path)
    assert (ended.status, ended.out, saved.files()) == (1, "", set())
    assert f"'--input-shape': 'image' is no input of '{saved.model}'; expected 'data'." in ended.err


def test_data_that_training_reads_are_an_input_for_atc(amct_atc, saved, on_path):
    text = saved.model.read_text().replace('"Input"', '"DummyData"')
    saved.model.write_text(text.replace("input_param", "dummy_data_param"))
    ended = amct_atc(saved.prefix, *SOC, "--input-shape", "data:1,3", path=on_path)
    assert ended.status == 0, ended.err


def test_output_and_log_go_where_they_are_told_to(amct_atc, saved, on_path, tmp_path):
    output, log = tmp_path / "other" / "name.om", tmp_path / "log.txt"
    ended = amct_atc(saved.prefix, *SOC, "--output", output, "--log", log, path=on_path)
    assert ended.out == f"{output}\n", ended.err
    assert "ATC start working" in log.read_text()
    assert saved.files() == set()


def test_what_stands_behind_two_dashes_goes_to_atc(amct_atc, saved, on_path, received):
    ended = amct_atc(saved.prefix, *SOC, "--", "--log=debug", "--help=no", "x y", path=on_path)
    assert ended.status == 0, ended.err
    assert received()["arguments"][-3:] == ["--log=debug", "--help=no", "x y"]


def test_a_refusal_is_explained(amct_atc, saved, on_path, acts):
    acts("refusal")
    ended = amct_atc(saved.prefix, *SOC, path=on_path)
    assert (ended.status, ended.out) == (1, "")
    assert "\nE11009: atc's Caffe parser does not know a layer's type." in ended.err
    assert saved.files() == {"net.atc.log"}


def test_a_model_that_lint_refuses_is_not_given_to_atc(amct_atc, saved, on_path, received):
    saved.model.write_text(saved.model.read_text().replace('"relu"', '"re lu"'))
    ended = amct_atc(saved.prefix, *SOC, path=on_path)
    assert ended.status == 1
    assert "A003" in ended.err
    assert "--no-lint" in ended.err
    with pytest.raises(FileNotFoundError):
        received()


def test_lint_can_be_overruled(amct_atc, saved, on_path):
    saved.model.write_text(saved.model.read_text().replace('"relu"', '"re lu"'))
    ended = amct_atc(saved.prefix, *SOC, "--no-lint", path=on_path)
    assert ended.status == 0, ended.err


def test_a_map_of_types_goes_to_atc_and_to_the_lint(amct_atc, saved, on_path, received, tmp_path):
    saved.model.write_text(saved.model.read_text() + DETECTION)
    types = tmp_path / "types.cfg"
    types.write_text("DetectionOutput:SSDDetectionOutput\n")
    ended = amct_atc(saved.prefix, *SOC, "--op-name-map", types, path=on_path)
    assert ended.status == 0, ended.err
    assert received()["arguments"][-1] == f"--op_name_map={types}"
    assert "A015" not in ended.err


@pytest.mark.parametrize("contents", [None, "no colon\n"])
def test_a_map_of_types_that_is_missing_or_wrong_ends_it_before_anything_runs(
    contents, amct_atc, saved, on_path, received, tmp_path
):
    types = tmp_path / "types.cfg"
    if contents is not None:
        types.write_text(contents)
    ended = amct_atc(saved.prefix, *SOC, "--no-lint", "--op-name-map", types, path=on_path)
    assert (ended.status, ended.out) == (1, "")
    assert str(types) in ended.err
    assert "Running" not in ended.err
    assert saved.files() == set()
    with pytest.raises(FileNotFoundError):
        received()


def test_a_layer_with_a_custom_operator_is_given_to_atc(amct_atc, saved, on_path):
    saved.model.write_text(saved.model.read_text().replace('"ReLU"', '"Clip"'))
    assert "A014" in amct_atc(saved.prefix, *SOC, path=on_path).err
    ended = amct_atc(saved.prefix, *SOC, "--custom-op", "Clip", path=on_path)
    assert ended.status == 0, ended.err


def test_an_unknown_processor_is_an_error(amct_atc, saved, on_path):
    ended = amct_atc(saved.prefix, "--soc-version", "Ascend301P3", path=on_path)
    assert ended.status == 1
    assert "Ascend310P3" in ended.err


def test_what_atc_does_not_do_with_quantized_models_is_said_before(amct_atc, saved, on_path):
    ended = amct_atc(saved.prefix, *SOC, "--", "--dynamic_batch_size=1,2", path=on_path)
    assert "Warning: --dynamic_batch_size" in ended.err


@pytest.mark.skipif(find_atc({}) is not None, reason="atc is installed on this machine")
def test_without_atc_the_command_is_printed_and_a_bundle_written(amct_atc, saved):
    ended = amct_atc(saved.prefix, *SOC, "--input-shape", "data:1,3", "--", "--log=info")
    assert ended.status == 0, ended.err
    assert ended.out == (
        "atc --model=net_deploy_model.prototxt --weight=net_deploy_weights.caffemodel "
        "--framework=0 --output=net --soc_version=Ascend310P3 --input_shape=data:1,3 --log=info\n"
    )
    assert "atc was not found" in ended.err
    assert "Nothing has been converted" in ended.err
    assert saved.files() == {"net_atc_bundle.tar.gz"}


@pytest.mark.skipif(find_atc({}) is not None, reason="atc is installed on this machine")
def test_without_atc_the_map_of_types_is_in_the_bundle(amct_atc, saved, tmp_path):
    saved.model.write_text(saved.model.read_text() + DETECTION)
    types = tmp_path / "types.cfg"
    types.write_text("DetectionOutput:SSDDetectionOutput\n")
    ended = amct_atc(saved.prefix, *SOC, "--op-name-map", types)
    assert ended.status == 0, ended.err
    assert ended.out.endswith(" --op_name_map=op_name_map.cfg\n")
    assert "Take this file along" not in ended.err


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 128 + signal.SIGTERM)]
)
@pytest.mark.parametrize("what", ["hang", "hang and ignore SIGTERM"])
def test_an_interruption_ends_atc_and_its_children_and_leaves_no_om(
    number, status, what, start_amct, saved, on_path, acts, processes
):
    """An atc that goes on although it is asked to end: a second interruption kills it at once."""
    acts(what)
    amct = start_amct(saved.prefix, *SOC, path=on_path)
    processes.started()
    os.killpg(amct.pid, number)
    if what != "hang":
        processes.asked_to_end()
        os.killpg(amct.pid, number)
    out, err = amct.communicate(timeout=30)
    assert (amct.returncode, out) == (status, ""), err
    assert processes.gone()
    assert saved.files() == {"net.atc.log"}


def test_the_timeout_of_the_command_line_ends_atc(amct_atc, saved, on_path, acts, processes):
    acts("hang")
    ended = amct_atc(saved.prefix, *SOC, "--timeout", "2", path=on_path)
    assert ended.status == 1
    assert "not ended after 2 seconds" in ended.err
    assert processes.gone()


def test_the_log_of_an_interrupted_run_says_how_far_it_came(
    start_amct, saved, on_path, acts, processes
):
    acts("hang")
    amct = start_amct(saved.prefix, *SOC, path=on_path)
    processes.started()
    os.killpg(amct.pid, signal.SIGINT)
    amct.communicate(timeout=30)
    assert "ATC start working" in Path(f"{saved.prefix}.atc.log").read_text()
