"""The hooks of amct-ascend-backend.  Imported whenever ``amct`` starts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Iterable

from amct_core.extensions import DeployBackend
from amct_core.hookspecs import hookimpl

if TYPE_CHECKING:
    from amct_core.files import FileSet
    from amct_core.quantized_model import QuantizedModel


def _write(model: QuantizedModel, save_path: str, files: FileSet) -> None:
    from ascend_backend.writer import write_deploy_model

    write_deploy_model(model, save_path, files)


@hookimpl
def amct_deploy_backends() -> Iterable[DeployBackend]:
    """Register the Caffe form that ATC converts to an ``.om``."""
    return [
        DeployBackend(
            name="ascend",
            description="Caffe model with Quant and DeQuant layers, for ATC",
            write=_write,
        )
    ]
