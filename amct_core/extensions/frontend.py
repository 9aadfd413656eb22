"""Extension type for a training framework."""

from __future__ import annotations

import abc
from typing import (
    TYPE_CHECKING,
    Any,
    ClassVar,
    FrozenSet,
    Iterable,
    Iterator,
    Mapping,
    Optional,
    Sequence,
    Tuple,
)

import attrs

from amct_core.errors import EnvironmentUnsuitableError
from amct_core.extensions.capability import Capability
from amct_core.extensions.fault import Fault

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from amct_core.config.model import QatConfig
    from amct_core.files import FileSet
    from amct_core.float_model import FloatModel
    from amct_core.graph import Graph, Node
    from amct_core.network_state import NetworkState, NetworkStates
    from amct_core.ptq.plan import CalibrationPlan
    from amct_core.quantized_model import QuantizedModel
    from amct_core.retrained import RetrainedNetwork


@attrs.frozen
class NetworkViews:
    """One network as it is in training and as it is in testing.

    Attributes:
        train, test: the two.
        source: what the frontend made them of, for its own :meth:`Frontend.insert`.
        deployed: names of the layers of ``test`` that are deployed; None: all of them.
    """

    train: Graph
    test: Graph
    source: Any = attrs.field(default=None, repr=False)
    deployed: Optional[FrozenSet[str]] = None


@attrs.frozen
class InsertionRequest:
    """Into what fake quantization is inserted, how, and where the result is written.

    Attributes:
        views: the network, with weights, as :meth:`Frontend.read` returned it.
        config: checked against it.
        config_file: where that comes from, for messages.
        modified_model_file, modified_weights_file, record_file: to write.
    """

    views: NetworkViews
    config: QatConfig
    config_file: str
    modified_model_file: str
    modified_weights_file: str
    record_file: str


Factors = Mapping[str, Mapping[str, "NDArray[Any]"]]
"""Numbers by layer and field, as :meth:`Executor.factors` gives them."""


@attrs.frozen(eq=False)
class LayerArrays:
    """What one layer read and gave in one batch, as it was before and after this layer ran.

    Attributes:
        bottoms, tops: float32, in the layer's order; empty arrays are arrays, too.
    """

    bottoms: Sequence[NDArray[np.float32]]
    tops: Sequence[NDArray[np.float32]]


@attrs.frozen(eq=False)
class Trace:
    """One batch: blobs of the network by name, and what single layers read and gave, by layer."""

    blobs: Mapping[str, NDArray[np.float32]]
    layers: Mapping[str, LayerArrays]


class Executor(abc.ABC):
    """A model loaded in its own framework, ready to run arrays."""

    @property
    @abc.abstractmethod
    def inputs(self) -> Sequence[str]:
        """Input blobs."""

    @property
    @abc.abstractmethod
    def outputs(self) -> Sequence[str]:
        """Output blobs; known once a batch has run."""

    @abc.abstractmethod
    def run(
        self, inputs: Mapping[str, NDArray[Any]], outputs: Sequence[str]
    ) -> Mapping[str, NDArray[np.float32]]:
        """Run one batch and return copies of the blobs named in ``outputs``."""

    def trace(
        self,
        inputs: Mapping[str, NDArray[Any]],
        outputs: Sequence[str],
        layers: Sequence[str],
    ) -> Trace:
        """Run one batch as :meth:`run` does, and tell what ``layers`` read and gave.

        A blob that a later layer overwrites in place is told as the layer left it.  A framework
        need not know how.

        Raises:
            EnvironmentUnsuitableError: this framework cannot tell.
            ModelError: the model has no such layer.
        """
        raise EnvironmentUnsuitableError(
            f"this framework does not tell what the layers {list(layers)} give.",
            remedy="Add their types to the simulation with the hook amct_layer_types.",
        )

    def factors(self) -> Factors:
        """Return the factors of the model's Quant and DeQuant layers, by layer name.

        ``scale`` (float32) and ``offset`` of a Quant, one value each; ``deq_scale`` (float32),
        ``shift_n`` and, if there is one, ``bias`` (int32) of a DeQuant, one value per channel or
        one for all.  What a framework does not tell cannot be compared but by its effects.
        """
        return {}

    def follows(self, node: Node) -> bool:
        """Return whether this framework computes a float layer to the last bit as its type's
        ``run`` does, as far as that depends on the libraries that it is built with.

        An executor that cannot find out says no where they matter.
        """
        return not node.type.is_library_dependent(node)


class NetworkData(abc.ABC):
    """The data layers of a network's TEST phase, in their own framework."""

    @property
    @abc.abstractmethod
    def shapes(self) -> Mapping[str, Sequence[int]]:
        """The shape of one batch by input blob, batch size first."""

    @abc.abstractmethod
    def batches(self, count: int) -> Iterator[Mapping[str, NDArray[np.float32]]]:
        """Yield ``count`` batches by input blob, from the beginning of the data at each call."""


@attrs.frozen(eq=False)
class ImageTransform:
    """What a network's data layer makes of an image: ``(pixel - mean) * scale`` of its centre.

    Attributes:
        channels: ``BGR`` or ``GRAY`` where the layer says so; None: as the data has them.
        crop: side of the square that is kept, from ``floor((size - crop) / 2)`` on; None: all.
        mean: float32 (C, 1, 1), or (1, 1, 1) for all channels, or (C, H, W), a value for each
            pixel before the crop; None: nothing is subtracted.
        scale: factor after the mean.
    """

    channels: Optional[str] = None
    crop: Optional[int] = None
    mean: Optional[NDArray[np.float32]] = None
    scale: float = 1.0


class Frontend(abc.ABC):
    """Everything that knows one framework's files and training.

    A frontend subclasses this and returns an instance from the hook ``amct_frontends``.

    Of a network that it reads, a node whose type is given by name gets what plugins declare of that
    type (:class:`~amct_core.extensions.LayerType`).  An exception in a method is told with the
    names of plugin and frontend.

    Attributes:
        name: for messages, and what :attr:`NetworkPass.frontend` says.
        runs_modules_of_users: whether its framework runs Python modules of users; their exceptions
            are told as such then, and so are the frontend's own.
    """

    name: str
    runs_modules_of_users: ClassVar[bool] = False

    @abc.abstractmethod
    def recognises(self, model_file: str) -> bool:
        """Return whether ``model_file`` looks like one of this framework's."""

    @abc.abstractmethod
    def read(
        self,
        model_file: str,
        weights_file: Optional[str] = None,
        states: Optional[NetworkStates] = None,
    ) -> NetworkViews:
        """Read a network, with its weights if a file of them is given.

        Args:
            model_file, weights_file: the network.
            states: in which it is trained and tested; None: as its file says.
        """

    def read_for_inference(
        self, model_file: str, weights_file: Optional[str] = None
    ) -> NetworkViews:
        """Read a network that is not going to be trained: both views are that of testing.

        Raises:
            ModelError: a layer of it reads what no layer makes in testing.
        """
        views = self.read(model_file, weights_file)
        return attrs.evolve(views, train=views.test)

    def read_float(self, model_file: str, weights_file: str) -> Graph:
        """Read a network in float32 as it is in testing: without fake quantization.

        Of a modified model and a snapshot of it, that is the network with the weights that training
        has given it.  A frontend whose modified models need not be told from others does nothing.

        Raises:
            ModelError: a layer of it reads what no layer makes in testing.
        """
        return self.read_for_inference(model_file, weights_file).test

    def read_deployed(self, model_file: str, weights_file: Optional[str] = None) -> Graph:
        """Read a deployable network as it is fed with arrays.

        Layers for training and testing that a deploy backend has left in (data sources, losses,
        scores) are taken out in memory.  A frontend whose backends leave none in need not do so.

        Raises:
            ModelError: the shape of an input is not known.
        """
        return self.read(model_file, weights_file).test

    def read_inference(
        self, model_file: str, weights_file: str, test_state: Optional[NetworkState] = None
    ) -> Graph:
        """Read a network that is not deployed, such as one in float32, as it is fed with arrays.

        Its outputs and their names are those of :meth:`read_deployed`.  Shapes of its inputs need
        not be known.

        Args:
            model_file, weights_file: the network.
            test_state: in which it is tested; None: as its file says.
        """
        return self.read_deployed(model_file, weights_file)

    def check_saved_set(self, model_file: str, weights_file: str) -> None:  # noqa: B027 - as above
        """Raise an AmctError if two files of a saved model were not saved together.

        A frontend need not know.
        """

    def check_float(  # noqa: B027 - a frontend need not know
        self, model_file: str, weights_file: str, remedy: str
    ) -> None:
        """Raise a ModelError if a network, or its weights, are quantized: if it is no float model.

        A frontend need not know.

        Args:
            model_file, weights_file: the network.
            remedy: what the message tells to do.
        """

    def states_of(self, solver_file: str) -> NetworkStates:
        """Read in which states a solver trains and (first) tests; a frontend need not know how.

        Raises:
            EnvironmentUnsuitableError: this frontend knows no solvers.
        """
        raise EnvironmentUnsuitableError(
            f"the frontend '{self.name}' reads no solvers.",
            file=solver_file,
            remedy="Leave the solver out; commands that train need a frontend that reads one.",
        )

    def check(self, views: NetworkViews) -> None:  # noqa: B027 - a frontend need not check anything
        """Raise an AmctError if a network that was read cannot be quantized, whatever the config.

        Called before a config is made and before insertion.
        """

    @abc.abstractmethod
    def insert(self, request: InsertionRequest) -> None:
        """Write the model with fake quantization, its weights and a fresh record file."""

    @abc.abstractmethod
    def read_retrained(
        self, model_file: str, weights_file: str, states: Optional[NetworkStates] = None
    ) -> RetrainedNetwork:
        """Read what training has learned, from the modified model and a snapshot of it.

        The network is that of the TEST state that the modified model was made for.

        Args:
            model_file, weights_file: the modified model and the snapshot.
            states: in which it was trained and tested; None: as it was made for.

        Raises:
            ModelError: it was made for other ``states``.
        """

    @abc.abstractmethod
    def write_fake_quant(self, model: QuantizedModel, save_path: str, files: FileSet) -> None:
        """Stage the model that simulates quantization inside the framework."""

    @abc.abstractmethod
    def fake_quant_executor(self, save_path: str) -> Executor:
        """Load the saved fake-quant model, with inputs in place of its data layers."""

    def executor(
        self, model_file: str, weights_file: str, test_state: Optional[NetworkState] = None
    ) -> Executor:
        """Load any network in its TEST phase, such as one in float32, as it is fed with arrays.

        Args:
            model_file, weights_file: the network.
            test_state: in which it is tested; None: as its file says.

        Raises:
            EnvironmentUnsuitableError: the framework is not installed, or cannot do this.
        """
        raise self._runs_no(model_file)

    def retrained_executor(self, model_file: str, weights_file: str) -> Executor:
        """Load a modified model as it is tested in training, as it is fed with arrays.

        It leaves the record as it is.

        Args:
            model_file, weights_file: the modified model and a snapshot of it.

        Raises:
            EnvironmentUnsuitableError: the framework is not installed, or cannot do this.
            ModelError: it is no modified model.
        """
        raise self._runs_no(model_file)

    def _runs_no(self, model_file: str) -> EnvironmentUnsuitableError:
        return EnvironmentUnsuitableError(
            f"the frontend '{self.name}' runs no networks on arrays.", file=model_file
        )

    def float_model(self, save_path: str) -> Optional[FloatModel]:
        """Return the float32 model that a saved model was made of; None: it is not known.

        Whether its files are still there is not looked at.
        """
        return None

    def made_from(self, save_path: str) -> Optional[FloatModel]:
        """Return what a saved model was saved from; None: it is not known.

        After training, that is the modified model and its snapshot: float32 weights, from which
        those in int8 differ by rounding alone.  Whether its files are still there is not looked at.
        """
        return None

    def without_training_layers(self, model: QuantizedModel) -> QuantizedModel:
        """Return a quantized model as it is fed with arrays; for backends that ask for that.

        Layers for data, losses and scores are taken out, and an Input of a known shape gives each
        blob that is fed.  A frontend whose networks have none need not do so.

        Raises:
            ModelError: the shape of an input is not known, or a quantized layer would be missing.
        """
        return model

    def rebuilt(self, graph: Graph) -> Graph:
        """Return ``graph`` with nodes whose ``source`` and attributes say what they do.

        Bottoms, tops and weights of the nodes may be others than when they were read: fusion
        changes them.  ``source`` says also that a layer with a bias has one.

        Raises:
            EnvironmentUnsuitableError: this frontend knows no post-training quantization.
        """
        raise self._knows_no_calibration()

    def write_calibration(
        self, plan: CalibrationPlan, model_file: str, weights_file: str, files: FileSet
    ) -> None:
        """Stage the model that is calibrated: fused, with fake-quantized weights.

        Its inputs, blobs and outputs are called as in the original.  When it has run
        ``plan.config.batch_num`` times, the record is complete.

        Raises:
            EnvironmentUnsuitableError: this frontend knows no post-training quantization.
        """
        raise self._knows_no_calibration()

    def runs_here(self) -> bool:
        """Return whether the framework is installed; one that need not run says no."""
        return False

    def check_calibration(self, graph: Graph) -> None:  # noqa: B027 - need not check anything
        """Raise an AmctError if the framework cannot run a network for calibration here.

        Called before anything is written: files of data layers that are not there, classes that
        cannot be imported, and the like.
        """

    def run_calibration(
        self,
        model_file: str,
        weights_file: str,
        count: int,
        batches: Optional[Iterable[Mapping[str, NDArray[np.float32]]]] = None,
    ) -> Mapping[str, Tuple[int, ...]]:
        """Run a model that :meth:`write_calibration` wrote; the record is then complete.

        Args:
            model_file, weights_file: the model.
            count: how many batches.
            batches: arrays by input blob; None: the network's own data layers give them.

        Returns:
            The shapes of its blobs in the last forward, batch size first.

        Raises:
            EnvironmentUnsuitableError: the framework is not installed.
            ConfigError: there are fewer batches, or none for an input.
        """
        raise self._knows_no_calibration()

    def input_shapes(self, graph: Graph) -> Mapping[str, Sequence[int]]:
        """Return the shapes of a network's inputs by blob, batch size first.

        Where only the batch size is known, there is nothing behind it.
        """
        return {}

    def _knows_no_calibration(self) -> EnvironmentUnsuitableError:
        return EnvironmentUnsuitableError(
            f"the frontend '{self.name}' knows no post-training quantization.",
            remedy="Use quantization-aware training.",
        )

    def fake_quant_layers(self, save_path: str) -> Optional[Sequence[str]]:
        """Return the quantized layers of the saved fake-quant model, in network order.

        They are read from its files alone, by its own Quants and DeQuants, so that they can be
        compared with those of the deployable model.  None: this frontend does not tell.
        """
        return None

    def network_data(self, save_path: str, others: Sequence[str] = ()) -> NetworkData:
        """Load the data layers of the saved fake-quant model; a frontend need not know how.

        Args:
            save_path: folder and prefix.
            others: blobs of data layers that are wanted beside the network's inputs, as labels are.

        Raises:
            EnvironmentUnsuitableError: the framework is not there, or cannot do this.
            ModelError: an input has no data layer, or one that cannot run by itself.
        """
        raise EnvironmentUnsuitableError(
            f"the frontend '{self.name}' cannot run a network's data layers.",
            remedy="Give the data as a file or folder.",
        )

    def image_transform(self, save_path: str, blob: Optional[str] = None) -> ImageTransform:
        """Read what the data layer of input ``blob`` does; a frontend need not know how.

        Args:
            save_path: of the saved fake-quant model.
            blob: None: the only input that has a data layer.

        Raises:
            EnvironmentUnsuitableError: this frontend cannot tell.
            ModelError: there is no such data layer, or what it does is not an ImageTransform.
        """
        raise EnvironmentUnsuitableError(
            f"the frontend '{self.name}' does not say what a network's data layers do.",
            remedy="Declare crop, mean and scale themselves.",
        )

    def capabilities(self) -> Sequence[Capability]:
        """Return what the installed framework can do; a frontend need not know.

        Whatever the framework does when it is asked, this returns.  It is empty where the framework
        is not installed.
        """
        return ()

    def fault(self, log: str) -> Optional[Fault]:
        """Return why the framework has ended its process; None where its log does not tell.

        Args:
            log: what it wrote to standard error until then.
        """
        return None
