"""Which files of a saved model belong together.

``<save_path>_quant.json`` holds, under the key ``digests`` (ours), SHA-256 digests of the files
that were saved with it:

1. ``deploy`` and ``fake_quant``, as far as they were saved: of the prototxt, of the caffemodel, and
   of each layer whose parameters belong to its numbers: those with weights, and Quant and DeQuant
   layers.  A layer's digest is one of its type and its parameters in protobuf's binary format,
   fillers left out; so it stays the same if the file is written by protobuf, or wired otherwise.
   16 hexadecimal digits of it are kept.
2. ``made_from``: of the two files that were saved from: after training, the modified model and its
   snapshot.  With the path of each: relative to the folder of ``<save_path>_quant.json``, where
   both have a folder in common.
3. ``float``: the same of the float32 model that all of this was made of.

The weights have to be those of the set.  The prototxt may be edited, and layers may go, but each
layer above that is there must be as it was saved (docs/adr/0032).
"""

from __future__ import annotations

import hashlib
import logging
import os
from typing import Any, Dict, List, Mapping, Optional, Sequence, Union

from amct_caffe.model.formats.prototxt import document as documents
from amct_caffe.model.formats.prototxt.layer import Layer
from amct_caffe.model.layer_type import attributes_of, has_weights
from amct_caffe.model.quant_json import value_of
from amct_caffe.model.schema.encoding import encode
from amct_core.errors import FileFormatError, ModelError
from amct_core.file_names import (
    ModelFiles,
    deploy_files,
    fake_quant_files,
    name_map_file,
    saved_set_of,
)
from amct_core.files import FileSet, map_file
from amct_core.float_model import FloatModel, KnownFile, sha256_of
from amct_core.graph.attributes import DeQuant, Quant
from amct_core.textproto import Field, Message

KEY = "digests"

_MADE_FROM = "made_from"
_FLOAT = "float"
_MODULE = "amct_caffe"
"""The module of our Python layers, as ``python_param`` names it."""

_LAYER_DIGITS = 16

_log = logging.getLogger("amct_caffe.model.saved_set")

_Digests = Dict[str, Any]


def as_json(
    files: FileSet,
    save_path: str,
    made_from: Sequence[str] = (),
    float_model: Optional[FloatModel] = None,
) -> _Digests:
    """Return what the file holds for the models staged in ``files``, to be merged into it.

    Args:
        files: staged are the models saved under ``save_path``, or one of them.
        save_path: folder and prefix.
        made_from: the prototxt and the weights that were saved from, if known.
        float_model: the float32 model, if known.
    """
    kinds = {"deploy": deploy_files(save_path), "fake_quant": fake_quant_files(save_path)}
    found: _Digests = {
        kind: _of_staged(files, saved)
        for kind, saved in kinds.items()
        if set(saved) <= set(files.paths)
    }
    folder = os.path.dirname(save_path)
    if made_from:
        model, weights = (KnownFile.of(path, _digest_of(path, float_model)) for path in made_from)
        final = None if float_model is None else float_model.folder
        found[_MADE_FROM] = FloatModel(model, weights, folder=final).as_json(folder)
    if float_model is not None:
        found[_FLOAT] = float_model.as_json(folder)
    return {KEY: found}


def float_model_of(save_path: str) -> Optional[FloatModel]:
    """Return the float32 model that the models under ``save_path`` were made of; None: not known.

    Raises:
        FileFormatError: the file with the digests is damaged.
    """
    return _model_of(save_path, _FLOAT)


def made_from(save_path: str) -> Optional[FloatModel]:
    """Return what the models under ``save_path`` were saved from; None: not known.

    Raises:
        FileFormatError: the file with the digests is damaged.
    """
    return _model_of(save_path, _MADE_FROM)


def _model_of(save_path: str, key: str) -> Optional[FloatModel]:
    name_map = name_map_file(save_path)
    if not os.path.isfile(name_map):
        return None
    found = _read(name_map).get(key)
    if found is None:
        return None
    try:
        return FloatModel.from_json(found, os.path.dirname(save_path))
    except ValueError as error:
        raise FileFormatError(
            f"{error}.", file=name_map, field=f"{KEY}.{key}", remedy="Save the model again."
        ) from error


def check_saved_set(layers: Sequence[Layer], model_file: str, weights_file: str) -> None:
    """Check that a prototxt and weights are of one saved set.

    Nothing is checked of models that were saved without digests, or that lie under other names
    than saving gave them.

    Args:
        layers: of the prototxt.
        model_file: the prototxt, as saved or edited, under any name.
        weights_file: the caffemodel.

    Raises:
        ModelError: the weights are not those of the set, or a layer was saved with others.
        FileFormatError: the file with the digests is damaged.
    """
    saved = saved_set_of(weights_file)
    if saved is None or not os.path.isfile(saved.name_map):
        return
    digests = _read(saved.name_map).get(saved.kind)
    if digests is None:
        return
    if _sha256(map_file(weights_file)) != digests["weights"]:
        raise ModelError(
            f"these are not the weights that were saved with '{saved.name_map}': their digest is "
            "another one.",
            file=weights_file,
            remedy="Save the model again, or copy all files of one save. If you have changed the "
            f"weights on purpose, remove '{KEY}' from that file.",
        )
    if _sha256(map_file(model_file)) == digests["model"]:
        return
    _check_layers(layers, digests["layers"], model_file, saved.name_map)
    _log.log(
        logging.WARNING if model_file == saved.model else logging.INFO,
        "'%s' has been edited since it was saved; its quantized layers are as they were",
        model_file,
    )


def _check_layers(
    layers: Sequence[Layer], saved: Mapping[str, str], model_file: str, name_map: str
) -> None:
    found: Dict[str, List[Layer]] = {}
    for layer in layers:
        found.setdefault(layer.name, []).append(layer)
    for name, digest in saved.items():
        if name in found and not any(_has_digest(layer, digest) for layer in found[name]):
            raise ModelError(
                "it has not the type and the parameters that the weights were saved with, by "
                f"'{name_map}': the prototxt is of another save, or the layer has been edited.",
                file=model_file,
                layer=name,
                remedy="Save the model again, or copy all files of one save. If you have changed "
                f"the layer on purpose, remove '{KEY}' from the other file.",
            )


def _of_staged(files: FileSet, saved: ModelFiles) -> _Digests:
    text = bytes(files.contents(saved.model))
    document = documents.from_text(text.decode("utf-8", "surrogateescape"), saved.model)
    return {
        "model": _sha256(text),
        "weights": _sha256(files.contents(saved.weights)),
        "layers": {
            layer.name: _layer_digest(layer) for layer in document.layers if _is_tied(layer)
        },
    }


def _is_tied(layer: Layer) -> bool:
    """Return whether the parameters of ``layer`` belong to the numbers in the weights file."""
    module = (layer.message.message("python_param") or Message()).string("module") or ""
    return (
        has_weights(layer)
        or module.split(".")[0] == _MODULE
        or isinstance(attributes_of(layer), (Quant, DeQuant))
    )


def _layer_digest(layer: Layer) -> str:
    kept = Message()
    kept.set("type", layer.type)
    for field in layer.message:
        if field.name.endswith("_param") and isinstance(field.value, Message):
            inner = [each for each in field.value if not each.name.endswith("_filler")]
            kept.entries.append(Field(field.name, Message(inner, file=layer.message.file)))
    return _sha256(encode(kept, "LayerParameter"))[:_LAYER_DIGITS]


def _has_digest(layer: Layer, digest: str) -> bool:
    try:
        return _layer_digest(layer) == digest
    except FileFormatError:  # a value of another type than the field's
        return False


def _digest_of(path: str, known: Optional[FloatModel]) -> str:
    """Return the digest of a file, which need not be read where ``known`` tells it."""
    files = () if known is None else (known.model, known.weights)
    of_file = {each.path: each.sha256 for each in files}
    return of_file.get(os.path.abspath(path)) or sha256_of(path)


def _sha256(data: Union[bytes, Any]) -> str:
    return hashlib.sha256(data).hexdigest()


def _read(path: str) -> _Digests:
    found = value_of(path, KEY)
    kinds = ("deploy", "fake_quant")
    if not isinstance(found, dict) or not all(_is_digests(found[k]) for k in kinds if k in found):
        raise FileFormatError(
            "the digests of the saved files are not what saving writes there.",
            file=path,
            field=KEY,
            remedy="Save the model again.",
        )
    return found


def _is_digests(value: object) -> bool:
    return (
        isinstance(value, dict)
        and isinstance(value.get("model"), str)
        and isinstance(value.get("weights"), str)
        and isinstance(value.get("layers"), dict)
    )
