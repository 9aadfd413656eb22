"""What is carried to a machine that has ``atc``."""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile

import attrs
import pytest

from amct_core.errors import AmctError
from ascend_backend.atc.bundle import write_bundle


@pytest.fixture
def bundle(saved):
    """Return a function that bundles the saved model."""

    def write(*extra):
        prefix = saved.prefix
        path = f"{prefix}_atc_bundle.tar.gz"
        return write_bundle(saved.conversion(*extra), f"{prefix}_quant.json", path)

    return write


@pytest.fixture
def unpacked(bundle, tmp_path):
    """Return a function that bundles the saved model and unpacks that elsewhere."""

    def unpack(*extra):
        written = bundle(*extra)
        target = tmp_path / "another machine"
        with tarfile.open(written.path) as archive:
            archive.extractall(target)
        return written, target / "net_atc_bundle"

    return unpack


def test_it_holds_the_model_the_script_and_the_checksums_in_one_folder(bundle):
    with tarfile.open(bundle().path) as archive:
        assert archive.getnames() == [
            "net_atc_bundle/SHA256SUMS",
            "net_atc_bundle/convert.sh",
            "net_atc_bundle/net_deploy_model.prototxt",
            "net_atc_bundle/net_deploy_weights.caffemodel",
            "net_atc_bundle/net_quant.json",
        ]


def test_the_model_arrives_as_it_was(unpacked, saved):
    _, folder = unpacked()
    for name in ("net_deploy_model.prototxt", "net_deploy_weights.caffemodel", "net_quant.json"):
        assert (folder / name).read_bytes() == (saved.folder / name).read_bytes()


def test_the_checksums_verify_and_cover_every_other_file(unpacked):
    _, folder = unpacked()
    checked = subprocess.run(
        ["sha256sum", "-c", "SHA256SUMS"], cwd=folder, capture_output=True, text=True, check=True
    )
    names = {line.rpartition(":")[0] for line in checked.stdout.splitlines()}
    assert names == {path.name for path in folder.iterdir()} - {"SHA256SUMS"}


def test_the_script_holds_the_printed_command(unpacked):
    written, folder = unpacked("--log=info", "--out_nodes=a:0;b:0")
    assert f"exec {written.command} " in (folder / "convert.sh").read_text()
    assert written.command.endswith(" --log=info '--out_nodes=a:0;b:0'")


def test_the_script_converts_with_the_atc_of_that_machine(unpacked, atc, received):
    _, folder = unpacked("--comment=a b")
    path = os.pathsep.join([str(atc.path.parent), os.environ["PATH"]])
    subprocess.run(
        [folder / "convert.sh", "--log=info"],
        env={**os.environ, "PATH": path},
        check=True,
        capture_output=True,
    )
    assert (folder / "net.om").exists()
    assert received()["arguments"][-2:] == ["--comment=a b", "--log=info"]


def test_the_script_does_not_convert_a_model_that_changed_on_the_way(unpacked, atc):
    _, folder = unpacked()
    with open(folder / "net_deploy_weights.caffemodel", "ab") as stream:
        stream.write(b"x")
    path = os.pathsep.join([str(atc.path.parent), os.environ["PATH"]])
    done = subprocess.run(
        ["sh", folder / "convert.sh"], env={**os.environ, "PATH": path}, capture_output=True
    )
    assert done.returncode != 0
    assert not (folder / "net.om").exists()


def test_the_same_model_gives_the_same_bytes(bundle, saved):
    with open(bundle().path, "rb") as stream:
        first = stream.read()
    for path in saved.folder.iterdir():
        os.utime(path, (1, 1))
        path.chmod(0o600)
    with open(bundle().path, "rb") as stream:
        assert stream.read() == first


def test_nothing_of_this_machine_is_in_it(bundle):
    with tarfile.open(bundle().path) as archive:
        for member in archive.getmembers():
            assert (member.uid, member.gid, member.uname, member.gname) == (0, 0, "", "")
            assert member.mtime == 315532800
            assert member.mode == (0o755 if member.name.endswith("convert.sh") else 0o644)


def test_a_map_of_types_goes_along_and_its_name_does_not_matter(saved, tmp_path, atc, received):
    types = tmp_path / "convert.sh"
    types.write_text("DetectionOutput:SSDDetectionOutput\n")
    conversion = attrs.evolve(saved.conversion(), op_name_map=str(types))
    written = write_bundle(conversion, f"{saved.prefix}_quant.json", str(tmp_path / "b.tar.gz"))
    with tarfile.open(written.path) as archive:
        archive.extractall(tmp_path / "there")
    folder = tmp_path / "there" / "b"
    path = os.pathsep.join([str(atc.path.parent), os.environ["PATH"]])
    subprocess.run(
        [folder / "convert.sh"],
        env={**os.environ, "PATH": path},
        check=True,
        capture_output=True,
    )
    (option,) = (a for a in received()["arguments"] if a.startswith("--op_name_map="))
    assert (folder / option.partition("=")[2]).read_text() == "DetectionOutput:SSDDetectionOutput\n"
    assert "op_name_map.cfg" in (folder / "SHA256SUMS").read_text()


def test_a_map_of_types_that_is_not_there_is_an_error(saved, tmp_path):
    conversion = attrs.evolve(saved.conversion(), op_name_map=str(tmp_path / "nowhere.cfg"))
    with pytest.raises(AmctError, match=r"nowhere\.cfg: cannot be read"):
        write_bundle(conversion, "", str(tmp_path / "b.tar.gz"))
    assert not (tmp_path / "b.tar.gz").exists()


def test_files_that_extra_options_name_are_told(bundle, saved):
    config = saved.folder / "aipp.cfg"
    config.write_text("aipp_op {}")
    assert bundle(f"--insert_op_conf={config}", "--log=info").left_out == (str(config),)


def test_without_a_name_map_the_rest_is_bundled(bundle, saved):
    os.unlink(f"{saved.prefix}_quant.json")
    with tarfile.open(bundle().path) as archive:
        assert not any("quant.json" in name for name in archive.getnames())


def test_a_model_that_is_not_there_is_an_error_and_no_bundle_is_left(bundle, saved):
    shutil.rmtree(saved.folder)
    with pytest.raises(AmctError, match=r"net_deploy_model\.prototxt: cannot be read.*PREFIX"):
        bundle()
    assert not saved.folder.exists()
