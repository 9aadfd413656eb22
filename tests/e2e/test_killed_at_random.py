"""Steps that are killed at random moments leave whole sets, and run again as always."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
KILLS = 210


@pytest.mark.slow
def test_after_each_of_many_kills_the_files_are_of_one_set(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.e2e.killed_steps", str(tmp_path), str(KILLS), "1"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["wrong"] == []
    assert sum(found["killed"].values()) == KILLS and set(found["killed"].values()) == {KILLS // 3}
