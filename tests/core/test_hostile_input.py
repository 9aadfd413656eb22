"""Broken or hostile files end in an error of ours, and cost no more than their size."""

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from amct_caffe.frontend import CaffeFrontend
from amct_caffe.model.formats.caffemodel import writer
from amct_caffe.model.formats.prototxt import document as documents
from amct_caffe.passes.inserted import read_inserted
from amct_caffe.qat.parameters import ActivationParameters, WeightParameters, from_param_str
from amct_caffe.saving.retrained import read_retrained_network
from amct_core.array_files import load_npz
from amct_core.cli.main import INTERNAL_ERROR, cli
from amct_core.config import json_format
from amct_core.errors import (
    ConfigError,
    EnvironmentUnsuitableError,
    FileFormatError,
    ModelError,
)
from amct_core.network_state import NetworkState
from amct_core.numerics import dequant
from amct_core.ptq import kept_batches, progress
from amct_core.textproto import parse
from ascend_backend.lint import lint
from cpu_sim_backend import Simulator
from cpu_sim_backend.data.npz import NpzSource, NpzWriter


@pytest.mark.parametrize(
    "text",
    [
        '{"batch_num": 1' + "0" * 500 + "}",
        '{"conv": {"retrain_data_config": {"clip_max": 1' + "0" * 400 + "}}}",
        '{"version": ' + "[" * 200 + "]" * 200 + "}",
        '{"version": ' + "[" * 100_000 + "]" * 100_000 + "}",
    ],
)
def test_a_config_with_absurd_numbers_or_nesting_is_refused(text):
    with pytest.raises(ConfigError, match=r"64 bits|too deep"):
        json_format.parse(text, "config.json")


@pytest.mark.parametrize("prefix", ["", "0x", "1.", "-"])
def test_a_number_with_a_letter_behind_it_is_refused_where_it_begins(prefix):
    # Quadratic time would make hours of this.
    with pytest.raises(FileFormatError, match="line 1, column 6"):
        parse("dim: " + prefix + "9" * 2_000_000 + "x")


def test_an_integer_of_many_digits_is_no_integer():
    with pytest.raises(FileFormatError, match="expected an integer"):
        parse("dim: " + "9" * 1000).integer("dim")
    with pytest.raises(FileFormatError, match="expected a number"):
        parse("dim: 0x" + "f" * 1000).number("dim")


def _npz(path: Path, header: bytes, data: bytes = b"") -> str:
    with zipfile.ZipFile(path, "w") as archive:
        magic = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little")
        archive.writestr("data.npy", magic + header + data)
    return str(path)


@pytest.mark.parametrize(
    "header",
    [
        b"{'descr': '<f4', 'fortran_order': False, 'shape': (1000000, 1000000)}\n",
        b"{'descr': '<f4', 'fortran_order': False, 'shape': (-1, 4)}\n",
        b"{'descr': '|V0', 'fortran_order': False, 'shape': (4,)}\n",
        b"{'descr': '<f4', 'fortran_order': False, 'shape': (1,\n",
        b"(((\n",
    ],
)
def test_an_npz_header_that_does_not_fit_the_file_is_refused(tmp_path, header):
    with pytest.raises(FileFormatError, match=r"cannot be read as an \.npz file"):
        NpzSource(_npz(tmp_path / "data.npz", header))


@pytest.mark.parametrize("name", ["../data", "/data", "a/../../data", "a\\..\\data"])
def test_a_blob_whose_name_leads_outside_is_not_written(tmp_path, name):
    writer = NpzWriter(str(tmp_path / "out.npz"), str(tmp_path))
    with pytest.raises(ModelError, match="lie outside"):
        writer.add({name: np.zeros((1, 2), np.float32)})


def test_a_blob_with_a_slash_in_its_name_is_written(tmp_path):
    writer = NpzWriter(str(tmp_path / "out.npz"), str(tmp_path))
    writer.add({"inception_3a/1x1": np.zeros((1, 2), np.float32)})
    assert writer.close() == {"inception_3a/1x1": (1, 2)}


def test_an_exception_that_is_none_of_ours_leaves_a_report(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("amct_core.cli.plugins.registries", _fail, raising=False)
    monkeypatch.setattr("amct_core.plugins.registries", _fail)
    result = CliRunner().invoke(cli, ["plugins"])
    assert result.exit_code == INTERNAL_ERROR
    (report,) = tmp_path.glob("amct_internal_error_*.txt")
    assert "Traceback" in report.read_text() and "a fault of ours" in report.read_text()


def _fail(*_: object) -> None:
    raise IndexError("a fault of ours")


CONVOLUTION = """
layer {{ name: "data" type: "Input" top: "data"
  input_param {{ shape {{ dim: 1 dim: {channels} dim: 6 dim: 6 }} }} }}
layer {{ name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param {{ num_output: 4 kernel_size: 3 bias_term: false {fields} }} }}
"""


def _convolution(folder: Path, channels: int, fields: str) -> "tuple[str, str]":
    model, weights = folder / "net.prototxt", folder / "net.caffemodel"
    model.write_text(CONVOLUTION.format(channels=channels, fields=fields))
    with weights.open("wb") as stream:
        blobs = [np.ones((4, 1, 3, 3), np.float32)]
        writer.write(stream, "net", [("conv", "Convolution", blobs)])
    return str(model), str(weights)


@pytest.mark.parametrize("engine", ["reference", "fast"])
@pytest.mark.parametrize(
    ("channels", "fields", "words"),
    [
        (3, "group: 2", "its group is 2; expected a divisor of 3"),
        (3, "group: 3", "its group is 3; expected a divisor of 4, the num_output"),
        (2, "group: 0", "its group is 0"),
        (1, "stride: 0", "its stride is"),
        (1, "pad: 4000000", "its pad is"),
    ],
)
def test_no_engine_computes_a_convolution_that_caffe_refuses(
    tmp_path, engine, channels, fields, words
):
    files = _convolution(tmp_path, channels, fields)
    x = {"data": np.ones((1, channels, 6, 6), np.float32)}
    with pytest.raises(ModelError, match=words):
        Simulator(*files, engine=engine).run(x)


def test_an_output_of_more_numbers_than_caffe_counts_is_refused(tmp_path):
    # The padded input has 6e8 numbers; four outputs of this size have more than 2**31 - 1.
    files = _convolution(tmp_path, 1, "pad: 12000")
    with pytest.raises(ModelError, match="expected at most 2147483647 numbers"):
        Simulator(*files).run({"data": np.ones((1, 1, 6, 6), np.float32)})


@pytest.mark.parametrize(
    "text",
    ["[" * 100_000, '{"conv": ' * 200 + "1" + "}" * 200, '{"conv": 1.5}', '{"conv": null}', "[1]"],
)
def test_a_note_of_progress_that_is_no_object_of_counts_is_refused(tmp_path, text):
    record = tmp_path / "record.txt"
    Path(progress.progress_file(str(record))).write_text(text)
    with pytest.raises(FileFormatError, match=r"not a JSON object of counts.*Delete it"):
        progress.read(str(record))


@pytest.mark.parametrize(
    "header",
    [
        b"{'descr': '<f4', 'fortran_order': False, 'shape': (1000000, 1000000)}\n",
        b"{'descr': '|O', 'fortran_order': False, 'shape': (1,)}\n",
        b"(((\n",
    ],
)
def test_a_kept_batch_whose_header_does_not_fit_is_refused(tmp_path, header):
    path = tmp_path / "0_1.npy"
    path.write_bytes(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + b"\0" * 8)
    with pytest.raises(FileFormatError, match=r"cannot be read as an \.npy file.*Calibrate again"):
        list(kept_batches.batches(str(tmp_path / "0")))


def test_what_numpy_writes_is_read(tmp_path):
    arrays = {
        "c": np.arange(6, dtype=np.float32).reshape(2, 3),
        "f": np.asfortranarray(np.arange(6, dtype=">i2").reshape(2, 3)),
        "scalar": np.float64(3),
        "empty": np.zeros((0, 3), np.int8),
    }
    np.savez_compressed(tmp_path / "a.npz", **arrays)
    found = load_npz(str(tmp_path / "a.npz"), "")
    assert found.keys() == arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[name], array)


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        ('type: "ReLU" top: "y"', "field 'bottom': it has 0 bottoms; expected 1 for"),
        ('type: "Pooling" bottom: "data" pooling_param { kernel_size: 2 }', "it has 0 tops"),
        (
            'type: "Convolution" bottom: "data" convolution_param { kernel_size: 1 }',
            "it has 0 tops",
        ),
        ('type: "Pooling" bottom: "data" bottom: "data" top: "y"', "it has 2 bottoms; expected 1"),
        ('type: "Crop" bottom: "data" top: "y"', "it has 1 bottoms; expected 2 for"),
        ('type: "Crop" bottom: "data" bottom: "data" bottom: "data" top: "y"', "it has 3 bottoms"),
        ('type: "Input"', "it has 0 tops"),
    ],
)
def test_a_layer_without_the_blobs_of_its_type_is_refused(tmp_path, layer, words):
    model = tmp_path / "net.prototxt"
    data = 'layer { name: "d" type: "Input" top: "data" input_param { shape { dim: 1 dim: 4 } } }'
    model.write_text(data + f'layer {{ name: "y" {layer} }}')
    with pytest.raises(ModelError, match=words):
        CaffeFrontend().read_deployed(str(model))


def test_losses_and_sinks_need_no_top(tmp_path):
    model = tmp_path / "net.prototxt"
    model.write_text(
        'layer { name: "d" type: "Input" top: "data" top: "label" input_param {'
        " shape { dim: 1 dim: 4 } } }"
        'layer { name: "loss" type: "SoftmaxWithLoss" bottom: "data" bottom: "label" }'
        'layer { name: "s" type: "Silence" bottom: "label" }'
    )
    assert len(CaffeFrontend().read(str(model)).test.nodes) == 3


ACTIVATION = {
    "layers": ["conv"],
    "algo": "ulq_quantize",
    "init_algo": "ifmr",
    "batch_num": 1,
    "fixed_min": False,
    "record_file": "record.txt",
}
WEIGHT = {
    "layer": "conv",
    "algo": "arq_retrain",
    "shape": [4, 1, 3, 3],
    "output_axis": 0,
    "channel_wise": True,
    "batch_num": 1,
    "record_file": "record.txt",
}


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        (ActivationParameters, {"batch_num": {}}),
        (ActivationParameters, {"batch_num": True}),
        (ActivationParameters, {"fixed_min": 1}),
        (ActivationParameters, {"layers": "conv"}),
        (ActivationParameters, {"layers": []}),
        (ActivationParameters, {"layers": [1]}),
        (ActivationParameters, {"init_algo": 3}),
        (ActivationParameters, {"test_state": {"level": "1"}}),
        (ActivationParameters, {"test_state": {"rank": 1}}),
        (ActivationParameters, {"input_shapes": {"data": [1, "3"]}}),
        (ActivationParameters, {"unknown": 1}),
        (WeightParameters, {"output_axis": 4}),
        (WeightParameters, {"output_axis": -1}),
        (WeightParameters, {"shape": [4, None]}),
        (WeightParameters, {"smallest_scale_d": "1"}),
    ],
)
def test_parameters_of_an_inserted_layer_are_of_their_types(kind, change):
    fields = {**(ACTIVATION if kind is ActivationParameters else WEIGHT), **change}
    with pytest.raises(FileFormatError, match=r"conv_qat.*cannot be read as"):
        from_param_str(kind, json.dumps(fields), "conv_qat")


def test_parameters_of_an_inserted_layer_are_read_as_they_are_written():
    state = {"level": 2, "stages": ["deploy"]}
    shapes = {"data": [1, 3, 8, 8]}
    text = json.dumps({**ACTIVATION, "test_state": state, "input_shapes": shapes})
    found = from_param_str(ActivationParameters, text)
    assert found.test_state == NetworkState(2, ("deploy",))
    assert found.input_shapes == {"data": (1, 3, 8, 8)}
    weight = from_param_str(WeightParameters, json.dumps({**WEIGHT, "smallest_scale_d": 1}))
    assert (weight.channels, weight.smallest_scale_d) == (4, 1)


@pytest.mark.parametrize("text", ["[" * 100_000, '{"layers": 1' + "0" * 500 + "}", "[]", "3"])
def test_parameters_that_are_no_sane_json_object_are_refused(text):
    with pytest.raises(FileFormatError, match="cannot be read as ActivationParameters"):
        from_param_str(ActivationParameters, text)


INSERTED = """
layer {{ name: "data" type: "Input" top: "data" input_param {{ shape {{ dim: 1 dim: 4 }} }} }}
layer {{ name: "qat" type: "Python" {blobs}
  python_param {{ module: "amct_caffe.layers" layer: "ActivationQAT" param_str: '{text}' }} }}
layer {{ name: "{name}" type: "InnerProduct" bottom: "qat" top: "fc"
  inner_product_param {{ num_output: 2 }} }}
"""


@pytest.mark.parametrize(
    ("blobs", "name", "words"),
    [
        ('bottom: "data"', "conv", "layer 'qat', field 'top': it has 0 tops; an ActivationQAT has"),
        ('top: "qat"', "conv", "layer 'qat', field 'bottom': it has 0 bottoms"),
        ('bottom: "data" top: "qat"', "fc", "layer 'conv': layers were inserted for it"),
    ],
)
def test_inserted_layers_without_what_they_work_on_are_refused(tmp_path, blobs, name, words):
    model = tmp_path / "net.prototxt"
    model.write_text(INSERTED.format(blobs=blobs, name=name, text=json.dumps(ACTIVATION)))
    with pytest.raises(ModelError, match=words):
        read_inserted(documents.read(str(model)))


def _deployed(folder: Path, *layers: str) -> str:
    model = folder / "net.prototxt"
    data = 'layer { name: "d" type: "Input" top: "x" input_param { shape { %s } } }'
    dims = "dim: 1 dim: 4 dim: 4 dim: 6"
    model.write_text("\n".join([data % dims, *layers]))
    return str(model)


def _weights(folder: Path, kind: str, *shapes: "tuple[int, ...]") -> str:
    path = folder / "net.caffemodel"
    with path.open("wb") as stream:
        writer.write(stream, "net", [("y", kind, [np.ones(shape, np.float32) for shape in shapes])])
    return str(path)


@pytest.mark.parametrize(
    ("layer", "shapes", "words"),
    [
        ('type: "Softmax" softmax_param { axis: 4 }', (), "works along axis 4"),
        ('type: "Pooling" pooling_param { kernel_size: 2 stride: 0 }', (), "its stride"),
        (
            'type: "Pooling" pooling_param { kernel_size: 2 stride: 4294967295 }',
            (),
            "its stride",
        ),
        ('type: "Pooling" pooling_param { kernel_size: 2 pad: 2 }', (), "pad smaller than"),
        ('type: "Pooling" pooling_param { global_pooling: true pad: 1 }', (), "pad smaller than"),
        ('type: "LRN" lrn_param { local_size: 4 }', (), "expected an odd number"),
        ('type: "LRN" lrn_param { local_size: 2147483647 }', (), "expected an odd number"),
        ('type: "ArgMax" argmax_param { axis: 1 top_k: 5 }', (), "expected 1 to 4"),
        ('type: "Reshape" reshape_param { shape { dim: -1 dim: -1 } }', (), "no shape for"),
        ('type: "Reshape" reshape_param { shape { dim: 4 } axis: 9 }', (), "no axes 9"),
        ('type: "Flatten" flatten_param { axis: 3 end_axis: 1 }', (), "no axes from 3 to 1"),
        ('type: "Slice" top: "z" top: "w" slice_param { axis: 1 }', (), "3 equal parts"),
        ('type: "Slice" top: "z" slice_param { slice_point: 1 slice_point: 2 }', (), "2 outputs"),
        ('type: "Eltwise" bottom: "x" eltwise_param { coeff: 1 }', (), "1 coefficients for 2"),
        ('type: "Crop" bottom: "x" crop_param { offset: 1 offset: 1 offset: 1 }', (), "3 offsets"),
        ('type: "ShuffleChannel" shuffle_channel_param { group: 3 }', (), "multiple of 3"),
        ('type: "PriorBox" prior_box_param { min_size: inf }', (), "expected finite numbers"),
        ('type: "ReLU" top: "z"', (), "2 outputs"),
        ('type: "PReLU"', ((3,),), "has 4 channels; blob 0 is for 3"),
        ('type: "BatchNorm"', ((3,), (3,), (1,)), "its statistics are for 3"),
        ('type: "Scale" scale_param { axis: 1 }', ((3,),), "is to be combined from axis 1"),
        ('type: "Scale" scale_param { axis: 1 num_axes: -1 }', ((4,),), "combined from axis 1"),
        ('type: "Bias"', ((3,),), "is to be combined from axis 1"),
        ('type: "Normalize" norm_param { channel_shared: false }', ((3,),), "blob 0 is for 3"),
        ('type: "BN"', ((1, 3, 1, 1),) * 4, "blob 0 is for 3"),
        ('type: "Interp" interp_param { height: 2 width: 2 pad_beg: -2 pad_end: -2 }', (), "left"),
        ('type: "Upsample" upsample_param { scale: inf }', (), "another Caffe's Upsample"),
        ('type: "Scale"', (), "no weights for it"),
        ('type: "PReLU"', (), "no weights for it"),
        ('type: "InnerProduct" inner_product_param { num_output: 2 }', ((2, 9), (2,)), "9 values"),
        (
            'type: "Deconvolution" convolution_param { num_output: 2 kernel_size: 1 '
            "bias_term: false }",
            ((3, 2, 1, 1),),
            "3 channels",
        ),
    ],
)
def test_a_layer_that_does_not_fit_its_input_is_refused_by_both_engines(
    tmp_path, layer, shapes, words
):
    kind = layer.split('"')[1]
    model = _deployed(tmp_path, f'layer {{ name: "y" bottom: "x" top: "y" {layer} }}')
    weights = _weights(tmp_path, kind, *shapes)
    for engine in ("reference", "fast"):
        with pytest.raises(ModelError, match=words):
            Simulator(model, weights, engine).run({"x": np.ones((1, 4, 4, 6), np.float32)})


@pytest.mark.parametrize(
    ("dims", "layer", "words"),
    [
        ((1, 4), 'type: "LRN"', "has 2 axes; expected 4"),
        ((1, 2, 2, 2, 2), 'type: "MVN"', "has 5 axes; expected 1 to 4"),
        ((1, 4), 'type: "Interp" interp_param { height: 2 width: 2 }', "has 2 axes; expected 4"),
        ((1,), 'type: "ShuffleChannel" shuffle_channel_param { group: 1 }', "has 1 axes"),
    ],
)
def test_a_layer_that_takes_images_is_refused_for_other_inputs(tmp_path, dims, layer, words):
    model = tmp_path / "net.prototxt"
    shape = " ".join(f"dim: {size}" for size in dims)
    data = f'layer {{ name: "d" type: "Input" top: "x" input_param {{ shape {{ {shape} }} }} }}'
    model.write_text(f'{data} layer {{ name: "y" bottom: "x" top: "y" {layer} }}')
    for engine in ("reference", "fast"):
        with pytest.raises(ModelError, match=words):
            Simulator(str(model), _weights(tmp_path, "Nothing"), engine).run(
                {"x": np.ones(dims, np.float32)}
            )


def test_inputs_of_a_sum_have_one_shape(tmp_path):
    model = _deployed(
        tmp_path,
        'layer { name: "half" type: "Slice" bottom: "x" top: "a" top: "b" '
        "slice_param { axis: 1 slice_point: 1 } }",
        'layer { name: "sum" type: "Eltwise" bottom: "a" bottom: "b" top: "y" }',
    )
    for engine in ("reference", "fast"):
        with pytest.raises(ModelError, match=r"layer 'sum'.*differs from another one"):
            Simulator(model, _weights(tmp_path, "Nothing"), engine).run(
                {"x": np.ones((1, 4, 4, 6), np.float32)}
            )


def test_a_dequant_has_a_factor_per_channel(tmp_path):
    model = _deployed(
        tmp_path,
        'layer { name: "q" bottom: "x" top: "q" type: "Quant" '
        'quant_param { scale: 1 offset: "\\000" } }',
        'layer { name: "conv" type: "Pooling" bottom: "q" top: "a" '
        "pooling_param { pool: AVE kernel_size: 2 } }",
        'layer { name: "y" type: "DeQuant" bottom: "a" top: "y" }',
    )
    weights = tmp_path / "net.caffemodel"
    with weights.open("wb") as stream:
        writer.write(stream, "net", [("y", "DeQuant", [np.ones(3, np.uint64)])])
    for engine in ("reference", "fast"):
        with pytest.raises(ModelError, match=r"it has 3 factors; its input has 4 channels"):
            Simulator(model, str(weights), engine)


def test_factors_without_an_axis_are_one_for_all_channels(tmp_path):
    model = _deployed(
        tmp_path,
        'layer { name: "q" bottom: "x" top: "q" type: "Quant" '
        'quant_param { scale: 1 offset: "\\000" } }',
        'layer { name: "conv" type: "Pooling" bottom: "q" top: "a" '
        "pooling_param { pool: AVE kernel_size: 2 } }",
        'layer { name: "y" type: "DeQuant" bottom: "a" top: "y" }',
    )
    word, outputs = dequant.pack(np.float32([0.5]), np.uint8([0])), []
    for shape in ((1,), ()):
        weights = tmp_path / "net.caffemodel"
        with weights.open("wb") as stream:
            writer.write(stream, "net", [("y", "DeQuant", [word.reshape(shape)])])
        for engine in ("reference", "fast"):
            found = Simulator(model, str(weights), engine)
            outputs.append(found.run({"x": np.ones((1, 4, 4, 6), np.float32)})["y"])
    for each in outputs[1:]:
        np.testing.assert_array_equal(each, outputs[0])


def test_a_network_that_onnx_cannot_express_is_refused(tmp_path):
    onnx_export = pytest.importorskip("cpu_sim_backend.onnx_export.export")
    quant = 'type: "Quant" quant_param { scale: 1 offset: "\\000" }'
    model = _deployed(tmp_path, f'layer {{ name: "q" bottom: "x" top: "q" {quant} }}')
    simulator = Simulator(model, _weights(tmp_path, "Nothing"))
    with pytest.raises(ModelError, match="it has no valid form in ONNX"):
        onnx_export.export(simulator.graph)


@pytest.mark.parametrize("scale", ["-0.0", "-1", "nan", "inf", "1e39", "1e-46"])
def test_both_engines_refuse_a_quant_with_a_scale_that_is_none(tmp_path, scale):
    quant = f'type: "Quant" quant_param {{ scale: {scale} offset: "\\000" }}'
    model = _deployed(tmp_path, f'layer {{ name: "q" bottom: "x" top: "q" {quant} }}')
    for engine in ("reference", "fast"):
        with pytest.raises(ModelError, match="quant_scale is"):
            Simulator(model, _weights(tmp_path, "Nothing"), engine)


def test_an_index_that_names_no_image_is_refused(tmp_path):
    model = tmp_path / "net.prototxt"
    model.write_text(
        'layer { name: "d" type: "Input" top: "x" top: "i" input_param {'
        " shape { dim: 1 dim: 2 } shape { dim: 1 } } }"
        'layer { name: "pick" type: "BatchReindex" bottom: "x" bottom: "i" top: "y" }'
    )
    simulator = Simulator(str(model), _weights(tmp_path, "Nothing"))
    x = np.ones((1, 2), np.float32)
    assert simulator.run({"x": x, "i": np.zeros(1)})["y"].shape == (1, 2)
    for index in (1, -1, np.nan, np.inf):
        with pytest.raises(ModelError, match=r"images out of 0\.\.0"):
            simulator.run({"x": x, "i": np.array([index], np.float32)})


def test_a_bottom_that_only_a_namesake_has_is_missing(tmp_path):
    relu = 'layer { name: "same" type: "ReLU" bottom: "%s" top: "%s" }'
    model = _deployed(tmp_path, relu % ("nowhere", "y"), relu % ("x", "z"))
    with pytest.raises(ModelError, match="reads 'nowhere', which no layer before it makes"):
        CaffeFrontend().read_deployed(model)


def test_inputs_have_as_many_shapes_as_tops(tmp_path):
    model = tmp_path / "net.prototxt"
    model.write_text(
        'layer { name: "d" type: "Input" top: "x" top: "y" top: "z" input_param {'
        " shape { dim: 1 dim: 2 } shape { dim: 1 } } }"
    )
    with pytest.raises(ModelError, match="2 shapes for 3 tops"):
        Simulator(str(model), _weights(tmp_path, "Nothing"))


@pytest.mark.parametrize("dim", [0, -1])
def test_constants_without_a_number_are_refused(tmp_path, dim):
    constant = f"dummy_data_param {{ shape {{ dim: 2 dim: {dim} }} }}"
    model = _deployed(tmp_path, f'layer {{ name: "c" type: "DummyData" top: "c" {constant} }}')
    for engine in ("reference", "fast"):
        with pytest.raises(ModelError, match="expected sizes above 0"):
            Simulator(model, _weights(tmp_path, "Nothing"), engine)


@pytest.mark.parametrize("engine", ["reference", "fast"])
def test_a_layer_that_takes_more_memory_than_there_is_is_named(tmp_path, monkeypatch, engine):
    def too_much(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr("amct_caffe.model.layer_types.layout.np.concatenate", too_much)
    model = _deployed(
        tmp_path, 'layer { name: "t" type: "Tile" bottom: "x" top: "t" tile_param { tiles: 3 } }'
    )
    simulator = Simulator(model, _weights(tmp_path, "Nothing"), engine)
    with pytest.raises(EnvironmentUnsuitableError, match=r"layer 't'.*not enough memory"):
        simulator.run({"x": np.ones((1, 4, 4, 6), np.float32)})


def test_layers_are_inserted_only_for_what_can_be_quantized(tmp_path):
    model = tmp_path / "net.prototxt"
    relu = 'layer { name: "conv" type: "ReLU" bottom: "qat" top: "relu" }'
    text = INSERTED.format(
        blobs='bottom: "data" top: "qat"', name="fc", text=json.dumps(ACTIVATION)
    )
    model.write_text(text + relu)
    with pytest.raises(ModelError, match="layer 'conv': layers were inserted for it"):
        read_inserted(documents.read(str(model)))


def test_a_quantized_layer_has_one_input_and_one_output(tmp_path):
    model = _deployed(
        tmp_path,
        'layer { name: "q" bottom: "x" top: "q" type: "Quant" '
        'quant_param { scale: 1 offset: "\\000" } }',
        'layer { name: "conv" type: "Pooling" bottom: "q" top: "a" top: "b" '
        "pooling_param { pool: AVE kernel_size: 2 } }",
        'layer { name: "dq" type: "DeQuant" bottom: "b" top: "y" }',
    )
    for engine in ("reference", "fast"):
        with pytest.raises(ModelError, match="has 1 inputs and 2 outputs; expected one each"):
            Simulator(model, _weights(tmp_path, "Nothing"), engine)


def test_a_convolution_has_as_many_tops_as_bottoms(tmp_path):
    fields = "convolution_param { num_output: 4 kernel_size: 1 }"
    conv = f'layer {{ name: "y" type: "Convolution" bottom: "x" top: "y" top: "z" {fields} }}'
    model = _deployed(tmp_path, conv)
    with pytest.raises(ModelError, match="it has 2 outputs; its parameters are for 1"):
        Simulator(model, _weights(tmp_path, "Convolution", (4, 4, 1, 1), (4,)))


@pytest.mark.parametrize("state", [[np.inf, 1, 1, -1], [np.nan, 1, 1, -1], [1, 1, 1]])
def test_a_snapshot_whose_state_counts_nothing_is_refused(tmp_path, state):
    model, weights = tmp_path / "net.prototxt", tmp_path / "net.caffemodel"
    blobs = 'bottom: "data" top: "qat"'
    model.write_text(INSERTED.format(blobs=blobs, name="conv", text=json.dumps(ACTIVATION)))
    with weights.open("wb") as stream:
        bounds = [np.float32([1]), np.float32([-1]), np.float32(state)]
        fc = [np.ones((2, 4), np.float32), np.ones(2, np.float32)]
        writer.write(stream, "net", [("qat", "Python", bounds), ("conv", "InnerProduct", fc)])
    with pytest.raises(ModelError, match=r"layer 'qat'.*do not count its iterations"):
        read_retrained_network(str(model), str(weights))


@pytest.mark.parametrize(
    "blobs", ['bottom: "x" top: "q" top: "r"', 'bottom: "x" bottom: "x" top: "q"']
)
def test_a_quant_has_one_bottom_and_one_top(tmp_path, blobs):
    fields = 'type: "Quant" quant_param { scale: 1 offset: "\\000" }'
    model = _deployed(tmp_path, f'layer {{ name: "q" {blobs} {fields} }}')
    for engine in ("reference", "fast"):
        with pytest.raises(ModelError, match=r"layer 'q'.*expected one each"):
            Simulator(model, _weights(tmp_path, "Nothing"), engine)


@pytest.mark.parametrize("stride", [2**31, 2**63])
def test_lint_takes_a_stride_that_no_integer_type_holds(tmp_path, stride):
    seeds = Path(__file__).parents[1] / "fuzz/seeds/graph"
    text = (seeds / "averages.prototxt").read_text()
    assert "stride: 2\n    pad: 1" in text
    model = tmp_path / "net.prototxt"
    model.write_text(text.replace("stride: 2\n    pad: 1", f"stride: {stride}\n    pad: 1"))
    lint(str(model), str(seeds / "averages.caffemodel"))
