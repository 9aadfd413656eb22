"""The passes that plugins add, run like our own."""

from __future__ import annotations

import logging
from typing import Collection, List, Optional, Tuple

import attrs

from amct_caffe.model.network import CaffeNetwork
from amct_caffe.passes.structure import unmade_in
from amct_core.contracts.usage import Usage, shown
from amct_core.extensions import NetworkPass
from amct_core.graph import Pass
from amct_core.plugins import Registries, registries

_FRONTEND = "caffe"
_log = logging.getLogger("amct_caffe.passes")


def plugin_passes(
    place: str, quantized: Collection[str], plugins: Optional[Registries] = None
) -> List[Pass[CaffeNetwork]]:
    """Return the passes of plugins for Caffe networks, in the order of their names.

    Args:
        place: one of those of :mod:`amct_core.extensions.network_pass`.
        quantized: names of the layers that each pass has to leave in the network.
        plugins: have the passes; None: the installed ones.

    Raises:
        PluginError: a pass cannot be made.
    """
    declared = (plugins or registries()).passes
    return [
        _made(each, frozenset(quantized))
        for each in declared
        if each.frontend == _FRONTEND and each.place == place
    ]


def _made(declared: NetworkPass, quantized: Collection[str]) -> Pass[CaffeNetwork]:
    usage = Usage(declared)
    with usage.running("create"):
        made: object = declared.create()
    if not isinstance(made, Pass):
        raise usage.error(f"create returned {shown(made)}; expected a Pass.")
    return PluginPass(declared, made, quantized)


@attrs.frozen
class PluginPass(Pass[CaffeNetwork]):
    """A pass of a plugin.

    1. What it raises names the plugin and the pass.  An AmctError keeps its type.
    2. It is given a copy: what it does to that is not seen by anybody else.
    3. It returns a network that has the layers which are to be quantized.
    4. It leaves no layer, in training or testing, without the blobs that it reads.  One that was
       missing before is not its fault.
    """

    declared: NetworkPass
    inner: Pass[CaffeNetwork]
    quantized: Collection[str]

    @property
    def name(self) -> str:
        """The name that the plugin gave."""
        return self.declared.name

    def requires(self, state: CaffeNetwork) -> None:
        """Ask the plugin."""
        with Usage(self.declared).running("requires"):
            self.inner.requires(state.copy())

    def run(self, state: CaffeNetwork) -> CaffeNetwork:
        """Run it on a copy."""
        usage = Usage(self.declared)
        with usage.running("run"):
            result: object = self.inner.run(state.copy())
        if not isinstance(result, CaffeNetwork):
            raise usage.error(f"run returned {shown(result)}; expected a CaffeNetwork.")
        lost = sorted(set(self.quantized) - {layer.name for layer in result.document.layers})
        if lost:
            raise usage.error(
                f"run took the layers {', '.join(map(repr, lost))} away; expected every layer that "
                "is to be quantized."
            )
        self._check_bottoms(state, result, usage)
        _log.info(
            "pass '%s' of plugin '%s' has run %s",
            self.name,
            self.declared.provider,
            self.declared.place,
        )
        return result

    def _check_bottoms(self, before: CaffeNetwork, after: CaffeNetwork, usage: Usage) -> None:
        known = {(phase, blob) for phase, _, blob in _unmade(before)}
        for phase, layer, blob in _unmade(after):
            if (phase, blob) not in known:
                raise usage.error(
                    f"after run, layer '{layer}' reads '{blob}', which no layer before it makes in "
                    f"the {phase} net; expected a layer that makes it, or nobody who reads it."
                )

    def ensures(self, state: CaffeNetwork) -> None:
        """Ask the plugin."""
        with Usage(self.declared).running("ensures"):
            self.inner.ensures(state.copy())


def _unmade(network: CaffeNetwork) -> List[Tuple[str, str, str]]:
    """Return phase, layer and blob of what is read and not made."""
    return [
        (phase, bottom.layer, bottom.blob)
        for phase in ("TRAIN", "TEST")
        for bottom in unmade_in(network.document.layers_in(phase))
    ]
