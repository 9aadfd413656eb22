"""With each capability taken away, the workflow ends in a message or a fallback, never an abort."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from amct_caffe.model.formats.caffemodel import reader
from amct_caffe.runtime.capabilities.registered import PROBES
from tests.capabilities import networks
from tests.capabilities.standins import amct_lacking, run_lacking

pytestmark = [pytest.mark.caffe, pytest.mark.slow]

QAT_RUN = ("qat", "run", "net.prototxt", "net.caffemodel", "--solver", "solver.prototxt", "-o", "q")

Workflow = Callable[[Path], None]


def refused(
    folder: Path, lacks: str, message: str, text: str = "", inputs: int = 144, **solver: str
) -> None:
    """Assert that ``qat run`` ends with a message that says ``message``, and writes nothing."""
    networks.write(folder, text or networks.network(), inputs, **solver)
    before = sorted(folder.iterdir())
    done = amct_lacking(folder, lacks, *QAT_RUN)
    assert done.returncode == 1
    assert message in done.stderr
    assert sorted(set(folder.iterdir()) - {folder / "amct_log"}) == before


def finished(folder: Path, lacks: str, text: str) -> str:
    """Assert that ``qat run`` takes a network to its end; return what it said."""
    networks.write(folder, text)
    done = amct_lacking(folder, lacks, *QAT_RUN)
    assert done.returncode == 0, done.stderr
    assert (folder / "q/result/model_deploy_weights.caffemodel").exists()
    return done.stderr


def layer_types(folder: Path) -> None:
    curve = 'layer { name: "curve" type: "Sigmoid" bottom: "conv" top: "conv" }'
    refused(
        folder,
        "Sigmoid",
        "layer 'curve': it has no layer type Sigmoid.",
        networks.network(curve),
    )
    finished(folder, "layer_types", networks.network())


def python_layers(folder: Path) -> None:
    refused(folder, "python_layers", "was built without Python layers")


def batch_norm_trained(folder: Path) -> None:
    said = finished(folder, "batch_norm_trained", networks.network(networks.BATCH_NORM))
    assert "BatchNorm is frozen in 1 layers" in said
    assert "this Caffe cannot train them" in said


def batch_norm_names_kept(folder: Path) -> None:
    """Shift N is searched with the same statistics where names are kept and where they are not."""
    records = []
    for lacks in ("", "batch_norm_names_kept"):
        own = folder / f"lacks_{lacks}"
        own.mkdir()
        finished(own, lacks, networks.network(networks.BATCH_NORM))
        records.append((own / "q/record.txt").read_text())
    assert "shift_bit" in records[0]
    assert records[0] == records[1]


def batch_norm_rates_masked(folder: Path) -> None:
    finished(folder, "batch_norm_rates_masked", networks.network(networks.BATCH_NORM))
    (snapshot,) = (folder / "q").glob("**/*_iter_3.caffemodel")
    trained, given = (
        reader.read(str(path)).by_name()["bn"].blobs
        for path in (snapshot, folder / "net.caffemodel")
    )
    for after, before in zip(trained, given):
        np.testing.assert_array_equal(after, before)


def image_data(folder: Path) -> None:
    images = (
        'layer { name: "source" type: "ImageData" top: "data" top: "label" '
        'image_data_param { source: "files.txt" batch_size: 4 new_height: 8 new_width: 8 } }'
    )
    (folder / "files.txt").write_text("a.png 0\n")
    refused(
        folder,
        "image_data",
        "layer 'source': it has no layer type ImageData.",
        networks.network(data=images),
    )


def database(backend: str) -> Workflow:
    def workflow(folder: Path) -> None:
        (folder / "base").mkdir()
        data = (
            'layer { name: "source" type: "Data" top: "data" top: "label" '
            "transform_param { crop_size: 8 } "
            f'data_param {{ source: "base" backend: {backend} batch_size: 4 }} }}'
        )
        refused(
            folder,
            backend.lower(),
            f"layer 'source': it cannot read {backend} (Unknown database backend).",
            networks.network(data=data),
        )

    return workflow


def hdf5_data(folder: Path) -> None:
    files = (
        'layer { name: "source" type: "HDF5Data" top: "data" top: "label" '
        'hdf5_data_param { source: "files.txt" batch_size: 4 } }'
    )
    (folder / "files.txt").write_text("a.h5\n")
    refused(
        folder,
        "hdf5_data",
        "layer 'source': it has no layer type HDF5Data.",
        networks.network(data=files),
    )


def hdf5_snapshots(folder: Path) -> None:
    refused(
        folder,
        "hdf5_snapshots",
        "snapshot_format: it cannot write HDF5 (ToHDF5 requires HDF5",
        snapshot_format="HDF5",
    )


def several_processes(folder: Path) -> None:
    script = """
from amct_caffe.runtime.ranks.data_parallel import declare_ranks
from amct_caffe.runtime.ranks.launch import Launch
from amct_core.errors import EnvironmentUnsuitableError
try:
    declare_ranks(Launch(0, 2))
except EnvironmentUnsuitableError as error:
    print(error)
"""
    done = run_lacking(folder, "several_processes", "-c", script)
    assert "knows of one solver only" in done.stdout, done.stderr
    finished(folder, "several_processes", networks.network())


def layers_without_backward(folder: Path) -> None:
    """ArgMax has none in any Caffe, so nothing need be taken away."""
    text = networks.network(
        'layer { name: "best" type: "ArgMax" bottom: "conv" top: "best" argmax_param { axis: 1 } }'
        'layer { name: "again" type: "Split" bottom: "best" top: "again" }'
    ).replace('bottom: "conv" top: "ip"', 'bottom: "again" top: "ip"')
    refused(folder, "", "layer 'best': ArgMax has no backward pass, and 'conv' before it", text, 36)


def pooling_rounds_down(folder: Path) -> None:
    pool = (
        'layer { name: "pool" type: "Pooling" bottom: "conv" top: "pool" '
        "pooling_param { pool: MAX kernel_size: 2 stride: 2 round_mode: FLOOR } }"
    )
    text = networks.network(pool).replace('bottom: "conv" top: "ip"', 'bottom: "pool" top: "ip"')
    refused(folder, "round_mode", "layer 'pool': its Pooling does not know round_mode.", text, 36)


TAKEN_AWAY: dict[str, Workflow] = {
    "layer_types": layer_types,
    "python_layers": python_layers,
    "batch_norm_trained": batch_norm_trained,
    "batch_norm_names_kept": batch_norm_names_kept,
    "batch_norm_rates_masked": batch_norm_rates_masked,
    "image_data": image_data,
    "lmdb": database("LMDB"),
    "leveldb": database("LEVELDB"),
    "hdf5_data": hdf5_data,
    "hdf5_snapshots": hdf5_snapshots,
    "several_processes": several_processes,
    "layers_without_backward": layers_without_backward,
    "pooling_rounds_down": pooling_rounds_down,
}


@pytest.mark.parametrize("name", PROBES)
def test_the_workflow_ends_in_a_message_or_goes_another_way(name: str, tmp_path: Path) -> None:
    TAKEN_AWAY[name](tmp_path)


def test_a_caffe_whose_import_ends_the_process_is_told_of(tmp_path: Path) -> None:
    refused(tmp_path, "import", "it cannot be used: pycaffe cannot be used: Check failed: error ==")
    done = amct_lacking(tmp_path, "import", "doctor", "--for", "train")
    assert done.returncode == 1
    assert "FAIL  framework of caffe" in done.stdout


def test_whatever_else_caffe_cannot_build_is_told_in_its_words(tmp_path: Path) -> None:
    odd = 'layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" odd_field: 3 }'
    networks.write(tmp_path, networks.network(odd))
    done = amct_lacking(tmp_path, "", *QAT_RUN)
    assert done.returncode == 1
    assert "Caffe cannot build them" in done.stderr
    assert 'has no field named "odd_field"' in done.stderr
    assert not (tmp_path / "q").exists()


@pytest.mark.parametrize(
    ("lacks", "message"),
    [
        ("Sigmoid", "layer 'curve': this Caffe (*) has no layer type Sigmoid."),
        ("round_mode", "layer 'pool': this Caffe (*) does not know round_mode of Pooling."),
    ],
)
def test_verify_in_another_caffe_than_that_of_training(
    tmp_path: Path, lacks: str, message: str
) -> None:
    middle = (
        'layer { name: "curve" type: "Sigmoid" bottom: "conv" top: "conv" }'
        'layer { name: "pool" type: "Pooling" bottom: "conv" top: "pool" '
        "pooling_param { pool: MAX kernel_size: 2 stride: 2 round_mode: FLOOR } }"
    )
    text = networks.network(middle).replace('bottom: "conv" top: "ip"', 'bottom: "pool" top: "ip"')
    networks.write(tmp_path, text, 36)
    data = np.random.default_rng(1).uniform(-1, 1, (2, 3, 8, 8)).astype(np.float32)
    np.savez(tmp_path / "x.npz", data=data)
    assert amct_lacking(tmp_path, "", *QAT_RUN).returncode == 0
    done = amct_lacking(tmp_path, lacks, "verify", "q/result/model", "--data", "x.npz")
    assert done.returncode == 1
    before, after = message.split("*")
    assert before in done.stderr
    assert after in done.stderr


def trained_statistics(folder: Path, lacks: str) -> bool:
    """Take a network with BatchNorm to its end in a Caffe that can train it, and verify it.

    Return whether its statistics moved.
    """
    networks.write(folder, networks.network(networks.BATCH_NORM))
    done = amct_lacking(folder, lacks, *QAT_RUN, has="batch_norm_trained")
    assert done.returncode == 0, done.stderr
    np.savez(folder / "x.npz", data=np.random.default_rng(1).normal(size=(4, 3, 8, 8)))
    verified = amct_lacking(
        folder,
        lacks,
        *("verify", "q/result/model", "--data", "x.npz", "--json"),
        has="batch_norm_trained",
    )
    assert json.loads(verified.stdout)["exact"] is True
    (snapshot,) = (folder / "q").glob("**/*_iter_3.caffemodel")
    files = (snapshot, folder / "net.caffemodel")
    trained, given = (reader.read(str(file)).by_name()["bn"].blobs[0] for file in files)
    return not np.array_equal(trained, given)


def test_a_caffe_that_trains_batch_norm_does_so(tmp_path: Path) -> None:
    assert trained_statistics(tmp_path, "")


def test_where_its_names_are_cleared_it_is_frozen_all_the_same(tmp_path: Path) -> None:
    assert not trained_statistics(tmp_path, "batch_norm_names_kept")


class TestNamesAreClearedWhereTrainingRuns:
    """A model that shares statistics by name comes from a machine whose Caffe keeps names."""

    @pytest.fixture
    def folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """Return a folder with such a model."""
        from amct_core import workflow

        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr("amct_caffe.frontend.reason_to_freeze", lambda: None)
        networks.write(tmp_path, networks.network(networks.BATCH_NORM))
        workflow.create_config("net.prototxt", "net.caffemodel", "c.json")
        modified = ("m.prototxt", "m.caffemodel")
        workflow.insert("net.prototxt", "net.caffemodel", "c.json", *modified, "r.txt")
        solver = (tmp_path / "solver.prototxt").read_text().replace("net.prototxt", "m.prototxt")
        (tmp_path / "solver.prototxt").write_text(f'snapshot_prefix: "s"\n{solver}')
        return tmp_path

    def test_qat_train_refuses_it(self, folder: Path) -> None:
        done = amct_lacking(
            folder,
            "batch_norm_names_kept",
            *("qat", "train", "solver.prototxt", "--weights", "m.caffemodel"),
        )
        assert done.returncode == 1
        assert "layer 'bn': it clears the names of BatchNorm's parameters" in done.stderr
        assert "Insert again on this machine" in done.stderr
        assert not list(folder.glob("s_iter*"))

    def test_a_script_that_does_not_ask_is_told_in_the_first_iteration(self, folder: Path) -> None:
        script = """
from amct_caffe.runtime.pycaffe import caffe
solver = caffe.get_solver("solver.prototxt")
solver.net.copy_from("m.caffemodel")
try:
    solver.step(1)
except Exception as error:
    print(type(error).__name__, error)
"""
        done = run_lacking(folder, "batch_norm_names_kept", "-c", script)
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith("TrainingError")
        assert "the statistics of the BatchNorm behind it never came" in done.stdout
        kept = run_lacking(folder, "", "-c", script)
        assert (kept.returncode, kept.stdout) == (0, "")


def test_doctor_tells_of_each_and_goes_on_behind_one_that_crashes(tmp_path: Path) -> None:
    """Without Python layers nothing else can be asked; everything else is taken away at once."""
    lacks = ",".join([*(set(PROBES) - {"python_layers"}), "round_mode"])
    done = amct_lacking(tmp_path, lacks, "doctor", "--json")
    answers = {each["name"]: each for each in json.loads(done.stdout)["capabilities"]}
    assert list(answers) == list(PROBES)
    there = {name for name, each in answers.items() if each["answer"] == "yes"}
    assert there == {"python_layers", "layers_without_backward"}
    crashed = answers["hdf5_snapshots"]
    assert (crashed["answer"], crashed["sentence"]) == (
        "crashed",
        "ToHDF5 requires HDF5; compile with USE_HDF5.",
    )
