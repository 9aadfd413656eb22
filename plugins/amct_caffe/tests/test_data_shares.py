"""Networks that would feed all ranks of a data-parallel run with the same samples are refused."""

from __future__ import annotations

import pytest

from amct_caffe.model.formats.prototxt.document import from_text
from amct_caffe.training import data_shares
from amct_core.errors import ModelError, TrainingError


class Dealing:
    shards_by_rank = True


class Silent:
    pass


def network(body, phase="TRAIN"):
    return from_text(
        f'layer {{ name: "source" top: "x" include {{ phase: {phase} }} {body} }}\n'
        'layer { name: "ip" type: "InnerProduct" bottom: "x" top: "ip" '
        "inner_product_param { num_output: 2 } }",
        "net.prototxt",
    )


def class_of(module, name):
    assert module == "layers"
    return {"Dealing": Dealing, "Silent": Silent}[name]


DIFFERENT = [
    'type: "Data" data_param { source: "x" batch_size: 1 backend: LMDB }',
    'type: "HDF5Data" hdf5_data_param { source: "x" batch_size: 1 }',
    'type: "ImageData" image_data_param { source: "x" shuffle: true }',
    'type: "DummyData" dummy_data_param { shape { dim: 1 } }',
    'type: "Python" python_param { module: "layers" layer: "Dealing" }',
]
SAME = [
    'type: "ImageData" image_data_param { source: "x" }',
    'type: "MemoryData" memory_data_param { batch_size: 1 }',
    'type: "WindowData"',
    'type: "Input" input_param { shape { dim: 1 } }',
    'type: "Python" python_param { module: "layers" layer: "Silent" }',
]


@pytest.mark.parametrize("body", DIFFERENT)
def test_layers_that_give_each_rank_samples_of_its_own_pass(body):
    data_shares.require_shares(network(body), class_of)


@pytest.mark.parametrize("body", SAME)
def test_others_are_refused_by_name_with_the_way_out(body):
    with pytest.raises(TrainingError, match=r"net\.prototxt, layer 'source'.*--same-data"):
        data_shares.require_shares(network(body), class_of)
    # In TEST, the same samples for all do no harm.
    data_shares.require_shares(network(body, "TEST"), class_of)


def test_our_own_data_layer_deals_out_its_samples():
    pytest.importorskip("caffe")
    data_shares.require_shares(
        network('type: "Python" python_param { module: "amct_caffe.layers" layer: "ArrayData" }')
    )


@pytest.mark.parametrize("module", ["no_such_module", "json"])
def test_a_layer_that_cannot_be_imported_says_so(module):
    with pytest.raises(ModelError, match=f"class Own of module {module} cannot be imported"):
        data_shares.require_shares(
            network(f'type: "Python" python_param {{ module: "{module}" layer: "Own" }}')
        )


@pytest.mark.parametrize("backend", ["", "backend: LEVELDB", "backend: 0"])
@pytest.mark.parametrize("phase", ["TRAIN", "TEST"])
def test_a_database_that_one_process_locks_is_refused(backend, phase):
    body = f'type: "Data" data_param {{ source: "x" batch_size: 1 {backend} }}'
    with pytest.raises(TrainingError, match=r"data_param\.backend.*LMDB"):
        data_shares.require_common_databases(network(body, phase))


def test_an_lmdb_can_be_read_by_all():
    data_shares.require_common_databases(network(DIFFERENT[0]))


@pytest.mark.parametrize(
    ("loss_param", "warning"),
    [
        ("normalization: NONE", "multiply loss_weight"),
        ("ignore_label: 255", "valid labels"),
        ("normalization: BATCH_SIZE", None),
        ("normalize: false", None),
    ],
)
def test_losses_that_are_no_mean_over_samples_are_told(loss_param, warning):
    document = from_text(
        'layer { name: "loss" type: "SoftmaxWithLoss" bottom: "x" bottom: "y" top: "loss" '
        f"loss_param {{ {loss_param} }} }}"
    )
    told = list(data_shares.unequal_losses(document))
    assert bool(told) == (warning is not None)
    assert warning is None or ("'loss'" in told[0] and warning in told[0])


@pytest.mark.parametrize(
    ("body", "trained"),
    [("", True), ("use_global_stats: false", True), ("use_global_stats: true", False)],
)
def test_batch_norm_that_follows_its_batch_is_found(body, trained):
    document = from_text(
        'layer { name: "bn" type: "BatchNorm" bottom: "x" top: "y" '
        f"batch_norm_param {{ {body} }} }}"
    )
    assert data_shares.trained_statistics(document) == ("bn" if trained else None)
