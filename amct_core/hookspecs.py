"""Every hook that a plugin can implement.

A plugin is a module (or object) named by an entry point of the group ``amct``::

    # pyproject.toml of the plugin's distribution
    [project.entry-points.amct]
    my_plugin = "my_package.plugin"

Each hook takes no argument and returns an iterable of one extension type; the built-in algorithms
come in the same way.  Keep the module that holds the hooks cheap to import: it is imported whenever
``amct`` starts.

What a plugin returns is checked where it is used first (:mod:`amct_core.contracts`).  A mistake,
and an exception inside a plugin, is one :class:`~amct_core.errors.PluginError` that names the
plugin, what it has registered, the layer, what came back and what was expected; nothing is saved
then.  The exception is its ``__cause__``: ``amct`` writes the traceback to a file that it names,
and ``amct --debug`` shows it.  An :class:`~amct_core.errors.AmctError` that a plugin raises keeps
its type and its words.
"""

from __future__ import annotations

from collections.abc import Iterable

import pluggy

from amct_core.extensions import (
    ActivationAlgorithm,
    Calibrator,
    CliCommand,
    DeployBackend,
    Evaluator,
    FallbackStrategy,
    Frontend,
    LayerType,
    LintRule,
    NetworkPass,
    ProcessorFamily,
    ReportSection,
    Sensitivity,
    ShiftSearch,
    WeightAlgorithm,
    WeightRounding,
)

PROJECT = "amct"
"""Name of the pluggy project and of the entry point group."""

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def amct_frontends() -> Iterable[Frontend]:
    r"""Register training frameworks.

    A frontend reads and writes one framework's model files and puts fake quantization into them.

    Example, networks as text, one ``name type bottom top`` per line, with weights in a NumPy file
    and inputs of 8 channels.  They can be quantized after training, and not be trained::

        import numpy as np
        from amct_core.errors import EnvironmentUnsuitableError
        from amct_core.extensions import Frontend, LayerType, Role
        from amct_core.extensions.frontend import NetworkViews
        from amct_core.graph import Graph, Node
        from amct_core.graph.attributes import Input
        from amct_core.hookspecs import hookimpl

        SHAPE = (1, 8)  # batch size first

        def nodes(model_file, weights):
            kind = LayerType("Input", role=Role.INPUT)
            yield Node("input", kind, (), ("data",), Input(shapes=(SHAPE,)))
            with open(model_file, encoding="utf-8") as lines:
                for line in lines:
                    name, op, bottom, top = line.split()
                    blobs = [weights[name]] if name in weights else []
                    yield Node(name, op, (bottom,), (top,), weights=blobs)

        class TextFrontend(Frontend):
            name = "text"

            def recognises(self, model_file):
                return model_file.endswith(".net.txt")

            def read(self, model_file, weights_file=None, states=None):
                weights = {}
                if weights_file is not None:
                    with np.load(weights_file) as found:
                        weights = dict(found)
                graph = Graph("text", nodes(model_file, weights), model_file)
                return NetworkViews(train=graph, test=graph)

            def rebuilt(self, graph):
                return graph  # the nodes have no source that could be out of date

            def input_shapes(self, graph):
                return {"data": SHAPE}

            def insert(self, request):
                raise EnvironmentUnsuitableError("text networks cannot be trained.")

            def read_retrained(self, model_file, weights_file, states=None):
                raise EnvironmentUnsuitableError("text networks cannot be trained.")

            def write_fake_quant(self, model, save_path, files):
                raise EnvironmentUnsuitableError("text networks cannot be run.")

            def fake_quant_executor(self, save_path):
                raise EnvironmentUnsuitableError("text networks cannot be run.")

        @hookimpl
        def amct_frontends():
            return [TextFrontend()]

    With the example of ``amct_layer_types`` and the second one of ``amct_deploy_backends``, these
    run.  ``gain.net.txt`` holds one line, ``gain Gain data out``, and ``gain.npz`` an array
    ``gain`` of 8 float32 numbers:

    .. code-block:: sh

        amct ptq run gain.net.txt gain.npz --data data.npz --engine simulator \
            --backend chip --save-type Deploy -o out
        amct verify out/result/model --data data.npz --against reference
        amct evaluate out/result/model --data data.npz --float gain.net.txt gain.npz

    Layer types come from the hook ``amct_layer_types``: a node whose type is given by name gets
    what plugins declare of it after the frontend has read the network.  If nobody declares it,
    nothing is known of it, and the layer is neither quantized nor simulated.

    Each input is a node without bottoms, of a type whose role is ``Role.INPUT``, with attributes
    :class:`~amct_core.graph.attributes.Input`.  What each command calls:

    ==============================================  =============================================
    command                                         methods, beside ``recognises``
    ==============================================  =============================================
    ``qat config``                                  ``states_of`` with a solver, ``read``, ``check``
    ``qat insert``                                  the same, and ``insert``
    ``qat save``                                    ``read_retrained``, ``write_fake_quant``,
                                                    ``without_training_layers``
    ``qat run``, ``qat train``                      Caffe's alone
    ``ptq config``                                  ``read_for_inference``, ``check``
    ``ptq run``, ``ptq calibrate``, ``ptq auto``    ``read_for_inference``, ``check``, ``rebuilt``,
                                                    ``input_shapes``; without ``--engine``
                                                    ``runs_here``
    the first two in the framework                  ``check_calibration``, ``write_calibration``,
                                                    ``run_calibration``
    ``ptq save``, the end of ``ptq run`` and        ``read_for_inference``, ``check``, ``rebuilt``,
    ``ptq auto``                                    ``input_shapes``, ``write_fake_quant``,
                                                    ``without_training_layers``
    ``verify``                                      ``fake_quant_executor``, ``fake_quant_layers``
    ``simulate``, ``verify``                        ``read_deployed``, ``check_saved_set``, where no
                                                    backend reads the model
    ``evaluate``                                    ``float_model``, ``check_float``,
                                                    ``read_for_inference``, ``runs_here``,
                                                    ``executor`` or ``read_inference``
    ``report``                                      ``made_from``, ``read_float``
    data without ``--data``                         ``network_data``, ``image_transform``
    ``doctor``, a framework that ends               ``capabilities``, ``fault``
    ``lint``, ``atc``                               Caffe's alone
    ==============================================  =============================================

    ``write_fake_quant`` is called with ``--save-type Both`` or ``Fakequant``, and
    ``without_training_layers`` where the backend asks for it.  All have defaults except those of
    the example; that of ``read_for_inference``, ``read_float``, ``read_deployed`` and
    ``read_inference`` calls ``read``, that of ``rebuilt`` refuses post-training quantization.

    What is checked: the methods that read give instances of ``NetworkViews``, ``Graph`` or
    ``RetrainedNetwork``.  An exception in a method is told with the names of plugin, frontend and
    method; one in an ``Executor`` is not.

    Returns:
        Instances of :class:`~amct_core.extensions.Frontend`.
    """
    return ()


@hookspec
def amct_layer_types() -> Iterable[LayerType]:
    """Register layer types, or parts of what is known of one.

    Everything is optional; whatever is not declared is simply not known.  Plugins may share a
    type, each declaring other parts of it.

    Example, for a layer type ``Gain`` that multiplies its input by one weight per channel::

        import numpy as np
        from amct_core.extensions import LayerType, Quantization, WeightAxes, same_shape
        from amct_core.hookspecs import hookimpl

        def per_channel(weights, ndim):
            return weights.reshape((1, -1) + (1,) * (ndim - 2))

        def check(node, graph):
            return "it works in place." if node.in_place else None

        def run(node, inputs):
            return [inputs[0] * per_channel(node.weights[0], inputs[0].ndim)]

        def accumulate(node, centered):
            return centered.astype(np.int64) * per_channel(node.weights[0], centered.ndim)

        def onnx(writer, node, inputs, outputs):
            ndim = len(writer.shape(node, node.inputs[0]))
            gains = writer.constant(per_channel(node.weights[0], ndim), np.float32)
            writer.add("Mul", [inputs[0], gains], outputs[0])

        @hookimpl
        def amct_layer_types():
            return [
                LayerType(
                    name="Gain",
                    shape=same_shape,
                    weights=WeightAxes(output=0),
                    quantization=Quantization(check, channel_wise_allowed=True),
                    run=run,
                    accumulate=accumulate,
                    onnx=onnx,
                )
            ]

    What is checked: a quantizable type declares ``weights`` if its layers have any, unless it has a
    ``divisor``; that is when a network is looked through for what can be quantized.  ``accumulate``
    gives integers of the shape that ``shape`` tells, or, without ``shape``, of the batch size;
    ``run`` gives as many outputs as the layer has.

    Returns:
        Instances of :class:`~amct_core.extensions.LayerType`.
    """
    return ()


@hookspec
def amct_activation_algorithms() -> Iterable[ActivationAlgorithm]:
    """Register ways to fake-quantize activations; ``retrain_data_config.algo`` names one.

    Example::

        from amct_core.extensions import ActivationAlgorithm
        from amct_core.hookspecs import hookimpl
        from amct_core.numerics import affine, ulq

        def frozen_bounds(x, top_diff, clip_max, clip_min, fixed_min=False):
            bottom_diff, _, _ = ulq.backward(x, top_diff, clip_max, clip_min, fixed_min)
            return bottom_diff, 0.0, 0.0

        @hookimpl
        def amct_activation_algorithms():
            return [
                ActivationAlgorithm(
                    name="frozen_bounds",
                    forward=ulq.forward,
                    backward=frozen_bounds,
                    factors=affine.scale_offset,
                )
            ]

    One may learn more than two bounds, keep state and have parameters of its own.  This one has
    no bounds at all: its step follows the largest magnitude so far, and ``slack``, which is
    learned, is added to it.  What ``algo_parameters`` of the config says is an attrs class::

        import attrs
        import numpy as np
        from amct_core.extensions import ActivationAlgorithm, LearnedParameter, StateVariable
        from amct_core.hookspecs import hookimpl
        from amct_core.numerics import affine

        @attrs.frozen
        class Parameters:
            share: float = attrs.field(default=1.0, validator=attrs.validators.gt(0.0))

        def factors(clip_max, clip_min, fixed_min, values, parameters):
            bound = parameters.share * values["largest"][0] + abs(values["slack"][0])
            return affine.process_scale(bound / 127), 0

        def forward(x, clip_max, clip_min, fixed_min, values, parameters):
            scale, offset = factors(clip_max, clip_min, fixed_min, values, parameters)
            q = affine.quantize(x, affine.quant_scale(scale), offset)
            return affine.dequantize(q, offset, scale), scale, offset

        def backward(x, top_diff, clip_max, clip_min, fixed_min, values, parameters):
            scale, _ = factors(clip_max, clip_min, fixed_min, values, parameters)
            clipped = np.abs(x) > 127 * scale
            outwards = (top_diff * np.sign(x)).sum(dtype=np.float64, where=clipped)
            slack = np.float32([outwards * np.sign(values["slack"][0])])
            return np.where(clipped, np.float32(0), top_diff), 0.0, 0.0, {"slack": slack}

        def observe(x, clip_max, clip_min, fixed_min, values, parameters):
            return {"largest": np.maximum(values["largest"], np.abs(x).max())}

        @hookimpl
        def amct_activation_algorithms():
            return [
                ActivationAlgorithm(
                    name="running_maximum",
                    forward=forward,
                    backward=backward,
                    factors=factors,
                    parameters=Parameters,
                    learned=(LearnedParameter("slack", initial=0.01),),
                    state=(StateVariable("largest"),),
                    observe=observe,
                )
            ]

    What is checked, in each pass: how many values come back, the shapes of ``y`` and of the
    gradient of ``x``, ``scale_d`` (finite, above 0), ``offset_d`` (an integer in -128..127), and
    that all gradients are finite where ``x`` and ``top_diff`` are.  In a layer's first pass of a
    process, and in the one whose factors are recorded, also that ``y`` is on the grid of both and
    that ``factors`` gives them, too.  Saving calls ``factors``, and ``forward`` on some values at
    the same bounds.

    Returns:
        Instances of :class:`~amct_core.extensions.ActivationAlgorithm`.
    """
    return ()


@hookspec
def amct_weight_algorithms() -> Iterable[WeightAlgorithm]:
    """Register ways to quantize weights; ``retrain_weight_config.algo`` names one.

    Example::

        import numpy as np
        from amct_core.extensions import WeightAlgorithm
        from amct_core.hookspecs import hookimpl
        from amct_core.numerics import arq

        def power_of_two_scales(weights, channel_axis=None):
            scale = arq.scales(weights, channel_axis)
            return np.exp2(np.ceil(np.log2(scale))).astype(np.float32)

        @hookimpl
        def amct_weight_algorithms():
            return [
                WeightAlgorithm(
                    name="power_of_two", scales=power_of_two_scales, quantize=arq.quantize
                )
            ]

    Scales are learned where the algorithm says their gradient: ``scales`` are the first ones then,
    the snapshot has what training made of them, and saving takes them from there.  The distribution
    in the folder ``examples/lsq_plugin`` of the source repository is such a one, for activations
    and weights::

        from amct_core.extensions import WeightAlgorithm
        from amct_core.hookspecs import hookimpl
        from amct_core.numerics import arq
        from amct_core.numerics.arrays import along_channels, channel_rows

        def gradients(weights, top_diff, scale, channel_axis=None):
            steps = weights / along_channels(scale, weights, channel_axis)
            slope = top_diff * (arq.quantize(weights, scale, channel_axis) - steps)
            d_scale = channel_rows(slope, channel_axis).sum(axis=1)
            return top_diff, d_scale / weights.size**0.5

        @hookimpl
        def amct_weight_algorithms():
            return [
                WeightAlgorithm(
                    name="learned_scales",
                    scales=arq.scales,
                    quantize=arq.quantize,
                    backward=gradients,
                    scale_lr_mult=0.1,
                )
            ]

    What is checked, at each call: ``scales`` is float32 of one per output channel, or of one,
    finite and above 0; ``quantize`` is int8 of the shape of the weights.  In a layer's first pass,
    ``fake_quantize_into`` is compared with the other two, in layers of up to 4 million weights.

    Returns:
        Instances of :class:`~amct_core.extensions.WeightAlgorithm`.
    """
    return ()


@hookspec
def amct_weight_roundings() -> Iterable[WeightRounding]:
    """Register ways to round weights by what their layer reads; ``--weight-rounding`` names one.

    Example, weights of inputs that are always 0 become 0 if they are near it::

        import numpy as np
        from amct_core.extensions import WeightRounding
        from amct_core.hookspecs import hookimpl

        class WithoutDeadInputs:
            def __init__(self, weights, scale_w, nearest):
                self.nearest = nearest
                self.alive = np.zeros((weights.shape[0], 1, weights.shape[2]), bool)

            def observe(self, columns):
                self.alive |= columns.any(axis=2)[:, np.newaxis, :]

            def result(self):
                near = np.abs(self.nearest) <= 1
                return np.where(near & ~self.alive, np.int8(0), self.nearest)

        @hookimpl
        def amct_weight_roundings():
            return [WeightRounding(name="without_dead_inputs", start=WithoutDeadInputs)]

    What is checked: the result is int8 of the shape of ``nearest``, each at most 1 from it.

    Returns:
        Instances of :class:`~amct_core.extensions.WeightRounding`.
    """
    return ()


@hookspec
def amct_calibrators() -> Iterable[Calibrator]:
    """Register ways to find the range of activations; ``retrain_data_config.init_algo`` names one.

    Example, the mean of the batches' extremes, in constant memory::

        from amct_core.extensions import Calibrator
        from amct_core.hookspecs import hookimpl
        from amct_core.numerics import clipping

        class MeanOfExtremes:
            def __init__(self, with_offset=True):
                self.with_offset = with_offset
                self.highs, self.lows = [], []

            def observe(self, batch):
                self.highs.append(max(float(batch.max()), 0.0))
                self.lows.append(min(float(batch.min()), 0.0))

            def result(self):
                high = sum(self.highs) / len(self.highs)
                low = sum(self.lows) / len(self.lows)
                return clipping.factors(high, low, self.with_offset)

        @hookimpl
        def amct_calibrators():
            return [Calibrator(name="mean_of_extremes", start=MeanOfExtremes)]

    One that needs all batches at once gives ``calibrate``, a function of them, in place of
    ``start``.  With ``parameters``, an attrs class, either is given the fields of that class by
    keyword; what they are, ``retrain_data_config.init_algo_parameters`` says.

    What is checked: the result is a pair of ``scale_d``, finite and above 0, and ``offset_d``, an
    integer in -128..127, which is 0 where ``with_offset`` is false.

    Returns:
        Instances of :class:`~amct_core.extensions.Calibrator`.
    """
    return ()


@hookspec
def amct_shift_searches() -> Iterable[ShiftSearch]:
    """Register searches for the shift factor N; the config key ``shift_n_algo`` names one.

    Example, the same N for every channel of every layer::

        import numpy as np
        from amct_core.extensions import ShiftSearch
        from amct_core.hookspecs import hookimpl

        class AlwaysFour:
            def __init__(self, deq_scale, broadcast):
                self.channels = len(deq_scale)

            def observe(self, y):
                pass

            def result(self):
                return np.full(self.channels, 4, np.uint8)

        @hookimpl
        def amct_shift_searches():
            return [ShiftSearch(name="always_four", start=AlwaysFour)]

    With ``parameters``, an attrs class, ``start`` is given an instance of it by that keyword; what
    it holds, ``shift_n_algo_parameters`` says.

    What is checked: the result is integers, one per entry of ``deq_scale``, each in 1..16, or
    all 0.

    Returns:
        Instances of :class:`~amct_core.extensions.ShiftSearch`.
    """
    return ()


@hookspec
def amct_sensitivities() -> Iterable[Sensitivity]:
    """Register measures of what quantization does to one layer; ``sensitivity`` names one.

    Example, the signal-to-noise ratio::

        import numpy as np
        from amct_core.extensions import Sensitivity
        from amct_core.hookspecs import hookimpl

        def signal_to_noise(reference, quantized):
            noise = float(np.square(reference - quantized, dtype=np.float64).sum())
            signal = float(np.square(reference, dtype=np.float64).sum())
            return signal / noise if noise > 0 else float("inf")

        @hookimpl
        def amct_sensitivities():
            return [Sensitivity(name="SignalToNoise", compare=signal_to_noise)]

    What is checked: the result is a number, and not NaN.

    Returns:
        Instances of :class:`~amct_core.extensions.Sensitivity`.
    """
    return ()


@hookspec
def amct_fallback_strategies() -> Iterable[FallbackStrategy]:
    """Register searches for the layers that stay in float; ``strategy`` names one.

    Example, one layer more at each step::

        from amct_core.extensions import FallbackStrategy
        from amct_core.hookspecs import hookimpl

        class OneByOne:
            def __init__(self, ranking):
                self.layers = [layer for layer, score in ranking]
                self.count, self.over = 1, False

            def propose(self):
                if self.over or self.count >= len(self.layers):
                    return None
                return frozenset(self.layers[: self.count])

            def judge(self, satisfied, loss):
                self.count, self.over = self.count + 1, satisfied

        @hookimpl
        def amct_fallback_strategies():
            return [FallbackStrategy(name="OneByOne", start=OneByOne)]

    What is checked: a proposal is a set of layers of the ranking, and none comes twice.

    Returns:
        Instances of :class:`~amct_core.extensions.FallbackStrategy`.
    """
    return ()


@hookspec
def amct_deploy_backends() -> Iterable[DeployBackend]:
    r"""Register writers of deployable models; ``deploy_backend`` or ``--backend`` names one.

    Example, the factors of every layer as text::

        from amct_core.extensions import DeployBackend
        from amct_core.file_names import file_under
        from amct_core.hookspecs import hookimpl

        def write(model, save_path, files):
            lines = [f"{layer.name} {layer.quant_scale} {layer.offset}" for layer in model.layers]
            files.add(file_under(save_path, "factors.txt"), "\n".join(lines))

        @hookimpl
        def amct_deploy_backends():
            return [DeployBackend(name="factors", description="factors as text", write=write)]

    Where ``write`` raises, no file is written, of this backend or any other.

    A backend that gives ``recognises`` and ``read`` as well has models that ``amct verify``,
    ``simulate``, ``evaluate`` and ``report`` take; the last two want the float network with
    ``--float MODEL WEIGHTS``, as such a backend notes none.  ``amct lint`` and ``amct atc`` look at
    Caffe's files only.  The whole network as JSON and arrays, for example::

        import io
        import json
        import os

        import numpy as np
        from amct_core.extensions import DeployBackend
        from amct_core.file_names import file_under
        from amct_core.files import read_text
        from amct_core.graph_document import arrays_of, as_document, from_document
        from amct_core.hookspecs import hookimpl
        from amct_core.quantized_graph import quantized_graph

        def names(save_path):
            return file_under(save_path, "chip.json"), file_under(save_path, "chip.npz")

        def write(model, save_path, files):
            document, arrays = names(save_path)
            graph = quantized_graph(model)  # with Quant and DeQuant layers
            files.add(document, json.dumps(as_document(graph)))
            stream = io.BytesIO()
            np.savez(stream, **arrays_of(graph))
            files.add(arrays, stream.getvalue())

        def recognises(save_path):
            return os.path.isfile(names(save_path)[0])

        def read(save_path):
            document, arrays = names(save_path)
            with np.load(arrays) as found:
                return from_document(json.loads(read_text(document)), found, document)

        @hookimpl
        def amct_deploy_backends():
            return [
                DeployBackend(
                    name="chip",
                    description="network as JSON and arrays",
                    write=write,
                    recognises=recognises,
                    read=read,
                    without_training_layers=True,
                )
            ]

    Returns:
        Instances of :class:`~amct_core.extensions.DeployBackend`.
    """
    return ()


@hookspec
def amct_lint_rules() -> Iterable[LintRule]:
    """Register rules of ``amct lint``, beside the built-in ones.

    Example, for a board whose memory holds weights of at most 8 MB::

        from amct_core.extensions import LintProblem, LintRule
        from amct_core.graph.deployed_layers import quantized_nodes
        from amct_core.hookspecs import hookimpl

        LIMIT = 8_000_000

        def check(graph, soc_version):
            size = sum(node.weights[0].size for node in quantized_nodes(graph) if node.weights)
            if size > LIMIT:
                yield LintProblem(f"int8 weights take {size} bytes; expected at most {LIMIT}.")

        @hookimpl
        def amct_lint_rules():
            return [
                LintRule(
                    name="BOARD1",
                    severity="error",
                    title="The weights do not fit the board's memory",
                    fix="Make layers narrower.",
                    explanation="Manual of the board, section 2: weights stay in 8 MB of memory.",
                    check=check,
                )
            ]

    The rules see the network that ``read`` of a frontend makes of the files.  Where they cannot be
    read, ``amct lint`` says so, and the built-in rules say why.

    What is checked: ``check`` gives instances of ``LintProblem``.  One that does not, or that
    raises, is an error among the findings, under the rule's name; the other rules are checked.  So
    is a hook that fails, for all rules of its plugin.

    Returns:
        Instances of :class:`~amct_core.extensions.LintRule`.
    """
    return ()


@hookspec
def amct_passes() -> Iterable[NetworkPass]:
    """Register rewritings of networks in quantization-aware training.

    A pass runs before fake quantization is inserted, or when the trained model is saved, in the
    order of the names.  Post-training quantization runs none, and warns of it: each of its steps
    reads the files anew, and compares int8 with the network that is in them.  For the same effect,
    change the files themselves before.

    Example, slopes of ReLU layers become a power of two before training::

        from amct_core.extensions import NetworkPass
        from amct_core.graph import Pass
        from amct_core.hookspecs import hookimpl

        class EvenSlopes(Pass):
            def run(self, state):
                network = state.copy()
                for layer in network.document.layers:
                    parameters = layer.message.message("relu_param")
                    if parameters is not None:
                        parameters.set("negative_slope", 0.125)
                return network

        @hookimpl
        def amct_passes():
            return [NetworkPass("even_slopes", "caffe", "before insertion", EvenSlopes)]

    What is checked: ``run`` returns a network of the frontend that still has every layer which is
    to be quantized, and in which every blob that a layer reads is made by a layer before it.

    Returns:
        Instances of :class:`~amct_core.extensions.NetworkPass`.
    """
    return ()


@hookspec
def amct_evaluators() -> Iterable[Evaluator]:
    """Register metrics; ``--metric`` of ``amct evaluate`` and ``amct ptq auto`` names one.

    Example, how sure the network is, from 0 to 1, which needs no labels::

        import numpy as np
        from amct_core.extensions import Evaluator
        from amct_core.hookspecs import hookimpl

        def margin(outputs, labels):
            *_, scores = outputs.values()  # the last output
            largest = np.sort(scores.reshape(len(scores), -1), axis=1)
            return 1 - np.exp(largest[:, -2] - largest[:, -1])

        @hookimpl
        def amct_evaluators():
            return [Evaluator(name="margin", description="from first to second", score=margin)]

    Both commands take it.  The outputs that they give differ: see ``score`` below.  Name the blob
    with ``--scores`` where that matters, as logits and probabilities differ.

    What is checked: ``score`` gives one finite number, or one for each sample; for ``ptq auto``,
    from 0 to 1.

    Returns:
        Instances of :class:`~amct_core.extensions.Evaluator`.
    """
    return ()


@hookspec
def amct_report_sections() -> Iterable[ReportSection]:
    """Register sections of ``amct report``: text and a table, for terminal, JSON and page.

    A section that fails says so in the report; the others stay, and the exit status is 1.

    Example, how much memory the weights of each layer take::

        from amct_core.extensions import ReportSection, SectionContent
        from amct_core.graph.deployed_layers import deployed_layers
        from amct_core.hookspecs import hookimpl

        def memory(report, graph):
            layers = [each for each in deployed_layers(graph).values() if each.weights is not None]
            rows = [(layer.name, layer.weights.size) for layer in layers]
            total = sum(size for name, size in rows)
            return SectionContent(f"int8 weights take {total} bytes.", ("layer", "bytes"), rows)

        @hookimpl
        def amct_report_sections():
            return [ReportSection(name="memory", title="Memory", build=memory)]

    What is checked: a row has as many cells as there are headings, each text or a number.  Numbers
    are numbers in the JSON; people read 6 digits of them.

    Returns:
        Instances of :class:`~amct_core.extensions.ReportSection`.
    """
    return ()


@hookspec
def amct_processor_families() -> Iterable[ProcessorFamily]:
    """Register families of processors, and where they depart from what a deployable model says.

    ``--soc-version`` of ``amct simulate``, ``verify``, ``evaluate`` and ``report``, and
    ``Simulator(soc_version=...)``, find one by its pattern.  That of ``amct lint`` and ``amct atc``
    takes ATC's own processors only.

    Example, a processor that computes the first quantized layer in float16 and all else exactly::

        from amct_core.extensions import Fact, ProcessorFamily, RolledBack
        from amct_core.graph.deployed_layers import quantized_nodes
        from amct_core.hookspecs import hookimpl

        MANUAL = "manual of the Example 1, section 4"

        def first(graph):
            return [RolledBack(n.name, "it is the first layer") for n in quantized_nodes(graph)[:1]]

        @hookimpl
        def amct_processor_families():
            return [
                ProcessorFamily(
                    name="Example1",
                    description="a processor made up for this page",
                    pattern="Example1[A-C]?",
                    examples=("Example1", "Example1A"),
                    quantizes_in_fp16=Fact(False, "verified", MANUAL),
                    cuts_deq_scale=Fact(False, "verified", MANUAL),
                    honours_shift_n=Fact(True, "inferred", MANUAL),
                    rolls_back=Fact(True, "verified", MANUAL),
                    rolled_back=first,
                )
            ]

    Checked: ``rolled_back`` and ``merged`` give instances of ``RolledBack`` and ``Merged``, and the
    layers that are rolled back are in the model.  No pattern matches examples of another family.  A
    plugin with such a pattern, or whose hook fails, is left out with its families, with a warning.

    Returns:
        Instances of :class:`~amct_core.extensions.ProcessorFamily`.
    """
    return ()


@hookspec
def amct_cli_commands() -> Iterable[CliCommand]:
    """Register sub-commands of ``amct``.

    Example::

        from amct_core.extensions import CliCommand
        from amct_core.hookspecs import hookimpl

        def load():
            import click

            @click.command("hello")
            def hello():
                click.echo("hello")

            return hello

        @hookimpl
        def amct_cli_commands():
            return [CliCommand(name="hello", help="Say hello.", load=load)]

    An :class:`~amct_core.errors.AmctError` that a command raises is the message that the user
    reads, with exit status 1.  Any other exception is told with the names of plugin and command,
    and exit status 70; its traceback is in a file that is named.

    If the hook fails, or a name is that of another command or group, this plugin's commands are
    left out, with a warning.

    Returns:
        Instances of :class:`~amct_core.extensions.CliCommand`.
    """
    return ()
