"""Data sets in files: read in batches, in constant memory."""

from __future__ import annotations

import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from amct_core.errors import FileFormatError, ModelError
from cpu_sim_backend.data import ArraySource, NpzSource, NpzWriter


def saved(folder: Path, **arrays: np.ndarray) -> str:
    path = str(folder / "x.npz")
    np.savez(path, **arrays)
    return path


@given(
    samples=st.integers(1, 9),
    batch_size=st.integers(1, 10),
    dtype=st.sampled_from([np.uint8, np.float32, np.float64, np.int64]),
)
def test_batches_hold_every_sample_once_in_order(
    tmp_path_factory: pytest.TempPathFactory, samples: int, batch_size: int, dtype: type
) -> None:
    arrays = {
        "data": np.arange(samples * 6).reshape(samples, 2, 3).astype(dtype),
        "scalar": np.arange(samples).astype(np.float32),
    }
    path = saved(tmp_path_factory.mktemp("npz"), **arrays)
    for source in (NpzSource(path), ArraySource(arrays)):
        assert source.samples == samples
        batches = list(source.read(batch_size))
        assert max(len(batch["data"]) for batch in batches) <= batch_size
        for name, array in arrays.items():
            joined = np.concatenate([batch[name] for batch in batches])
            assert joined.dtype == array.dtype
            np.testing.assert_array_equal(joined, array)


def test_a_compressed_file_is_read_too(tmp_path: Path) -> None:
    data = np.arange(20.0).reshape(5, 4)
    np.savez_compressed(tmp_path / "x.npz", data=data)
    (batch,) = NpzSource(str(tmp_path / "x.npz")).read(5)
    np.testing.assert_array_equal(batch["data"], data)


def test_memory_depends_on_the_batch_and_not_on_the_file(tmp_path: Path) -> None:
    path = saved(tmp_path, data=np.zeros((4000, 1000), np.float32))
    tracemalloc.start()
    for batch in NpzSource(path).read(10):
        assert batch["data"].shape == (10, 1000)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 * 10 * 1000 * 4


@pytest.mark.parametrize(
    "content", [b"", b"PK\x03\x04 no archive", b"text"], ids=["empty", "damaged", "text"]
)
def test_a_file_that_is_no_npz_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.npz"
    path.write_bytes(content)
    with pytest.raises(FileFormatError, match=r"x\.npz.*numpy\.savez"):
        NpzSource(str(path))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match="No such file"):
        NpzSource(str(tmp_path / "x.npz"))


@pytest.mark.parametrize(
    "array", [np.asfortranarray(np.zeros((3, 4))), np.float32(3), np.array(["a", None], object)]
)
def test_arrays_that_are_no_samples_are_refused(tmp_path: Path, array: np.ndarray) -> None:
    with pytest.raises(FileFormatError, match=r"'data'.* is not a plain array") as caught:
        NpzSource(saved(tmp_path, data=array))
    assert str(caught.value).count("cannot be read") == 1
    assert "numpy.ascontiguousarray" in str(caught.value)


def test_numbers_that_float32_cannot_hold_are_refused(tmp_path: Path) -> None:
    path = saved(tmp_path, data=np.array([[1.0], [-1e308]]))
    with pytest.raises(FileFormatError) as caught:
        list(NpzSource(path).read(2))
    assert f"{path}: array 'data' has -1e+308; networks compute in float32" in str(caught.value)


def test_infinity_and_the_largest_float32_are_read(tmp_path: Path) -> None:
    data = np.array([[np.inf], [float(np.finfo(np.float32).max)], [np.nan]])
    (batch,) = NpzSource(saved(tmp_path, data=data)).read(3)
    np.testing.assert_array_equal(batch["data"], data)


def test_arrays_of_different_lengths_are_refused(tmp_path: Path) -> None:
    source = NpzSource(saved(tmp_path, data=np.zeros(3), other=np.zeros(4)))
    with pytest.raises(ModelError, match="expected the same number"):
        _ = source.samples


def test_what_is_written_in_batches_is_what_numpy_reads(tmp_path: Path) -> None:
    x, y = np.arange(14).reshape(7, 2), np.arange(7.0, dtype=np.float32)
    writer = NpzWriter(str(tmp_path / "out/y.npz"), str(tmp_path))
    for start in range(0, 7, 3):
        writer.add({"x": x[start : start + 3], "y/z": y[start : start + 3]})
    assert not (tmp_path / "out").exists()
    assert writer.close() == {"x": (7, 2), "y/z": (7,)}
    with np.load(tmp_path / "out/y.npz") as arrays:
        np.testing.assert_array_equal(arrays["x"], x)
        np.testing.assert_array_equal(arrays["y/z"], y)


@given(
    dtype=st.sampled_from([np.int8, np.int32, np.float32]),
    row=st.sampled_from([(), (3,), (2, 1, 2), (0,)]),
    sizes=st.lists(st.integers(1, 4), min_size=1, max_size=4),
)
def test_every_shape_and_type_is_written(
    tmp_path_factory: pytest.TempPathFactory, dtype: type, row: tuple[int, ...], sizes: list[int]
) -> None:
    folder = tmp_path_factory.mktemp("npz")
    array = np.random.default_rng(0).integers(-128, 127, (sum(sizes), *row)).astype(dtype)
    writer = NpzWriter(str(folder / "y.npz"), str(folder))
    for rows in np.split(array, np.cumsum(sizes)[:-1]):
        writer.add({"y": rows})
    assert writer.close() == {"y": array.shape}
    with np.load(folder / "y.npz") as arrays:
        assert arrays["y"].dtype == dtype
        np.testing.assert_array_equal(arrays["y"], array)


def test_a_blob_may_have_more_rows_than_there_are_samples(tmp_path: Path) -> None:
    writer = NpzWriter(str(tmp_path / "y.npz"), str(tmp_path))
    for _ in range(2):
        writer.add({"boxes": np.ones((6, 4)), "prob": np.ones((2, 3))})
    assert writer.close() == {"boxes": (12, 4), "prob": (4, 3)}


def test_a_blob_whose_rows_depend_on_the_batch_is_named(tmp_path: Path) -> None:
    writer = NpzWriter(str(tmp_path / "y.npz"), str(tmp_path))
    writer.add({"y": np.ones((1, 4))})
    with pytest.raises(ModelError, match=r"blob 'y' .* shape \(1, 2\) after .* shape \(N, 4\)"):
        writer.add({"y": np.ones((1, 2))})


def test_results_that_find_no_space_are_an_error_that_names_the_output(tmp_path: Path) -> None:
    code = f"""
import resource
import numpy as np
from amct_core.errors import AmctError
from cpu_sim_backend.data import NpzWriter
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
writer = NpzWriter({str(tmp_path / "y.npz")!r}, {str(tmp_path)!r})
try:
    for _ in range(100):
        writer.add({{"y": np.ones((100, 100), np.float32)}})
except AmctError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "y.npz: cannot be written: File too large." in done.stdout
    assert not (tmp_path / "y.npz").exists()
