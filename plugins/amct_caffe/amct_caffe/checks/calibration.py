"""Whether Caffe can run a network for calibration: what is missing ends the process there."""

from __future__ import annotations

from typing import Callable, List, Optional, Sequence

from amct_caffe.checks.machine import problem_of_class
from amct_caffe.model.data_layers import check_files
from amct_caffe.model.formats.prototxt.document import Layer, NetDocument
from amct_caffe.model.layer_type import layer_type
from amct_caffe.model.layer_types.data import DataSource
from amct_core.errors import ModelError


def check_calibration(
    layers: Sequence[Layer],
    file: Optional[str],
    problem_of_class: Callable[[str, str], Optional[str]] = problem_of_class,
) -> None:
    """Raise unless Caffe can build the net of ``layers`` and run its data layers.

    Args:
        layers: of the TEST phase.
        file: the prototxt, for messages.
        problem_of_class: ``(module, class) -> problem`` of the class of a Python layer.

    Raises:
        ModelError: a data layer is fed by hand, or a file of one is not there; or the class of a
            Python layer cannot be imported.
        EnvironmentUnsuitableError: this Caffe does not know the type of a layer.
    """
    from amct_caffe.runtime.buildable import require_buildable

    sources: List[Layer] = [layer for layer in layers if layer_type(layer).data is not None]
    for layer in sources:
        if (layer_type(layer).data or DataSource()).is_fed:
            raise ModelError(
                f"it is of type '{layer.type}', which brings no data by itself.",
                file=file,
                layer=layer.name,
                remedy="Put an Input layer in its place, and give the data.",
            )
    check_files(sources, file)
    check_classes(layers, file, problem_of_class)
    require_buildable(NetDocument.create("net", list(layers)))


def check_classes(
    layers: Sequence[Layer],
    file: Optional[str],
    problem_of_class: Callable[[str, str], Optional[str]] = problem_of_class,
) -> None:
    """Raise unless the classes of all Python layers can be imported; arguments as above.

    Caffe ends in a SystemError of Boost.Python where one cannot.
    """
    for layer in layers:
        if layer.type == "Python":
            _check_class(layer, file, problem_of_class)


def _check_class(
    layer: Layer, file: Optional[str], problem_of_class: Callable[[str, str], Optional[str]]
) -> None:
    parameters = layer.parameters("python_param")
    module, name = parameters.string("module") or "", parameters.string("layer") or ""
    problem = problem_of_class(module, name)
    if problem is not None:
        raise ModelError(
            f"class '{name}' of module '{module}' cannot be imported: {problem}.",
            file=file,
            layer=layer.name,
            field="python_param",
            remedy="Put the folder of the module on PYTHONPATH.",
        )
