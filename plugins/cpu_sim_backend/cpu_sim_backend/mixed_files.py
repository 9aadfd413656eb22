"""Finds files of a saved model that were not saved together."""

from __future__ import annotations

import logging
import os
from typing import Callable, List, Tuple

from amct_core.errors import ModelError
from amct_core.file_names import fake_quant_files
from amct_core.saved_model import SavedModel
from amct_core.workflow import frontend_for

_log = logging.getLogger("cpu_sim_backend.verify")


def mixed_files(saved: SavedModel) -> Tuple[str, ...]:
    """Return why files were not saved together, as far as they are there; each is logged."""
    fake_quant = fake_quant_files(saved.save_path)
    checks: List[Callable[[], None]] = []
    if saved.backend is not None or all(map(os.path.isfile, saved.files)):
        checks.append(saved.check_set)
    if all(map(os.path.isfile, fake_quant)):
        frontend = frontend_for(fake_quant.model, saved.plugins)
        checks.append(lambda: frontend.check_saved_set(*fake_quant))
    found = []
    for check in checks:
        try:
            check()
        except ModelError as error:
            _log.error("%s", error)
            found.append(str(error))
    return tuple(found)
