"""Large weights files are read and written without copies of them in memory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

MEGABYTE = 2**20

WRITE = """
import sys
import numpy as np
from amct_caffe.model.formats.caffemodel import writer
blob = np.ones((125, 1024, 1024), np.float32)
before = peak()
with open(sys.argv[1], "wb") as stream:
    writer.write(stream, "large", [("fc", "InnerProduct", [blob])])
"""

READ = """
import sys
from amct_caffe.model.formats.caffemodel import reader
before = peak()
(layer,) = reader.read(sys.argv[1]).layers
assert layer.blobs[0].nbytes == 500 * 2**20
assert layer.blobs[0][-1, -1, -1] == 1
"""

MEASURE = """
import resource
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
{}
print(peak() - before)
"""


def memory_taken(code: str, file: Path) -> int:
    """Return by how many bytes the peak memory of a process grows while it runs ``code``."""
    done = subprocess.run(
        [sys.executable, "-c", MEASURE.format(code), str(file)],
        check=True,
        capture_output=True,
        text=True,
    )
    return int(done.stdout)


@pytest.mark.slow
def test_500_megabytes_are_written_and_read_in_constant_memory(tmp_path: Path) -> None:
    file = tmp_path / "large.caffemodel"
    try:
        assert memory_taken(WRITE, file) < 32 * MEGABYTE
        assert file.stat().st_size > 500 * MEGABYTE
        assert memory_taken(READ, file) < 32 * MEGABYTE
    finally:
        file.unlink(missing_ok=True)
