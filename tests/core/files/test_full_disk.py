"""A file system that is really full: a tmpfs of a few pages, in a mount namespace of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

IN_NAMESPACE = ("unshare", "--map-root-user", "--mount")
PAGE = 4096

SCRIPT = """
import json, os, subprocess, sys
from amct_core.errors import AmctError
from amct_core.files import FileSet, read_text

PAGE, NAMES = 4096, ("a", "b", "c")
folder, limit = sys.argv[1:]


def write(letter):
    with FileSet(announce=False) as files:
        for name in NAMES:
            files.add(name, letter * (2 * PAGE))


found = []
for free in range(12):
    if limit == "pages":  # old files, new files, journal
        options = f"size={(6 + free) * PAGE}"
    else:  # the same, and the folder itself
        options = f"size=1M,nr_inodes={4 + free}"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], check=True)
    os.chdir(folder)
    write_old = {name: "o" * (2 * PAGE) for name in NAMES}
    for name, text in write_old.items():
        with open(name, "w") as stream:
            stream.write(text)
    try:
        write("n")
        said = "done"
    except AmctError as error:
        said = str(error)
    contents = {"".join(sorted(set(read_text(name)))) for name in NAMES}
    found.append([free, said, sorted(contents), sorted(os.listdir())])
    os.chdir("/")
    subprocess.run(["umount", folder], check=True)
print(json.dumps(found))
"""


READ_ONLY = """
import json, os, subprocess, sys
from amct_core.errors import AmctError
from amct_core.files import FileSet, read_text

subprocess.run(["mount", "-t", "tmpfs", "tmpfs", sys.argv[1]], check=True)
os.chdir(sys.argv[1])


def said(call):
    try:
        return call()
    except AmctError as error:
        return str(error)


def write():
    with FileSet() as files:
        files.add("a", "new")
        files.add("b", "new")


def remount(mode):
    subprocess.run(["mount", "-o", f"remount,{mode}", "tmpfs", sys.argv[1]], check=True)


write()
remount("ro")
found = [said(write), said(lambda: read_text("a"))]
remount("rw")
open(".amct-commit", "w").close()
remount("ro")
found += [said(lambda: read_text("a"))]
print(json.dumps(found))
"""


def has_namespaces() -> bool:
    try:
        return subprocess.run([*IN_NAMESPACE, "true"], capture_output=True).returncode == 0
    except FileNotFoundError:
        return False


@pytest.mark.skipif(not has_namespaces(), reason="no mount namespaces for users here")
@pytest.mark.parametrize("limit", ["pages", "inodes"])
def test_with_any_number_of_free_pages_or_inodes_the_set_is_whole(
    tmp_path: Path, limit: str
) -> None:
    command = [*IN_NAMESPACE, sys.executable, "-c", SCRIPT, str(tmp_path), limit]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    for free, said, contents, names in found:
        assert names == ["a", "b", "c"], free
        assert contents == (["n"] if said == "done" else ["o"]), free
        assert said == "done" or "No space left on device" in said
    assert (found[0][1] != "done", found[-1][1]) == (True, "done")


@pytest.mark.skipif(not has_namespaces(), reason="no mount namespaces for users here")
def test_a_read_only_file_system_is_named_and_read_unless_a_commit_is_half_done(
    tmp_path: Path,
) -> None:
    command = [*IN_NAMESPACE, sys.executable, "-c", READ_ONLY, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    written, read, refused = json.loads(done.stdout.splitlines()[-1])
    assert written.startswith("a: cannot be written: Read-only file system.")
    assert read == "new"
    assert "half replaced, and they cannot be completed: Read-only file system" in refused
