"""Which samples Caffe's own data layers give to one rank of several: found out in real Caffe.

What :mod:`amct_caffe.training.data_shares` lets pass rests on this.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import List, Sequence

import numpy as np
import pytest

pytestmark = [pytest.mark.caffe, pytest.mark.needs("several_processes")]

SAMPLES, BATCH, BATCHES = 12, 3, 4

FEED = """
import json, os, sys
import caffe
ranks, size, phase = json.loads(sys.argv[1]), int(sys.argv[2]), getattr(caffe, sys.argv[3])
for rank in ranks:
    if os.fork():  # a process of its own for each rank, which need not load Caffe again
        _, status = os.wait()
        assert status == 0
        continue
    caffe.set_multiprocess(True)
    caffe.set_solver_count(size)
    caffe.set_solver_rank(rank)
    caffe.set_random_seed(7 + rank)  # as Caffe's solver does
    net = caffe.Net("net.prototxt", phase)
    batches = []
    for _ in range(int(sys.argv[4])):
        net.forward()
        batches.append(net.blobs["label"].data.astype(int).ravel().tolist())
    print(json.dumps(batches), flush=True)
    os._exit(0)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with the samples 0, 1, 2, ... in every form that Caffe reads."""
    lmdb = pytest.importorskip("lmdb")
    h5py = pytest.importorskip("h5py")
    image = pytest.importorskip("PIL.Image")
    from amct_caffe.runtime.pycaffe import caffe

    datum_of = caffe.proto.caffe_pb2.Datum
    database = lmdb.open(str(tmp_path / "lmdb"), map_size=1 << 22)
    with database, database.begin(write=True) as transaction:
        for index in range(SAMPLES):
            datum = datum_of(channels=1, height=1, width=1, data=bytes([index]), label=index)
            transaction.put(b"%04d" % index, datum.SerializeToString())
    with h5py.File(tmp_path / "samples.h5", "w") as file:
        file["label"] = np.arange(SAMPLES, dtype=np.float32)
    (tmp_path / "h5.txt").write_text("samples.h5\n")
    for index in range(SAMPLES):
        image.fromarray(np.full((2, 2), index, np.uint8)).save(tmp_path / f"{index}.png")
    (tmp_path / "images.txt").write_text("".join(f"{i}.png {i}\n" for i in range(SAMPLES)))
    return tmp_path


def samples(
    folder: Path, layer: str, ranks: Sequence[int], size: int, phase: str = "TRAIN"
) -> List[List[int]]:
    """Return the samples of :data:`BATCHES` batches, for each of some ranks."""
    (folder / "net.prototxt").write_text(f'layer {{ name: "source" {layer} }}')
    result = subprocess.run(
        [sys.executable, "-c", FEED, json.dumps(list(ranks)), str(size), phase, str(BATCHES)],
        cwd=folder,
        env={**os.environ, "GLOG_minloglevel": "2"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.returncode == 0, result.stderr
    of_ranks = [json.loads(line) for line in result.stdout.splitlines()]
    return [[sample for batch in batches for sample in batch] for batches in of_ranks]


LMDB = (
    'top: "data" top: "label" type: "Data" '
    f'data_param {{ source: "lmdb" backend: LMDB batch_size: {BATCH} }}'
)
HDF5 = (
    'top: "label" type: "HDF5Data" '
    f'hdf5_data_param {{ source: "h5.txt" batch_size: {BATCH} SHUFFLE }}'
)
IMAGES = (
    'top: "data" top: "label" type: "ImageData" '
    f'image_data_param {{ source: "images.txt" batch_size: {BATCH} SHUFFLE }}'
)
DEALT = {"Data": LMDB, "HDF5Data": HDF5.replace("SHUFFLE", "")}
DATABASES = [
    pytest.param("Data", marks=pytest.mark.needs("lmdb")),
    pytest.param("HDF5Data", marks=pytest.mark.needs("hdf5_data")),
]
EVERYTHING = list(range(SAMPLES))


@pytest.mark.parametrize("layer", DATABASES)
def test_a_single_process_gets_all_samples_in_order(folder: Path, layer: str) -> None:
    assert samples(folder, DEALT[layer], [0], 1) == [EVERYTHING]


@pytest.mark.parametrize("layer", DATABASES)
@pytest.mark.parametrize("size", [2, 3])
def test_the_batches_of_all_ranks_are_one_batch_of_a_single_process(
    folder: Path, layer: str, size: int
) -> None:
    shares = samples(folder, DEALT[layer], range(size), size)
    assert np.ravel(shares, "F").tolist() == [i % SAMPLES for i in range(SAMPLES * size)]


@pytest.mark.parametrize("layer", DATABASES)
def test_in_test_every_rank_gets_all_samples(folder: Path, layer: str) -> None:
    assert samples(folder, DEALT[layer], [1], 2, "TEST") == [EVERYTHING]


@pytest.mark.needs("hdf5_data")
def test_shuffled_hdf5_is_dealt_out_without_repeats(folder: Path) -> None:
    shares = samples(folder, HDF5.replace("SHUFFLE", "shuffle: true"), range(2), 2)
    first_epoch = [share[: SAMPLES // 2] for share in shares]
    assert sorted(np.ravel(first_epoch)) == EVERYTHING
    assert np.ravel(first_epoch, "F").tolist() != EVERYTHING


@pytest.mark.needs("image_data")
def test_images_in_order_are_the_same_for_every_rank(folder: Path) -> None:
    layer = IMAGES.replace("SHUFFLE", "")
    assert samples(folder, layer, range(2), 2) == [EVERYTHING] * 2


@pytest.mark.needs("image_data")
def test_shuffled_images_come_in_another_order_to_every_rank(folder: Path) -> None:
    layer = IMAGES.replace("SHUFFLE", "shuffle: true")
    first, second = samples(folder, layer, range(2), 2)
    assert sorted(first) == sorted(second) == EVERYTHING
    assert first != second
