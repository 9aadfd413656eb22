"""Post-training quantization from the trained network to the saved models, in real Caffe."""

from __future__ import annotations

import os
from pathlib import Path

import attrs
import numpy as np
import pytest

from amct_core import record as records
from amct_core.config.ptq import PtqActivation, PtqConfig, PtqLayer
from amct_core.errors import ModelError, QuantizationError, RecordError
from amct_core.file_names import deploy_files, fake_quant_files
from amct_core.graph.shapes import shapes_of_inputs
from amct_core.numerics import arq, ifmr
from amct_core.ptq import workflow
from amct_core.ptq.workflow import PtqNetwork
from cpu_sim_backend import Simulator
from cpu_sim_backend.verify import verify
from plugins.amct_caffe.tests.ptq import networks
from plugins.amct_caffe.tests.ptq.networks import LAYERS, arrays, run
from plugins.amct_caffe.tests.qat.nets import batches, convolution

caffe = pytest.importorskip("caffe")

pytestmark = pytest.mark.caffe

MODIFIED = "tmp/modified.prototxt", "tmp/modified.caffemodel"
RECORD = "tmp/record.txt"


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    """Return the network's files; the folder is the working folder."""
    monkeypatch.chdir(tmp_path)
    return networks.write(tmp_path)


def started(files: tuple[str, str], **changes: object) -> PtqNetwork:
    network = workflow.start_with(networks.config(**changes), "c.json", *files, RECORD)
    workflow.calibration_network(network, *MODIFIED)
    return network


def calibrated(files: tuple[str, str], **changes: object) -> PtqNetwork:
    network = started(files, **changes)
    net = caffe.Net(*MODIFIED, caffe.TEST)
    for seed in range(network.config.batch_num):
        run(net, arrays(seed))
    return network


def test_the_modified_model_has_the_inputs_blobs_and_outputs_of_the_original(files) -> None:
    started(files)
    original, modified = caffe.Net(*files, caffe.TEST), caffe.Net(*MODIFIED, caffe.TEST)
    assert (modified.inputs, modified.outputs) == (original.inputs, original.outputs)
    ours = {name for name in modified.blobs if "_split_" not in name}
    theirs = {name for name in original.blobs if "_split_" not in name}
    assert theirs - ours == {"right", "before", "ip"}  # what only a fused layer read
    assert ours <= theirs


def test_fusion_changes_nothing_and_quantized_weights_little(files) -> None:
    original = run(caffe.Net(*files, caffe.TEST), arrays(1))["prob"]
    started(files)
    assert run(caffe.Net(*MODIFIED, caffe.TEST), arrays(1))["prob"] == pytest.approx(
        original, abs=0.05
    )
    config = networks.config()
    without_weights = config.with_layers({"pool": config.layers["pool"]})
    network = workflow.start_with(without_weights, "c.json", *files, RECORD)
    assert not [node.name for node in network.graph.nodes if node.name.endswith(("_bn", "_scale"))]
    workflow.calibration_network(network, *MODIFIED)
    fused = run(caffe.Net(*MODIFIED, caffe.TEST), arrays(1))["prob"]
    assert fused == pytest.approx(original, abs=1e-5)


def test_the_record_has_the_factors_of_the_data_and_of_the_fused_weights(files) -> None:
    network = started(files)
    net = caffe.Net(*MODIFIED, caffe.TEST)
    seen = [run(net, arrays(seed)) and net.blobs["both"].data.copy() for seed in range(2)]
    record = records.read(RECORD)
    assert list(record) == list(LAYERS)
    scale, offset = ifmr.calibrate(seen)
    entry = record.get("grouped")
    assert (entry.scale_d, entry.offset_d) == (float(scale), offset)
    assert (entry.channels, entry.height, entry.width) == (12, 12, 12)
    weights = network.graph.node("grouped").weights[0]
    assert entry.scale_w == tuple(arq.scales(weights, 0).astype(float))
    assert entry.offset_w == (0,) * 8
    assert len(record.get("ip").scale_w) == 1
    assert record.get("pool").scale_w == ()
    assert not any(entry.shift_bit for entry in record.layers.values())


def test_the_readers_of_one_blob_share_its_factors(files) -> None:
    calibrated(files)
    record = records.read(RECORD)
    first, second = record.get("first"), record.get("second")
    assert (first.scale_d, first.offset_d) == (second.scale_d, second.offset_d)


def test_what_is_saved_is_exact(files) -> None:
    network = calibrated(files)
    written = workflow.save(network, "Both", "result/new/model")
    assert [os.path.basename(path) for path in written] == [
        "model_fake_quant_model.prototxt",
        "model_fake_quant_weights.caffemodel",
        "model_deploy_model.prototxt",
        "model_deploy_weights.caffemodel",
        "model_quant.json",
    ]
    report = verify("result/new/model", arrays(9))
    assert report.exact
    assert [layer.name for layer in report.layers] == list(LAYERS)
    original = run(caffe.Net(*files, caffe.TEST), arrays(9))["prob"]
    quantized = run(caffe.Net(*fake_quant_files("result/new/model"), caffe.TEST), arrays(9))
    assert quantized["prob"] == pytest.approx(original, abs=0.05)


def test_saving_and_calibrating_again_give_the_same_files(files) -> None:
    network = calibrated(files)
    workflow.save(network, "Both", "a")
    workflow.calibration_network(network, *MODIFIED)
    net = caffe.Net(*MODIFIED, caffe.TEST)
    for seed in (0, 1, 2):  # what comes after the last batch changes nothing
        run(net, arrays(seed))
    workflow.save(network, "Both", "b")
    for end in ("fake_quant_weights.caffemodel", "deploy_weights.caffemodel"):
        assert Path(f"a_{end}").read_bytes() == Path(f"b_{end}").read_bytes()


def test_the_batch_size_may_change_from_forward_to_forward(files) -> None:
    network = started(files)
    net = caffe.Net(*MODIFIED, caffe.TEST)
    run(net, arrays(0, samples=1))
    run(net, arrays(1, samples=3))
    workflow.save(network, "Fakequant", "m")


def test_too_few_batches_are_counted_layer_by_layer(files) -> None:
    network = started(files, batch_num=3)
    with pytest.raises(RecordError, match=r"layer:left \(0 of 3 batches seen\)"):
        workflow.save(network, "Both", "m")
    net = caffe.Net(*MODIFIED, caffe.TEST)
    run(net, arrays(0))
    net.forward(start="first", end="first")
    lacking = r"Cannot find scale_d,offset_d,channels,height,width of layer:left \(1 of 3 batches"
    with pytest.raises(RecordError, match=lacking):
        workflow.save(network, "Both", "m")
    assert not os.path.exists("m_deploy_model.prototxt")


def test_a_complete_calibration_leaves_the_record_alone(files) -> None:
    calibrated(files)
    assert sorted(os.listdir("tmp")) == ["modified.caffemodel", "modified.prototxt", "record.txt"]


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_data_that_are_no_numbers_are_refused_with_layer_and_blob(files, bad) -> None:
    network = started(files)
    inputs = arrays(0)
    inputs["other"][0, 0, 0, :3] = bad
    with pytest.raises(QuantizationError, match=r"layer 'right', field 'other'.* 3 values of 864"):
        run(caffe.Net(*MODIFIED, caffe.TEST), inputs)
    with pytest.raises(RecordError, match=r"layer:right \(0 of 2 batches seen\)"):
        workflow.save(network, "Both", "m")


def test_symmetric_activations_have_no_offset(files) -> None:
    network = calibrated(files, activation_offset=False)
    assert {entry.offset_d for entry in records.read(RECORD).layers.values()} == {0}
    workflow.save(network, "Both", "m")
    assert verify("m", arrays(4)).exact


def test_parameters_of_a_layer_reach_the_calibrator(files) -> None:
    config = networks.config(batch_num=1)
    narrow = PtqActivation(search_range=(0.2, 0.3), search_step=0.05)
    layers = {**config.layers, "second": attrs.evolve(config.layers["second"], activation=narrow)}
    network = workflow.start_with(config.with_layers(layers), "c.json", *files, RECORD)
    workflow.calibration_network(network, *MODIFIED)
    net = caffe.Net(*MODIFIED, caffe.TEST)
    run(net, arrays(0))
    record = records.read(RECORD)
    data = net.blobs["grouped"].data
    assert record.get("first").scale_d == float(ifmr.calibrate(data)[0])
    expected = ifmr.calibrate(data, search_range=(0.2, 0.3), search_step=0.05)
    assert record.get("second").scale_d == float(expected[0])
    workflow.save(network, "Both", "m")
    assert verify("m", arrays(4)).exact


def test_without_fusion_everything_stays_and_is_exact(files) -> None:
    network = calibrated(files, do_fusion=False)
    assert "left_bn" in network.graph
    workflow.save(network, "Both", "m")
    assert verify("m", arrays(4)).exact_integers


def test_layers_that_fusion_is_to_skip_keep_their_neighbours(files) -> None:
    network = started(files, skip_fusion_layers=("grouped", "ip"))
    names = [node.name for node in network.graph.nodes if node.name.endswith(("_bn", "_scale"))]
    assert names == ["before_bn", "before_scale", "ip_bn", "ip_scale"]


def test_a_batch_norm_of_the_batchs_own_statistics_is_refused(tmp_path) -> None:
    text = networks.NETWORK.replace("use_global_stats: true", "use_global_stats: false", 1)
    files = networks.write(tmp_path, text)
    with pytest.raises(ModelError, match=r"left_bn.*use_global_stats is false"):
        workflow.start_with(networks.config(), "c.json", *files, str(tmp_path / "r.txt"))


def test_a_modified_model_is_no_original(files) -> None:
    started(files)
    with pytest.raises(ModelError, match=r"'left_calibration'.*expected a float model"):
        workflow.start_with(networks.config(), "c.json", *MODIFIED, "r.txt")
    assert not os.path.exists("r.txt")


def test_amcts_functions_in_amcts_order(files) -> None:
    import amct_caffe as amct

    amct.create_quant_config("tmp/config.json", *files, [], 1)
    graph = amct.init("tmp/config.json", *files, "other/record.txt")
    amct.quantize_model(graph, "more/model.prototxt", "more/model.caffemodel")
    run(caffe.Net("more/model.prototxt", "more/model.caffemodel", caffe.TEST), arrays(0))
    amct.save_model(graph, "Both", "results/net")
    assert verify("results/net", arrays(3)).exact
    amct.convert_model(*files, "other/record.txt", "results/again")
    for end in ("fake_quant_weights.caffemodel", "deploy_weights.caffemodel"):
        saved, again = (Path(f"results/{name}_{end}").read_bytes() for name in ("net", "again"))
        assert saved == again


@pytest.mark.parametrize("save_path", ["", "results/"])
def test_without_a_prefix_the_files_have_no_underscore(files, save_path: str) -> None:
    import amct_caffe as amct

    graph = calibrated(files, batch_num=1)
    amct.save_model(graph, "Both", save_path)
    saved = [os.path.basename(name) for name in (*fake_quant_files(""), *deploy_files(""))]
    assert {*saved, "quant.json"} <= set(os.listdir(save_path or "."))
    assert verify(save_path, arrays(3)).exact
    before = Path(f"{save_path}deploy_weights.caffemodel").read_bytes()
    amct.convert_model(*files, RECORD, save_path)
    assert Path(f"{save_path}deploy_weights.caffemodel").read_bytes() == before


def test_a_shift_in_the_record_is_taken_over_and_the_log_says_so(files, caplog) -> None:
    import amct_caffe as amct

    calibrated(files)
    record = records.read(RECORD)
    entry = attrs.evolve(record.get("grouped"), shift_bit=(2,) * 8)
    records.write(RECORD, record.with_layer("grouped", entry))
    caplog.set_level("WARNING")
    amct.convert_model(*files, RECORD, "shifted")
    assert [r for r in caplog.records if "shift_bit" in r.message and "grouped" in r.message]
    assert verify("shifted", arrays(3)).exact_integers
    text = Path("shifted_deploy_weights.caffemodel").read_bytes()
    amct.convert_model(*files, RECORD, "again")
    assert Path("again_deploy_weights.caffemodel").read_bytes() == text
    records.write(RECORD, record)
    amct.convert_model(*files, RECORD, "plain")
    assert Path("plain_deploy_weights.caffemodel").read_bytes() != text


def test_joint_quant_is_accepted_with_a_warning(files, caplog) -> None:
    network = calibrated(files, joint_quant=True)
    assert "joint_quant is true" in caplog.text
    joint = Path(RECORD).read_text()
    calibrated(files)
    assert Path(RECORD).read_text() == joint
    workflow.save(network, "Fakequant", "m")


def test_a_graph_of_something_else_is_refused(files) -> None:
    import amct_caffe as amct
    from amct_core.errors import ConfigError

    with pytest.raises(ConfigError, match="it is a str; expected what init returned"):
        amct.save_model("net", "Both", "x")


@pytest.mark.parametrize("act_algo", ["hfmg", "min_max", "percentile", "mse", "kl"])
def test_every_calibrator_completes_a_calibration(files, act_algo: str) -> None:
    config = networks.config()
    activation = PtqActivation(act_algo=act_algo)
    layers = {
        name: attrs.evolve(layer, activation=activation) for name, layer in config.layers.items()
    }
    network = workflow.start_with(config.with_layers(layers), "c.json", *files, RECORD)
    workflow.calibration_network(network, *MODIFIED)
    net = caffe.Net(*MODIFIED, caffe.TEST)
    for seed in range(2):
        run(net, arrays(seed))
    workflow.save(network, "Both", "m")
    assert verify("m", arrays(4)).exact
    original = run(caffe.Net(*files, caffe.TEST), arrays(4))["prob"]
    quantized = run(caffe.Net(*fake_quant_files("m"), caffe.TEST), arrays(4))["prob"]
    assert quantized == pytest.approx(original, abs=0.1)


def test_calibration_tells_the_shape_of_data_that_no_file_tells(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    np.savez("x.npz", data=arrays(0, samples=4)["data"])
    text = 'name: "net"\n' + batches(str(tmp_path / "x.npz"), ["data"], 2)
    text += convolution("first", "data", 4, 3)
    files = networks.write(tmp_path, text)
    config = PtqConfig(batch_num=1, layers={"first": PtqLayer()})
    network = workflow.start_with(config, "c.json", *files, RECORD)
    workflow.calibration_network(network, *MODIFIED)
    caffe.Net(*MODIFIED, caffe.TEST).forward()
    workflow.save(network, "Both", "m")
    assert shapes_of_inputs(Simulator(*deploy_files("m")).graph) == {"data": (1, 3, 12, 12)}
    assert verify("m", {"data": arrays(4)["data"]}).exact
