"""What the files are called that the steps write and read, by prefix or by folder."""

from __future__ import annotations

import os
from typing import NamedTuple, Optional, Tuple

SAVE_TYPES = ("Fakequant", "Deploy", "Both")
"""Which of the saved models are written: values of ``save_type``, as AMCT spells them."""

_NAME_MAP = "quant.json"


class ModelFiles(NamedTuple):
    """The two files of one model."""

    model: str
    weights: str


def file_under(save_path: str, name: str) -> str:
    """Return what the file ``name`` of a saved model is called.

    Args:
        save_path: folder and file name prefix.  As in AMCT there is no prefix where it is empty or
            ends in ``/``: then the files are called ``name`` alone, without an underscore.
        name: such as ``quant.json``.
    """
    return f"{save_path}{name}" if _has_no_prefix(save_path) else f"{save_path}_{name}"


def _has_no_prefix(save_path: str) -> bool:
    return save_path == "" or save_path.endswith("/")


def fake_quant_files(save_path: str) -> ModelFiles:
    """Return the files of the fake-quant model saved under the prefix ``save_path``."""
    return ModelFiles(
        file_under(save_path, "fake_quant_model.prototxt"),
        file_under(save_path, "fake_quant_weights.caffemodel"),
    )


def deploy_files(save_path: str, model_file: Optional[str] = None) -> ModelFiles:
    """Return the files of the deployable model saved under the prefix ``save_path``.

    Args:
        save_path: folder and prefix.
        model_file: the prototxt, where another one is to be used with the weights, such as one
            edited by hand.
    """
    return ModelFiles(
        model_file or file_under(save_path, "deploy_model.prototxt"),
        file_under(save_path, "deploy_weights.caffemodel"),
    )


def name_map_file(save_path: str) -> str:
    """Return the file that maps the deployable model's layers to those of the float model."""
    return file_under(save_path, _NAME_MAP)


def saved_files(save_path: str, save_type: str = "Both") -> Tuple[str, ...]:
    """Return all files that are saved under the prefix ``save_path``, of one of SAVE_TYPES."""
    simulated = () if save_type == "Deploy" else fake_quant_files(save_path)
    if save_type == "Fakequant":
        return simulated
    return (*simulated, *deploy_files(save_path), name_map_file(save_path))


def name_map_beside(deploy_model: str) -> Optional[str]:
    """Return the :func:`name_map_file` of the save path that ``deploy_model`` was saved under.

    None for a prototxt that is not called like one of :func:`deploy_files`.
    """
    ending = deploy_files("").model
    before = deploy_model[: -len(ending)]
    if not deploy_model.endswith(ending) or not (_has_no_prefix(before) or before.endswith("_")):
        return None
    return f"{before}{_NAME_MAP}"


class SavedSet(NamedTuple):
    """Of which saved set a weights file is.

    Attributes:
        kind: ``deploy`` or ``fake_quant``.
        name_map: the :func:`name_map_file` of its save path.
        model: the prototxt that was saved with it.
    """

    kind: str
    name_map: str
    model: str


def saved_set_of(weights_file: str) -> Optional[SavedSet]:
    """Return the set that a weights file called as saving calls it is of; None for another one."""
    for kind, names in (("deploy", deploy_files), ("fake_quant", fake_quant_files)):
        ending = names("").weights
        before = weights_file[: -len(ending)]
        if weights_file.endswith(ending) and (_has_no_prefix(before) or before.endswith("_")):
            return SavedSet(kind, f"{before}{_NAME_MAP}", f"{before}{names('').model}")
    return None


class WorkFiles(NamedTuple):
    """What the commands write into one folder on the way from a float model to a saved one.

    Attributes:
        config: of the quantization.
        modified: the model to train.
        record: what training fills.
        solver: the user's, made to train the modified model.
        snapshots: prefix of the snapshots.
        result: prefix of the saved models.
    """

    config: str
    modified: ModelFiles
    record: str
    solver: str
    snapshots: str
    result: str


def work_files(folder: str) -> WorkFiles:
    """Return the files below ``folder``."""
    modified = os.path.join(folder, "modified_model")
    return WorkFiles(
        config=os.path.join(folder, "config.json"),
        modified=ModelFiles(f"{modified}.prototxt", f"{modified}.caffemodel"),
        record=os.path.join(folder, "record.txt"),
        solver=os.path.join(folder, "solver.prototxt"),
        snapshots=os.path.join(folder, "snapshot"),
        result=os.path.join(folder, "result", "model"),
    )
