"""Extension type for a deploy backend."""

from __future__ import annotations

from typing import TYPE_CHECKING, Callable, ClassVar

import attrs

from amct_core.extensions.provided import Provided
from amct_core.extensions.validation import is_callable, plugin_name

if TYPE_CHECKING:
    from amct_core.files import FileSet
    from amct_core.quantized_model import QuantizedModel


@attrs.frozen
class DeployBackend(Provided):
    """A writer of deployable models for some hardware.

    Attributes:
        name: what ``deploy_backend`` and ``--backend`` say.
        description: one line for ``amct plugins``.
        write: ``(model, save_path, files) -> None``: stage every file of the deployable model in
            ``files``; the caller writes all of them or none.  It only renders: the integers and
            scales of the model are final.
    """

    kind: ClassVar[str] = "deploy backend"

    name: str = attrs.field(validator=plugin_name)
    description: str
    write: Callable[[QuantizedModel, str, FileSet], None] = attrs.field(validator=is_callable)
