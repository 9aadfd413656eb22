"""Finds plugins, and turns what their hooks return into registries.

A plugin that cannot be imported is a warning that names its entry point: the rest of the product
keeps working.  Two plugins that claim one name, and a hook that fails or returns something else
than it promises, are errors that name the plugins.
"""

from __future__ import annotations

import functools
import importlib.metadata
import logging
from typing import Any, Iterable, Iterator, List, Tuple, Type, TypeVar

import attrs
import pluggy

from amct_core import hookspecs
from amct_core.errors import AmctError, PluginError
from amct_core.extensions import (
    ActivationAlgorithm,
    Calibrator,
    CliCommand,
    DeployBackend,
    Frontend,
    LayerQuantizer,
    LayerSimulator,
    ShiftSearch,
    WeightAlgorithm,
)
from amct_core.registry import Named, Registry

_log = logging.getLogger("amct_core.plugins")

BUILTIN = "amct-core"
"""Provider name of the algorithms that come with the core."""

Item = TypeVar("Item", bound=Named)


@attrs.frozen
class FailedPlugin:
    """A plugin that could not be loaded, and why."""

    name: str
    entry_point: str
    reason: str


@attrs.define
class PluginHost:
    """The plugin manager together with the plugins that it could not load."""

    manager: pluggy.PluginManager
    failed: List[FailedPlugin] = attrs.field(factory=list)

    def collect(self, hook: str, item_type: Type[Item], kind: str) -> Registry[Item]:
        """Call ``hook`` of every plugin and register what comes back.

        Raises:
            PluginError: a name is claimed twice, or a hook fails or returns something unexpected.
        """
        registry: Registry[Item] = Registry(kind, tuple(plugin.name for plugin in self.failed))
        # One implementation at a time: calling the hook as a whole would lose who returned what.
        for implementation in getattr(self.manager.hook, hook).get_hookimpls():
            provider = implementation.plugin_name
            for item in _call(implementation.function, provider, hook, item_type):
                registry.add(item, provider)
        return registry


def _call(function: Any, provider: str, hook: str, item_type: Type[Item]) -> Iterator[Item]:
    try:
        returned = function()
        items: Tuple[Any, ...] = (
            tuple(returned) if isinstance(returned, Iterable) and returned != "" else (returned,)
        )
    except AmctError:
        raise
    except Exception as error:
        raise PluginError(
            f"plugin '{provider}': hook {hook} failed with {type(error).__name__}: {error}",
            remedy="Uninstall the plugin, or tell its author.",
        ) from error
    for item in items:
        if not isinstance(item, item_type):
            raise PluginError(
                f"plugin '{provider}': hook {hook} returned {returned!r}, in which {item!r} is a "
                f"{type(item).__name__}; expected an iterable of {item_type.__name__}.",
                remedy="Uninstall the plugin, or tell its author.",
            )
        yield item


class Registries:
    """What the installed plugins provide, by kind; each kind is collected when first asked for."""

    def __init__(self, plugin_host: PluginHost) -> None:
        self._host = plugin_host

    @functools.cached_property
    def frontends(self) -> Registry[Frontend]:
        """Training frameworks."""
        return self._host.collect("amct_frontends", Frontend, "frontend")  # type: ignore[type-abstract]

    @functools.cached_property
    def layer_quantizers(self) -> Registry[LayerQuantizer]:
        """Layer types that can be quantized."""
        return self._host.collect("amct_layer_quantizers", LayerQuantizer, "layer quantizer")

    @functools.cached_property
    def activation_algorithms(self) -> Registry[ActivationAlgorithm]:
        """Values of ``retrain_data_config.algo``."""
        return self._host.collect(
            "amct_activation_algorithms", ActivationAlgorithm, "activation algorithm"
        )

    @functools.cached_property
    def weight_algorithms(self) -> Registry[WeightAlgorithm]:
        """Values of ``retrain_weight_config.algo``."""
        return self._host.collect("amct_weight_algorithms", WeightAlgorithm, "weight algorithm")

    @functools.cached_property
    def calibrators(self) -> Registry[Calibrator]:
        """Values of ``retrain_data_config.init_algo``."""
        return self._host.collect("amct_calibrators", Calibrator, "calibrator")

    @functools.cached_property
    def shift_searches(self) -> Registry[ShiftSearch]:
        """Values of ``shift_n_algo``."""
        return self._host.collect("amct_shift_searches", ShiftSearch, "shift-N search")

    @functools.cached_property
    def deploy_backends(self) -> Registry[DeployBackend]:
        """Values of ``deploy_backend``."""
        return self._host.collect("amct_deploy_backends", DeployBackend, "deploy backend")

    @functools.cached_property
    def layer_simulators(self) -> Registry[LayerSimulator]:
        """Layer types that can be computed without their framework."""
        return self._host.collect("amct_layer_simulators", LayerSimulator, "layer simulator")

    @functools.cached_property
    def cli_commands(self) -> Registry[CliCommand]:
        """Sub-commands of ``amct``."""
        return self._host.collect("amct_cli_commands", CliCommand, "command")


def create_host(entry_points: Iterable[importlib.metadata.EntryPoint]) -> PluginHost:
    """Return a host with the built-in plugin and those behind ``entry_points``."""
    from amct_core import builtin

    host = PluginHost(pluggy.PluginManager(hookspecs.PROJECT))
    host.manager.add_hookspecs(hookspecs)
    host.manager.register(builtin, BUILTIN)
    for entry_point in entry_points:
        _load(host, entry_point)
    return host


def _load(host: PluginHost, entry_point: importlib.metadata.EntryPoint) -> None:
    name = entry_point.name
    try:
        plugin = entry_point.load()
    except Exception as error:  # whatever a third party's module does when imported
        reason = f"{type(error).__name__}: {error}"
        host.failed.append(FailedPlugin(name, entry_point.value, reason))
        _log.warning(
            "plugin '%s' (entry point %s) failed to load and is left out: %s",
            name,
            entry_point.value,
            reason,
        )
        return
    if host.manager.get_plugin(name) is not None:
        raise PluginError(
            f"two distributions have a plugin called '{name}'; one of them is {entry_point.value}.",
            remedy="Uninstall one of them.",
        )
    host.manager.register(plugin, name)


def installed_entry_points() -> List[importlib.metadata.EntryPoint]:
    """Return the entry points of all installed plugins, each once, in order of their names."""
    found: Any = importlib.metadata.entry_points()
    if hasattr(found, "select"):
        group = found.select(group=hookspecs.PROJECT)
    else:  # CPython 3.9
        group = found.get(hookspecs.PROJECT, ())
    # A distribution that is on the path twice (editable and built) shows up twice.
    unique = {(point.name, point.value): point for point in group}
    return [unique[key] for key in sorted(unique)]


@functools.lru_cache(maxsize=None)
def host() -> PluginHost:
    """Return the host of this process; plugins are looked for once."""
    return create_host(installed_entry_points())


@functools.lru_cache(maxsize=None)
def registries() -> Registries:
    """Return what the installed plugins provide."""
    return Registries(host())
