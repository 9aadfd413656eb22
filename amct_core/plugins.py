"""Finds plugins, and turns what their hooks return into registries.

A plugin that cannot be imported, has a hook with arguments, or is called as another one, is a
warning that names its entry point: the rest of the product keeps working.  Two plugins that provide
one name, and a hook that fails or returns something else than it promises, are errors that name the
plugins.  Of the kinds that nobody chooses from by name alone, such as commands, only what that
plugin provides is left out then, and the registry tells why.
"""

from __future__ import annotations

import difflib
import functools
import importlib.metadata
import logging
from collections.abc import Callable, Iterable
from typing import Any, Optional, TypeVar, Union

import attrs
import pluggy

from amct_core import entry_points as points
from amct_core import hook_checks, hookspecs
from amct_core.errors import PluginError
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
from amct_core.extensions.command import check_groups
from amct_core.processor_families import check_patterns
from amct_core.registry import Named, Registry

_log = logging.getLogger("amct_core.plugins")

BUILTIN = "amct-core"
"""Provider name of the algorithms that come with the core."""

Item = TypeVar("Item", bound=Named)


@attrs.frozen
class FailedPlugin:
    """A plugin that could not be loaded, why, and what to do."""

    name: str
    entry_point: str
    reason: str
    remedy: str


@attrs.define
class PluginHost:
    """The plugin manager together with the plugins that it could not load.

    Attributes:
        manager: knows the hooks of each plugin that loaded.
        entry_points: where each of these plugins came from, as ``module:object``, by plugin name.
        failed: the plugins that did not load.
    """

    manager: pluggy.PluginManager
    entry_points: dict[str, str] = attrs.field(factory=dict)
    failed: list[FailedPlugin] = attrs.field(factory=list)

    def collect(
        self,
        hook: str,
        item_type: type[Item],
        kind: str,
        join: Optional[Callable[[Item, Item], Union[Item, tuple[str, ...]]]] = None,
    ) -> Registry[Item]:
        """Call ``hook`` of every plugin and register what comes back; ``join`` as in Registry.

        Raises:
            PluginError: a name is claimed twice, or a hook fails or returns something unexpected.
        """
        registry: Registry[Item] = Registry(kind, self._failed_names(), join)
        for provider, function in self._implementations(hook):
            for item in _call(function, provider, hook):
                registry.add(_checked(item, provider, hook, item_type), provider)
        return registry

    def collect_working(
        self,
        hook: str,
        item_type: type[Item],
        kind: str,
        check: Callable[[Registry[Item]], None] = lambda registry: None,
    ) -> Registry[Item]:
        """Do the same, and leave out what a plugin provides if there is an error.

        The plugins of the core and of the project come first: they keep a name that others claim.

        Args:
            hook, item_type, kind: as above.
            check: raises a PluginError about the plugin that was added last.
        """
        registry: Registry[Item] = Registry(kind, self._failed_names())
        for provider, function in sorted(self._implementations(hook), key=self._rank):
            extended = registry.copy()
            try:
                for item in _call(function, provider, hook):
                    extended.add(_checked(item, provider, hook, item_type), provider)
                check(extended)
            except PluginError as error:
                registry.left_out[provider] = error
            else:
                registry = extended
        return registry

    def _implementations(self, hook: str) -> list[tuple[str, Callable[[], Any]]]:
        # One implementation at a time: calling the hook as a whole would lose who returned what.
        found = getattr(self.manager.hook, hook).get_hookimpls()
        return [(each.plugin_name, each.function) for each in found]

    def _rank(self, implementation: tuple[str, object]) -> int:
        provider = implementation[0]
        own = points.is_own(provider, self.entry_points.get(provider, ""))
        return 0 if provider == BUILTIN else 1 if own else 2

    def _failed_names(self) -> tuple[str, ...]:
        return tuple(plugin.name for plugin in self.failed)


_TELL_THE_AUTHOR = "Uninstall the plugin, or tell its author."


def described(error: BaseException) -> str:
    """Return type and message of somebody else's error as the end of a sentence."""
    # Validators of attrs add the field's description, which says nothing to a reader.
    of_attrs = any(isinstance(each, attrs.Attribute) for each in error.args)
    text = str(error.args[0] if of_attrs else error)
    return f"{type(error).__name__}: {text.rstrip('.')}."


def _call(function: Callable[[], Any], provider: str, hook: str) -> tuple[Any, ...]:
    """Return the items that a hook gives, however it gives them: a list, a generator."""
    try:
        returned = function()
        if isinstance(returned, Iterable) and not isinstance(returned, (str, bytes)):
            return tuple(returned)
    except Exception as error:
        raise PluginError(
            f"plugin '{provider}': hook {hook} failed with {described(error)}",
            remedy=_TELL_THE_AUTHOR,
        ) from error
    raise PluginError(
        f"plugin '{provider}': hook {hook} returned {returned!r}; expected an iterable, such as a "
        "list.",
        remedy=_TELL_THE_AUTHOR,
    )


def _checked(item: object, provider: str, hook: str, item_type: type[Item]) -> Item:
    if not isinstance(item, item_type):
        of_type = "type" if isinstance(item, type) else type(item).__name__
        raise PluginError(
            f"plugin '{provider}': hook {hook} returned {item!r} among its items, of type "
            f"{of_type}; expected instances of {item_type.__name__}.",
            remedy=_TELL_THE_AUTHOR,
        )
    # A subclass, such as a frontend, chooses its name without being checked by us.
    name: object = getattr(item, "name", None)
    if not isinstance(name, str):
        raise PluginError(
            f"plugin '{provider}': hook {hook} returned {item!r}, whose name is {name!r}; expected "
            "a string.",
            remedy=_TELL_THE_AUTHOR,
        )
    return item


class Registries:
    """What the installed plugins provide, by kind; each kind is collected when first asked for."""

    def __init__(self, plugin_host: PluginHost) -> None:
        self._host = plugin_host

    @functools.cached_property
    def frontends(self) -> Registry[Frontend]:
        """Training frameworks."""
        return self._host.collect("amct_frontends", Frontend, "frontend")  # type: ignore[type-abstract]

    @functools.cached_property
    def layer_types(self) -> Registry[LayerType]:
        """Layer types: what is known of each."""
        return self._host.collect("amct_layer_types", LayerType, LayerType.kind, LayerType.joined)

    def layer_type(self, name: str) -> LayerType:
        """Return what is known of the layer type ``name``; nothing, if nobody declares it."""
        return self.layer_types.get(name) if name in self.layer_types else LayerType(name)

    @functools.cached_property
    def activation_algorithms(self) -> Registry[ActivationAlgorithm]:
        """Values of ``retrain_data_config.algo``."""
        return self._host.collect(
            "amct_activation_algorithms", ActivationAlgorithm, ActivationAlgorithm.kind
        )

    @functools.cached_property
    def weight_algorithms(self) -> Registry[WeightAlgorithm]:
        """Values of ``retrain_weight_config.algo``."""
        return self._host.collect("amct_weight_algorithms", WeightAlgorithm, WeightAlgorithm.kind)

    @functools.cached_property
    def weight_roundings(self) -> Registry[WeightRounding]:
        """Values of ``--weight-rounding``."""
        return self._host.collect("amct_weight_roundings", WeightRounding, WeightRounding.kind)

    @functools.cached_property
    def calibrators(self) -> Registry[Calibrator]:
        """Values of ``retrain_data_config.init_algo``."""
        return self._host.collect("amct_calibrators", Calibrator, Calibrator.kind)

    @functools.cached_property
    def shift_searches(self) -> Registry[ShiftSearch]:
        """Values of ``shift_n_algo``."""
        return self._host.collect("amct_shift_searches", ShiftSearch, ShiftSearch.kind)

    @functools.cached_property
    def sensitivities(self) -> Registry[Sensitivity]:
        """Values of ``sensitivity`` in auto calibration."""
        return self._host.collect("amct_sensitivities", Sensitivity, Sensitivity.kind)

    @functools.cached_property
    def fallback_strategies(self) -> Registry[FallbackStrategy]:
        """Values of ``strategy`` in auto calibration."""
        return self._host.collect(
            "amct_fallback_strategies", FallbackStrategy, FallbackStrategy.kind
        )

    @functools.cached_property
    def deploy_backends(self) -> Registry[DeployBackend]:
        """Values of ``deploy_backend``."""
        return self._host.collect("amct_deploy_backends", DeployBackend, DeployBackend.kind)

    @functools.cached_property
    def lint_rules(self) -> Registry[LintRule]:
        """Rules of ``amct lint`` beside our own; a broken hook leaves out its own."""
        return self._host.collect_working("amct_lint_rules", LintRule, "lint rule")

    @functools.cached_property
    def passes(self) -> Registry[NetworkPass]:
        """Rewritings of networks in quantization-aware training, beside the built-in ones."""
        found = self._host.collect("amct_passes", NetworkPass, "pass")
        for each in found:
            unknown = self._unknown_frontend(each.frontend)
            if unknown:
                _log.warning(
                    "pass '%s' of plugin '%s' never runs: there is no frontend '%s'; %s",
                    each.name,
                    each.provider,
                    each.frontend,
                    unknown,
                )
        return found

    def _unknown_frontend(self, name: str) -> str:
        """Return which frontends there are, if ``name`` is none of them."""
        try:
            known = self.frontends.names()
        except PluginError:  # whoever needs a frontend is told
            return ""
        if name in known:
            return ""
        near = difflib.get_close_matches(name, known, n=1)
        if near:
            return f"did you mean '{near[0]}'?"
        return f"known: {', '.join(map(repr, known)) or 'none'}"

    @functools.cached_property
    def evaluators(self) -> Registry[Evaluator]:
        """Values of ``--metric`` beside ``module:function``."""
        return self._host.collect("amct_evaluators", Evaluator, "evaluator")

    @functools.cached_property
    def report_sections(self) -> Registry[ReportSection]:
        """Sections of ``amct report`` beside our own; a broken hook leaves out its own."""
        return self._host.collect_working("amct_report_sections", ReportSection, "report section")

    @functools.cached_property
    def processor_families(self) -> Registry[ProcessorFamily]:
        """Families of processors that ``--soc-version`` names; a broken hook leaves out its own."""
        found = self._host.collect_working(
            "amct_processor_families", ProcessorFamily, ProcessorFamily.kind, check_patterns
        )
        for plugin, error in found.left_out.items():
            _log.warning("families of processors of plugin '%s' are left out: %s", plugin, error)
        return found

    @functools.cached_property
    def cli_commands(self) -> Registry[CliCommand]:
        """Sub-commands of ``amct``; those of a plugin that breaks the list are left out."""
        return self._host.collect_working("amct_cli_commands", CliCommand, "command", check_groups)


KINDS = tuple(
    name for name, value in vars(Registries).items() if isinstance(value, functools.cached_property)
)
"""Names of the properties of :class:`Registries`, one per hook."""


def create_host(entry_points: Iterable[importlib.metadata.EntryPoint]) -> PluginHost:
    """Return a host with the built-in plugin and those behind ``entry_points``.

    Of two that have one name, and of two names of one plugin, the first stays.
    """
    from amct_core import builtin

    host = PluginHost(pluggy.PluginManager(hookspecs.PROJECT))
    host.manager.add_hookspecs(hookspecs)
    host.manager.register(builtin, BUILTIN)
    host.entry_points[BUILTIN] = builtin.__name__
    for entry_point in entry_points:
        _load(host, entry_point)
    return host


def _load(host: PluginHost, entry_point: importlib.metadata.EntryPoint) -> None:
    name, value = entry_point.name, entry_point.value
    if name in host.entry_points:
        first = points.told(name, host.entry_points[name])
        reason = f"two plugins are called '{name}': {first} and {points.told(name, value)}."
        _leave_out(host, entry_point, reason, _ONE_OF_TWO)
        return
    try:
        plugin = entry_point.load()
    # A third party's module may do anything when it is imported.
    except (Exception, SystemExit) as error:
        _leave_out(host, entry_point, described(error))
        return
    known_as = host.manager.get_name(plugin)
    if known_as is not None:
        first = points.told(known_as, host.entry_points[known_as])
        reason = (
            f"plugins '{known_as}' and '{name}' are the same: {first}, {points.told(name, value)}."
        )
        _leave_out(host, entry_point, reason, _ONE_OF_TWO)
        return
    try:
        host.manager.register(plugin, name)
    except pluggy.PluginValidationError as error:
        host.manager.unregister(name=name)
        wrong = hook_checks.wrong_arguments(host.manager, plugin, name)
        _leave_out(host, entry_point, described(error) if wrong is None else str(wrong))
        return
    host.entry_points[name] = value
    for warning in hook_checks.warnings(host.manager, plugin, f"'{name}' (entry point {value})"):
        _log.warning("plugin %s", warning)


_ONE_OF_TWO = "Uninstall one of the two, or ask its author for another name."


def _leave_out(
    host: PluginHost,
    entry_point: importlib.metadata.EntryPoint,
    reason: str,
    remedy: str = "Install what it misses, or uninstall it.",
) -> None:
    host.failed.append(FailedPlugin(entry_point.name, entry_point.value, reason, remedy))
    _log.warning(
        "plugin '%s' (entry point %s) failed to load and is left out: %s",
        entry_point.name,
        entry_point.value,
        reason,
    )


def installed_entry_points() -> list[importlib.metadata.EntryPoint]:
    """Return the entry points of all installed plugins, each once, in order of their names."""
    return points.installed()


@functools.cache
def host() -> PluginHost:
    """Return the host of this process; plugins are looked for once."""
    return create_host(installed_entry_points())


@functools.cache
def registries() -> Registries:
    """Return what the installed plugins provide."""
    return Registries(host())
