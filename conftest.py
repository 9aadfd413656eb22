"""What every test may rely on: markers, real models and data, patience on a busy machine."""

from __future__ import annotations

import importlib.util
import logging
import os
import signal
from pathlib import Path

import pytest
from hypothesis import settings

# A busy machine is not a failure.
settings.register_profile("no-deadline", settings(), deadline=None)
settings.load_profile("no-deadline")

# A test says where records go; importing the package sets nothing up where there is a handler.
logging.getLogger("amct_caffe").addHandler(logging.NullHandler())

# A shell that starts this in its background has it ignore Ctrl-C, and all that it starts as well;
# nohup does the same with SIGHUP.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

# pytest-xdist tells its workers a width; output folds where a test asks for it alone.
os.environ.pop("COLUMNS", None)
os.environ.pop("LINES", None)

ROOT = Path(__file__).resolve().parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs Caffe where there is none."""
    if importlib.util.find_spec("caffe") is not None:
        return
    skip = pytest.mark.skip(reason="pycaffe is not installed in this Python")
    for item in items:
        if item.get_closest_marker("caffe"):
            item.add_marker(skip)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what needs more of Caffe than the installed one can do, or less."""
    from tests import needs

    for mark in item.iter_markers("needs"):
        needs.require(*mark.args)
    for mark in item.iter_markers("lacks"):
        needs.require_absent(*mark.args)


@pytest.fixture(scope="session")
def shared() -> Path:
    """Return the folder of real models and data: ``AMCT_SHARED``, else ``../shared``."""
    folder = Path(os.environ.get("AMCT_SHARED") or ROOT.parent / "shared").resolve()
    if not (folder / "models").is_dir():
        pytest.skip(f"the real models and data are not at {folder}")
    return folder
