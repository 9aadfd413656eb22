"""A plugin's frontend at work: its exceptions get its names, and what it reads is completed."""

from __future__ import annotations

import functools
import traceback
from typing import Any, ClassVar, Dict, cast

import attrs

from amct_core.contracts.usage import Usage, shown
from amct_core.errors import AmctError
from amct_core.extensions import Frontend, LayerType
from amct_core.extensions.frontend import NetworkViews
from amct_core.extensions.provided import Provided
from amct_core.graph import Graph
from amct_core.plugins import Registries
from amct_core.retrained import RetrainedNetwork

_RETURNED: Dict[str, type] = {
    "read": NetworkViews,
    "read_for_inference": NetworkViews,
    "read_float": Graph,
    "read_deployed": Graph,
    "read_inference": Graph,
    "read_retrained": RetrainedNetwork,
    "rebuilt": Graph,
}
"""What methods that give networks have to return."""


def watched(frontend: Frontend, plugins: Registries) -> Frontend:
    """Return a frontend that does what ``frontend`` does, and tells its exceptions as a plugin's.

    Nodes whose type it gives by name get what plugins declare of that type.  A frontend that runs
    modules of users is left as it is: their exceptions are not its own.
    """
    if frontend.runs_modules_of_users:
        return frontend
    provider = plugins.frontends.provider(frontend.name)
    usage = Usage(_Named(frontend.name, provider=provider))
    return cast(Frontend, _Watched(frontend, usage, plugins))


def with_declared_types(graph: Graph, plugins: Registries) -> Graph:
    """Return ``graph`` with what plugins know of the types that its reader has only named."""
    return graph.replace(
        attrs.evolve(node, type=plugins.layer_type(node.op))
        if node.type == LayerType(node.op)
        else node
        for node in graph.nodes
    )


@attrs.frozen
class _Named(Provided):
    """A frontend, as messages name it."""

    kind: ClassVar[str] = "frontend"

    name: str


class _Watched:
    """Stands for a frontend: hands on every attribute, and calls methods as :func:`watched` says.

    It looks at calls from outside alone: what a method of the frontend calls on itself is called
    as usual.
    """

    def __init__(self, frontend: Frontend, usage: Usage, plugins: Registries) -> None:
        self._frontend, self._usage, self._plugins = frontend, usage, plugins

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._frontend, name)
        if not callable(found):
            return found

        @functools.wraps(found)
        def called(*args: Any, **kwargs: Any) -> Any:
            try:
                result = found(*args, **kwargs)
            except AmctError:
                raise
            except Exception as error:
                with self._usage.running(self._method(error, name)):
                    raise
            return self._completed(name, result)

        return called

    def _method(self, error: Exception, name: str) -> str:
        """Return the method that was called last: the author knows it, ``name`` may be ours."""
        called = [
            frame.f_code.co_name
            for frame, _ in traceback.walk_tb(error.__traceback__)
            if frame.f_locals.get("self") is self._frontend
        ]
        return next((each for each in reversed(called) if hasattr(Frontend, each)), name)

    def _completed(self, name: str, result: Any) -> Any:
        expected = _RETURNED.get(name)
        if expected is None:
            return result
        if not isinstance(result, expected):
            raise self._usage.error(
                f"{name} returned {shown(result)}; expected {expected.__name__}."
            )
        completed = functools.partial(with_declared_types, plugins=self._plugins)
        if isinstance(result, NetworkViews):
            train, test = completed(result.train), completed(result.test)
            return attrs.evolve(result, train=train, test=test)
        if isinstance(result, RetrainedNetwork):
            return attrs.evolve(result, graph=completed(result.graph))
        return completed(result) if isinstance(result, Graph) else result
