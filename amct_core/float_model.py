"""The float32 model that a quantized one was made of, told by its content.

Insertion and saving hand it on, so that both can be compared later.
"""

from __future__ import annotations

import hashlib
import os
from typing import Any, Dict, Mapping, Optional

import attrs

from amct_core.errors import ModelError
from amct_core.files import map_file
from amct_core.network_state import NetworkState


@attrs.frozen
class KnownFile:
    """A file whose content is known.

    Attributes:
        path: absolute.
        sha256: of its content, in hexadecimal digits.
    """

    path: str
    sha256: str

    @classmethod
    def of(cls, path: str, sha256: Optional[str] = None) -> KnownFile:
        """Return what ``path`` holds now, unless its digest is known already."""
        return cls(_absolute(path), sha256_of(path) if sha256 is None else sha256)

    def check(self) -> None:
        """Raise a ModelError if the file is no longer there, or holds something else."""
        if not os.path.isfile(self.path):
            problem = "there is no such file any more"
        elif sha256_of(self.path) != self.sha256:
            problem = "it has changed: its SHA-256 is another one"
        else:
            return
        raise ModelError(
            f"{problem}; the quantized model was made of it.",
            file=self.path,
            remedy="Give the float32 model with --float MODEL WEIGHTS.",
        )

    def as_json(self, folder: str) -> Dict[str, str]:
        """Return what a file in ``folder`` holds of this one.

        The path is relative to ``folder`` where both have a folder in common: then they may be
        moved together.
        """
        base = os.path.realpath(folder)
        path = self.path
        if os.path.commonpath([path, base]) != os.sep:
            path = os.path.relpath(path, base)
        return {"file": path, "sha256": self.sha256}

    @classmethod
    def from_json(cls, value: Mapping[str, Any], folder: str) -> KnownFile:
        """Return what a file in ``folder`` says.

        Raises:
            ValueError: that is not what :meth:`as_json` gives.
        """
        file, digest = value.get("file"), value.get("sha256")
        if not isinstance(file, str) or not isinstance(digest, str):
            raise ValueError(f"{dict(value)!r} has not the strings 'file' and 'sha256'")
        return cls(os.path.normpath(os.path.join(os.path.realpath(folder), file)), digest)


@attrs.frozen
class FloatModel:
    """A float32 model.

    Attributes:
        model, weights: its files.
        test_state: in which it was tested; the solver said so at insertion.
        folder: where the file that tells of it will lie in the end; None: where it is written.
    """

    model: KnownFile
    weights: KnownFile
    test_state: NetworkState = attrs.field(factory=NetworkState)
    folder: Optional[str] = attrs.field(default=None, eq=False)

    @classmethod
    def of(cls, model_file: str, weights_file: str, folder: Optional[str] = None) -> FloatModel:
        """Return the model in these files."""
        return cls(KnownFile.of(model_file), KnownFile.of(weights_file), folder=folder)

    def check(self) -> None:
        """Raise a ModelError if a file is no longer there, or holds something else."""
        self.model.check()
        self.weights.check()

    def as_json(self, folder: str) -> Dict[str, Any]:
        """Return what a file in ``folder`` holds of this model."""
        folder = folder if self.folder is None else self.folder
        found: Dict[str, Any] = {
            "model": self.model.as_json(folder),
            "weights": self.weights.as_json(folder),
        }
        if self.test_state.is_given:
            found["test_state"] = attrs.asdict(self.test_state)
        return found

    @classmethod
    def from_json(cls, value: Any, folder: str) -> FloatModel:
        """Return what a file in ``folder`` says.

        Raises:
            ValueError: that is not what :meth:`as_json` gives.
        """
        try:
            model, weights = (KnownFile.from_json(value[k], folder) for k in ("model", "weights"))
            return cls(model, weights, NetworkState(**value.get("test_state", {})))
        except (AttributeError, KeyError, TypeError) as error:
            raise ValueError(f"{value!r} does not name a model and its weights") from error


def sha256_of(path: str) -> str:
    """Return the SHA-256 digest of a file, in hexadecimal digits."""
    return hashlib.sha256(map_file(path)).hexdigest()


def _absolute(path: str) -> str:
    """Return ``path`` with the links of its folder followed, and its own name kept."""
    folder, name = os.path.split(os.path.abspath(path))
    return os.path.join(os.path.realpath(folder), name)
