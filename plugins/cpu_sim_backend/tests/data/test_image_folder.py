"""Images of a folder: their order, how they are decoded, and what is said of a bad one."""

from __future__ import annotations

import importlib.util
import tracemalloc
from pathlib import Path
from typing import Any, List

import numpy as np
import pytest

from amct_core.errors import EnvironmentUnsuitableError, FileFormatError, ModelError
from cpu_sim_backend.data import ImageFolderSource
from cpu_sim_backend.data.preprocessing import ExactSize, Preprocessing, ShortSide

Image = pytest.importorskip("PIL.Image")

PLAIN = Preprocessing("RGB")


def picture(seed: int, width: int = 6, height: int = 4) -> np.ndarray:
    """Return (H, W, RGB) uint8."""
    generator = np.random.default_rng(seed)
    return generator.integers(0, 256, (height, width, 3)).astype(np.uint8)


def write(folder: Path, name: str, pixels: np.ndarray, **options: Any) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)
    return path


def read(folder: Path, preprocessing: Preprocessing, batch_size: int = 100) -> List[np.ndarray]:
    source = ImageFolderSource(str(folder), preprocessing, "data")
    return [batch["data"] for batch in source.read(batch_size)]


def test_the_order_is_that_of_the_paths(tmp_path: Path) -> None:
    names = ["b/1.png", "a10.png", "B.PNG", "a2.png", "é.png", "b.png", "a/z.png", "b/10.png"]
    for index, name in enumerate(names):
        write(tmp_path, name, np.full((1, 1, 3), index, np.uint8))
    source = ImageFolderSource(str(tmp_path), PLAIN, "data")
    expected = ["B.PNG", "a/z.png", "a10.png", "a2.png", "b.png", "b/1.png", "b/10.png", "é.png"]
    assert list(source.files) == expected
    assert (source.samples, source.lengths) == (8, {"data": 8})
    batches = [batch["data"] for batch in source.read(3)]
    assert [len(batch) for batch in batches] == [3, 3, 2]
    found = [names[int(image[0, 0, 0])] for batch in batches for image in batch]
    assert found == expected


def test_other_files_are_passed_over(tmp_path: Path) -> None:
    write(tmp_path, "x.png", picture(0))
    write(tmp_path, ".hidden.png", picture(0))
    (tmp_path / "labels.txt").write_text("1")
    assert list(ImageFolderSource(str(tmp_path), PLAIN, "data").files) == ["x.png"]


def test_channels_come_in_the_declared_order(tmp_path: Path) -> None:
    pixels = picture(1)
    write(tmp_path, "x.png", pixels)
    rgb, bgr = (read(tmp_path, Preprocessing(order))[0][0] for order in ("RGB", "BGR"))
    for channel in range(3):
        np.testing.assert_array_equal(rgb[channel], pixels[:, :, channel])
        np.testing.assert_array_equal(bgr[channel], pixels[:, :, 2 - channel])


def test_gray_is_luma(tmp_path: Path) -> None:
    pixels = picture(2)
    write(tmp_path, "x.png", pixels)
    (gray,) = read(tmp_path, Preprocessing("GRAY"))[0]
    assert gray.shape == (1, 4, 6)
    luma = pixels.astype(np.float64) @ [0.299, 0.587, 0.114]
    assert np.abs(gray[0] - luma).max() <= 0.51


def test_an_alpha_channel_is_dropped_and_a_gray_image_has_three_equal_channels(
    tmp_path: Path,
) -> None:
    alpha = np.dstack([picture(3), np.full((4, 6), 7, np.uint8)])
    write(tmp_path, "1.png", alpha)
    write(tmp_path, "2.png", picture(4)[:, :, 0])
    first, second = read(tmp_path, PLAIN)[0]
    np.testing.assert_array_equal(first, alpha[:, :, :3].transpose(2, 0, 1))
    np.testing.assert_array_equal(second, np.stack([picture(4)[:, :, 0]] * 3))


@pytest.mark.parametrize("name", ["nearest", "box", "bilinear", "bicubic", "lanczos", "hamming"])
def test_resizing_is_pillows_with_the_named_filter(tmp_path: Path, name: str) -> None:
    pixels = picture(5, width=40, height=30)
    write(tmp_path, "x.png", pixels)
    preprocessing = Preprocessing("RGB", resize=ExactSize(13, 9), filter=name)
    ((found,),) = read(tmp_path, preprocessing)
    filters = {"nearest": 0, "lanczos": 1, "bilinear": 2, "bicubic": 3, "box": 4, "hamming": 5}
    expected = Image.fromarray(pixels).resize((13, 9), filters[name])
    np.testing.assert_array_equal(found, np.asarray(expected).transpose(2, 0, 1))


def test_a_box_of_whole_pixels_is_their_mean(tmp_path: Path) -> None:
    """An independent look at one filter; Pillow rounds after each of its two passes."""
    pixels = picture(6, width=8, height=8)
    write(tmp_path, "x.png", pixels)
    ((found,),) = read(tmp_path, Preprocessing("RGB", resize=ExactSize(4, 4), filter="box"))
    means = pixels.reshape(4, 2, 4, 2, 3).mean(axis=(1, 3)).transpose(2, 0, 1)
    assert np.abs(found - means).max() <= 0.5 + 0.5


def test_short_side_then_crop_makes_one_size_of_many(tmp_path: Path) -> None:
    write(tmp_path, "1.png", picture(7, 50, 20))
    write(tmp_path, "2.jpg", picture(8, 21, 64))
    preprocessing = Preprocessing("BGR", resize=ShortSide(12), crop=(10, 8))
    (batch,) = read(tmp_path, preprocessing)
    assert (batch.shape, batch.dtype) == ((2, 3, 8, 10), np.float32)


def test_images_that_become_of_different_sizes_are_named(tmp_path: Path) -> None:
    write(tmp_path, "1.png", picture(7, 5, 5))
    write(tmp_path, "2.png", picture(8, 6, 5))
    with pytest.raises(ModelError, match=r"2\.png: it becomes 3 x 5 x 6; expected 3 x 5 x 5"):
        read(tmp_path, PLAIN)


def test_an_image_that_is_not_what_the_network_takes_is_named(tmp_path: Path) -> None:
    write(tmp_path, "1.png", picture(7, 5, 5))
    source = ImageFolderSource(str(tmp_path), PLAIN, "data", (1, 5, 5))
    with pytest.raises(ModelError, match=r"1\.png: it becomes 3 x 5 x 5; expected 1 x 5 x 5"):
        next(source.read(1))


def test_an_image_below_the_crop_is_named(tmp_path: Path) -> None:
    write(tmp_path, "1.png", picture(7, 5, 5))
    with pytest.raises(ModelError, match=r"1\.png: it is 5 x 5 before the crop of 6 x 5"):
        read(tmp_path, Preprocessing("RGB", crop=(6, 5)))


def cut_off(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def no_image(path: Path) -> None:
    path.write_text("<html>404</html>")


def wrong_bytes(path: Path) -> None:
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 8] = b"\xff" * 8
    path.write_bytes(bytes(content))


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("bad.png", cut_off),
        ("bad.png", wrong_bytes),
        ("bad.png", emptied),
        ("bad.jpg", cut_off),
        ("bad.jpg", no_image),
        ("bad.webp", cut_off),
        ("bad.bmp", cut_off),
        ("bad.tif", cut_off),
        ("bad.ppm", cut_off),
    ],
)
def test_a_damaged_image_is_named(tmp_path: Path, name: str, damage: Any) -> None:
    write(tmp_path, "a.png", picture(0, 40, 40))
    damage(write(tmp_path, name, picture(1, 40, 40)))
    with pytest.raises(FileFormatError, match=r"cannot be decoded as an image.*Replace it") as e:
        read(tmp_path, PLAIN)
    assert e.value.file == str(tmp_path / name)


def test_an_image_of_sixteen_bits_is_refused_rather_than_cut_down(tmp_path: Path) -> None:
    Image.fromarray(np.arange(12, dtype=np.uint16).reshape(3, 4) * 1000).save(tmp_path / "x.png")
    with pytest.raises(FileFormatError, match=r"x\.png: its pixels .* 8 bits per channel"):
        read(tmp_path, PLAIN)


def test_a_folder_without_images_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text("1")
    with pytest.raises(FileFormatError, match=r"holds no image \(1 other files\)"):
        ImageFolderSource(str(tmp_path), PLAIN, "data")
    with pytest.raises(FileFormatError, match="No such file"):
        ImageFolderSource(str(tmp_path / "absent"), PLAIN, "data")


def test_without_pillow_the_error_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(EnvironmentUnsuitableError, match=r"pip install .*amct\[images\]=="):
        ImageFolderSource(str(tmp_path), PLAIN, "data")


def test_memory_depends_on_the_batch_and_not_on_the_folder(tmp_path: Path) -> None:
    """Beyond the names of the files; what Pillow decodes into is given back as well."""
    for index in range(60):
        write(tmp_path, f"{index:03d}.ppm", picture(index, 64, 64))
    source = ImageFolderSource(str(tmp_path), PLAIN, "data")
    next(source.read(1))  # imports Pillow
    peaks = []
    for few in (True, False):
        tracemalloc.start()
        for index, batch in enumerate(source.read(5)):
            assert batch["data"].nbytes == 5 * 3 * 64 * 64 * 4
            if few and index == 2:
                break
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] <= 1.05 * peaks[0]
