"""A stand-in for Caffe that lacks something: the real one, with things taken away.

Put before the real one on PYTHONPATH.  ``STANDIN_LACKS`` says what it lacks: names of capabilities
and layer types, separated by commas; ``STANDIN_HAS`` says what it can do although the real one
may not.  Where Caffe would end the process, it does so as well, in the
same words; the sentences are those of BVLC Caffe's sources.
"""

import importlib
import json
import os
import re
import sys
import tempfile

LACKS = frozenset(filter(None, os.environ.get("STANDIN_LACKS", "").split(",")))
HAS = frozenset(filter(None, os.environ.get("STANDIN_HAS", "").split(",")))
"""What it can do although the real one may not: ``batch_norm_trained``."""

WITHOUT = {
    "image_data": ("ImageData",),
    "hdf5_data": ("HDF5Data", "HDF5Output"),
}
"""Layer types that a Caffe built without a library does not have."""

MISSING = LACKS | {kind for name in LACKS for kind in WITHOUT.get(name, ())}


def _real():
    here = os.path.realpath(os.path.dirname(os.path.dirname(__file__)))
    path, own = sys.path[:], sys.modules.pop("caffe")
    sys.path[:] = [each for each in path if os.path.realpath(each) != here]
    try:
        return importlib.import_module("caffe")
    except ImportError:
        sys.modules["caffe"] = own
        raise
    finally:
        sys.path[:] = path


def fatal(sentence):
    """End the process as a failed CHECK does."""
    line = (
        f"F1128 12:00:00.000000     1 net.cpp:1] {sentence}\n*** Check failure stack trace: ***\n"
    )
    os.write(2, line.encode())
    os.abort()


LAYER = re.compile(r"\blayer\s*\{")


def layers(text):
    """Yield start, end and text of each layer."""
    for found in LAYER.finditer(text):
        depth, position = 0, found.start()
        for position in range(found.end() - 1, len(text)):
            depth += {"{": 1, "}": -1}.get(text[position], 0)
            if depth == 0:
                break
        yield found.start(), position + 1, text[found.start() : position + 1]


PARAM = re.compile(r"\bparam\s*\{[^}]*\}")
BATCH_NORM = re.compile(r'type:\s*"BatchNorm"')


def checked(text, types):
    """Return the text of a net as this Caffe reads it; end the process where it would."""
    if "python_layers" in LACKS:
        types = types - {"Python"}
    for field in ("round_mode", "ceil_mode"):
        if field in LACKS and re.search(rf"\b{field}\b", text):
            os.write(
                2,
                b"[libprotobuf ERROR google/protobuf/text_format.cc:274] Error parsing text-format "
                b'caffe.NetParameter: 1:1: Message type "caffe.PoolingParameter" has no field '
                b'named "' + field.encode() + b'".\n',
            )
            fatal("Check failed: ReadProtoFromTextFile(param_file, param) Failed to parse")
    for kind in re.findall(r'(?<![_\w])type:\s*"(\w+)"', text):
        if kind in MISSING:
            fatal(
                "Check failed: registry.count(type) == 1 (0 vs. 1) Unknown layer type: "
                f"{kind} (known types: {', '.join(sorted(types))})"
            )
    for backend in ("LMDB", "LEVELDB"):
        if backend.lower() in LACKS and re.search(rf"backend:\s*{backend}\b", text):
            fatal("Unknown database backend")
    if "batch_norm_names_kept" in LACKS:
        text = without_names(text)
    if "batch_norm_trained" in LACKS:
        text = frozen(text)
    if "batch_norm_trained" in HAS:
        text = trained(text)
    return text


def trained(text):
    """Replace each BatchNorm by a layer of our own that follows its batch."""
    for start, end, layer in reversed(list(layers(text))):
        if BATCH_NORM.search(layer):
            given = re.search(r"batch_norm_param\s*\{[^}]*\}", layer)
            fields = dict(re.findall(r"(\w+):\s*([\w.+-]+)", given[0] if given else ""))
            stored = fields.get("use_global_stats")
            parameters = {
                "eps": float(fields.get("eps", 1e-5)),
                "moving_average_fraction": float(fields.get("moving_average_fraction", 0.999)),
                "use_global_stats": None if stored is None else stored in ("true", "True", "1"),
            }
            layer = layer.replace(given[0], "") if given else layer
            layer = BATCH_NORM.sub('type: "Python"', layer).rstrip()[:-1]
            if not PARAM.search(layer):
                layer += "param { lr_mult: 0 decay_mult: 0 }" * 3  # as the mask of the real one
            own = (
                'python_param { module: "standin_batch_norm" layer: "BatchNorm" '
                f"param_str: '{json.dumps(parameters)}' }} }}"
            )
            text = text[:start] + layer + own + text[end:]
    return text


def frozen(text):
    """Let each BatchNorm use its stored statistics, whatever the file says."""
    for start, end, layer in reversed(list(layers(text))):
        if BATCH_NORM.search(layer):
            layer = re.sub(r"use_global_stats:\s*\w+", "", layer)
            if "batch_norm_param" not in layer:
                layer = layer.rstrip()[:-1] + "batch_norm_param { } }"
            stored = "batch_norm_param { use_global_stats: true "
            text = text[:start] + re.sub(r"batch_norm_param\s*\{", stored, layer) + text[end:]
    return text


def without_names(text):
    """Drop the params of each BatchNorm that has three, as ``UpgradeNetBatchNorm`` of 1.0 does."""
    for start, end, layer in reversed(list(layers(text))):
        if BATCH_NORM.search(layer) and len(PARAM.findall(layer)) == 3:
            text = text[:start] + PARAM.sub("", layer) + text[end:]
    return text


def unmasked(text):
    """Return the names of the BatchNorm layers whose statistics a solver of an old Caffe moves."""
    return [
        re.search(r'name:\s*"([^"]*)"', layer)[1]
        for _, _, layer in layers(text)
        if BATCH_NORM.search(layer)
        and len(re.findall(r"lr_mult:\s*0(\.0)?\s", " ".join(PARAM.findall(layer)) + " ")) < 3
    ]


def replaced(path, change):
    """Return a file with the changed contents of ``path``."""
    with open(path) as stream:
        text = stream.read()
    changed = change(text)
    if changed == text:
        return path
    with tempfile.NamedTemporaryFile("w", suffix=".prototxt", delete=False) as stream:
        stream.write(changed)
    return stream.name


def take_away(caffe):
    """Change the real Caffe."""
    types = frozenset(caffe.layer_type_list()) - MISSING
    if "layer_types" in LACKS:
        del caffe.layer_type_list
    else:
        caffe.layer_type_list = lambda: sorted(types)
    if "python_layers" in LACKS:
        del caffe.Layer
    if "several_processes" in LACKS:
        for name in ("set_solver_rank", "set_solver_count", "set_multiprocess", "solver_count"):
            delattr(caffe, name)
    real_net, real_solver = caffe.Net, caffe.get_solver

    def net(path, *arguments, **keywords):
        read = replaced(path, lambda text: checked(text, types))
        return real_net(read, *arguments, **keywords)

    def solver(path):
        moved = []

        def read(text):
            if "hdf5_snapshots" in LACKS and re.search(r"snapshot_format:\s*HDF5", text):
                fatal("ToHDF5 requires HDF5; compile with USE_HDF5.")

            def of_net(found):
                return f'{found[1]}: "{replaced(found[2], lambda net: checked(net, types))}"'

            for file in re.findall(r'\bnet:\s*"([^"]*)"', text):
                with open(file) as stream:
                    moved.extend(unmasked(stream.read()))
            return re.sub(r'\b((?:train_|test_)?net):\s*"([^"]*)"', of_net, text)

        made = real_solver(replaced(path, read))
        if "batch_norm_rates_masked" in LACKS:
            # Weight decay, as the solver of a Caffe without the mask applies it.
            def decay():
                for name in moved:
                    for blob in made.net.params[name]:
                        blob.data[...] *= 0.9

            made.add_callback(lambda: None, decay)
        return made

    caffe.Net, caffe.get_solver = net, solver
    if "hdf5_snapshots" in LACKS:
        real_net.save_hdf5 = lambda *_: fatal("ToHDF5 requires HDF5; compile with USE_HDF5.")


if "import" in LACKS:
    fatal("Check failed: error == cudaSuccess (35 vs. 0)")
CAFFE = _real()
take_away(CAFFE)
sys.modules["caffe"] = CAFFE
