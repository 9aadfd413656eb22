"""Extension type for a deploy backend."""

from __future__ import annotations

from typing import TYPE_CHECKING, Callable, ClassVar, Optional

import attrs

from amct_core.errors import PluginError
from amct_core.extensions.provided import Provided
from amct_core.extensions.validation import callable_or_none, is_callable, plugin_name

if TYPE_CHECKING:
    from amct_core.files import FileSet
    from amct_core.graph import Graph
    from amct_core.quantized_model import QuantizedModel


@attrs.frozen
class DeployBackend(Provided):
    """A writer of deployable models for some hardware.

    One that reads its files back, too, has models that ``amct verify``, ``simulate``, ``evaluate``
    and ``report`` take.

    Attributes:
        name: what ``deploy_backend`` and ``--backend`` say.
        description: one line for ``amct plugins``.
        write: ``(model, save_path, files) -> None``: stage every file of the deployable model in
            ``files``; the caller writes all of them or none.  It only renders: the integers and
            scales of the model are final.
        recognises: ``(save_path) -> bool``: whether a model that it has written lies there; by the
            names of its files, without reading them.  Goes with ``read``.
        read: ``(save_path) -> Graph``: the network as it is fed with arrays, with Quant, integer
            layers and DeQuant, as :func:`amct_core.quantized_graph.quantized_graph` makes it of
            what ``write`` was given.  Layer types may be given by name.
        check_set: optional; ``(save_path) -> None``: raises a ModelError where the files were not
            saved together.
        without_training_layers: whether ``write`` is to get the network as it is fed with arrays:
            without layers for data, losses and scores, and with an Input of a known shape for each
            blob that is fed.
    """

    kind: ClassVar[str] = "deploy backend"

    name: str = attrs.field(validator=plugin_name)
    description: str
    write: Callable[[QuantizedModel, str, FileSet], None] = attrs.field(validator=is_callable)
    recognises: Optional[Callable[[str], bool]] = attrs.field(
        default=None, validator=callable_or_none
    )
    read: Optional[Callable[[str], Graph]] = attrs.field(default=None, validator=callable_or_none)
    check_set: Optional[Callable[[str], None]] = attrs.field(
        default=None, validator=callable_or_none
    )
    without_training_layers: bool = False

    def __attrs_post_init__(self) -> None:
        """Require both or none of the functions that find and read a model."""
        if (self.recognises is None) != (self.read is None):
            given, lacks = ("read", "recognises") if self.read else ("recognises", "read")
            raise PluginError(
                f"DeployBackend '{self.name}' has {given} and lacks {lacks}; expected both or none."
            )
