"""The built files of the distributions: what is in them, and what their metadata say."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tools import bootstrap
from tools.distributions import environment, version
from tools.distributions.building import Built, build_all
from tools.distributions.table import DISTRIBUTIONS, ROOT

NAMES = [each.name for each in DISTRIBUTIONS]
OURS = re.compile(
    rf"({'|'.join(sorted(NAMES, key=len, reverse=True))})(\[[a-z0-9,]+\])?([=<>!~ ;].*)?"
)
EXTRAS_OF_THE_WHOLE = {"caffe", "data", "fast", "hdf5", "images", "mpi", "onnx", "report"}


@pytest.fixture(scope="module")
def all_built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Built]:
    built = build_all(tmp_path_factory.mktemp("dist"))
    return {each.distribution.name: each for each in built}


@pytest.fixture(params=NAMES)
def built(request: pytest.FixtureRequest, all_built: dict[str, Built]) -> Built:
    return all_built[request.param]


def requirements(built: Built) -> list[str]:
    return built.metadata().get_all("Requires-Dist") or []


def files_of_package(built: Built) -> Iterator[str]:
    """Yield what git has, or would take, of a distribution's package; relative to its folder."""
    if built.distribution.package is None:
        return
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(
        [*command, built.distribution.package],
        cwd=built.distribution.path,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        pytest.skip("this is no git checkout")
    for path in done.stdout.split("\0"):
        if path and (built.distribution.path / path).exists():
            yield path


class TestVersion:
    def test_it_is_the_same_everywhere(self) -> None:
        found = {f"{each.path}:{each.start}": each.version for each in version.places()}
        assert set(found.values()) == {version.current()}

    def test_every_distribution_has_it(self, built: Built) -> None:
        assert built.metadata()["Version"] == version.current()
        assert built.wheel.name.startswith(f"{built.distribution.file_stem}-{version.current()}-")

    def test_one_command_writes_it_everywhere(self, tmp_path: Path) -> None:
        before = [each.version for each in version.places()]
        for path in {each.path for each in version.places()}:
            copy = tmp_path / path.relative_to(ROOT)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, copy)
        version.write("12.3.4rc1", tmp_path)
        assert [each.version for each in version.places(tmp_path)] == ["12.3.4rc1"] * len(before)
        assert version.current(tmp_path) == "12.3.4rc1"

    def test_nonsense_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match="'latest'"):
            version.write("latest", tmp_path)


class TestFiles:
    def test_the_licence_is_in_both(self, built: Built) -> None:
        licence = (ROOT / "LICENSE").read_bytes()
        assert built.files_of_sdist()["LICENSE"] == licence
        assert built.dist_info("licenses/LICENSE") == licence
        assert built.metadata()["License-Expression"] == "Apache-2.0"

    def test_the_sdist_holds_the_package_and_nothing_else(self, built: Built) -> None:
        readme = built.distribution.package if built.distribution.folder == "." else ""
        around = {"pyproject.toml", "LICENSE", "PKG-INFO", f"{readme}/README.md".lstrip("/")}
        # hatchling adds the list of what must not be added.
        found = set(built.files_of_sdist()) - {".gitignore"}
        assert found == {*files_of_package(built), *around}

    def test_the_wheel_holds_the_package_and_nothing_else(self, built: Built) -> None:
        found = {name for name in built.files_of_wheel() if ".dist-info/" not in name}
        # The long description is in the metadata.
        assert found == {each for each in files_of_package(built) if not each.endswith("README.md")}

    def test_types_are_marked(self, built: Built) -> None:
        package = built.distribution.package
        if package is not None:
            assert f"{package}/py.typed" in built.files_of_wheel()


class TestMetadata:
    def test_those_of_one_version_belong_together(self, built: Built) -> None:
        ours = [match for each in requirements(built) if (match := OURS.fullmatch(each))]
        assert ours or built.distribution.name == "amct-core"
        for match in ours:
            assert (match[3] or "").startswith(f"=={version.current()}"), match[0]

    def test_caffe_and_what_it_needs_are_for_the_same_pythons(
        self, all_built: dict[str, Built]
    ) -> None:
        """Without the marker, CPython 3.13 would compile a NumPy of long ago."""
        marker = "extra == 'caffe'"
        caffe = {each for each in requirements(all_built["amct-caffe"]) if marker in each}
        assert {each.split(";")[0].strip() for each in caffe} == {
            "kendryte-caffe",
            "numpy<2",
            "protobuf<=3.20.3",
        }
        assert {each.split(";")[1].strip() for each in caffe} == {
            f"(python_version < '3.10') and {marker}"
        }

    def test_the_whole_has_an_extra_for_each_purpose(self, all_built: dict[str, Built]) -> None:
        extras = all_built["amct"].metadata().get_all("Provides-Extra") or []
        assert set(extras) == EXTRAS_OF_THE_WHOLE
        needed = {each.split("[")[0].split("=")[0] for each in requirements(all_built["amct"])}
        assert set(NAMES) - {"amct"} <= needed

    @pytest.mark.parametrize("name", NAMES)
    def test_extras_of_the_whole_are_extras_of_its_parts(
        self, name: str, all_built: dict[str, Built]
    ) -> None:
        for each in requirements(all_built["amct"]):
            match = OURS.fullmatch(each)
            if match and match[1] == name and match[2]:
                there = all_built[name].metadata().get_all("Provides-Extra") or []
                assert set(match[2].strip("[]").split(",")) <= set(there)

    def test_the_description_stands_alone(self, built: Built) -> None:
        """On the page of a package index, a relative link leads nowhere."""
        description = str(built.metadata().get_payload())
        assert description.startswith(f"# {built.distribution.name}\n")
        assert re.findall(r"\]\((?!https://|#)[^)]*\)", description) == []
        assert "independent of Huawei" in description

    def test_people_find_it(self, built: Built) -> None:
        metadata = built.metadata()
        assert "quantization" in metadata["Keywords"].split(",")
        classifiers = metadata.get_all("Classifier") or []
        for minor in range(9, 14):
            assert f"Programming Language :: Python :: 3.{minor}" in classifiers
        assert metadata["Requires-Python"] == ">=3.9"

    @pytest.mark.parametrize(
        ("name", "lines"),
        [
            ("amct-core", ["[console_scripts]", "amct = amct_core.__main__:main"]),
            (
                "amct-caffe",
                [
                    "[console_scripts]",
                    "amct_caffe = amct_caffe.__main__:main",
                    "[amct]",
                    "caffe = amct_caffe.plugin",
                ],
            ),
            ("amct-ascend-backend", ["[amct]", "ascend = ascend_backend.plugin"]),
            ("amct-cpu-sim-backend", ["[amct]", "cpu_sim = cpu_sim_backend.plugin"]),
        ],
    )
    def test_entry_points(self, name: str, lines: list[str], all_built: dict[str, Built]) -> None:
        text = all_built[name].dist_info("entry_points.txt").decode()
        assert [line for line in text.splitlines() if line] == lines


def test_the_set_up_installs_every_distribution() -> None:
    assert set(bootstrap.DISTRIBUTIONS) == {each.folder for each in DISTRIBUTIONS}


def test_constraints_are_the_lock_without_its_hashes() -> None:
    lock = (
        "a==1 \\\n    --hash=sha256:0 \\\n    --hash=sha256:1\n"
        "b-c==2 ; python_version < '3.10' \\\n    --hash=sha256:2\n"
    )
    assert environment.locked_versions(lock) == "a==1\nb-c==2 ; python_version < '3.10'\n"
