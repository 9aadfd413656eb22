"""``amct plugins``: which plugins are installed and what each provides."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import attrs
import click

from amct_core.cli.output import json_option, print_columns, print_json, print_names
from amct_core.errors import PluginError
from amct_core.extensions.parameters import Field, fields_of
from amct_core.plugins import KINDS, PluginHost, Registries, host, registries
from amct_core.registry import Registry


@attrs.frozen
class Kind:
    """What is provided of one kind: (name, provider) each, and why something cannot be listed.

    ``parameters``: those of its own that an item has, by its name.
    """

    name: str
    items: tuple[tuple[str, str], ...] = ()
    error: str = ""
    parameters: Mapping[str, tuple[Field, ...]] = attrs.field(factory=dict)


def kinds(found: Registries) -> tuple[Kind, ...]:
    """Return every kind; one that a plugin breaks does not hide the others."""
    return tuple(_kind(found, kind) for kind in KINDS)


def _kind(found: Registries, kind: str) -> Kind:
    try:
        registry: Registry[Any] = getattr(found, kind)
    except PluginError as error:
        return Kind(kind, error=str(error))
    items = tuple((name, registry.provider(name)) for name in registry.names())
    classes = {each.name: getattr(each, "parameters", None) for each in registry}
    # Those of a layer type are the name of a message.
    parameters = {name: fields_of(each) for name, each in classes.items() if isinstance(each, type)}
    left_out = " ".join(map(str, registry.left_out.values()))
    return Kind(kind, items, left_out, parameters)


@click.command("plugins")
@json_option
@click.pass_context
def command(ctx: click.Context, as_json: bool) -> None:
    """List what the installed plugins provide, by kind, and the plugins that failed.

    The exit status is 1 if a plugin failed.
    """
    listed = kinds(registries())
    if as_json:
        print_json(_document(host(), listed))
    else:
        _print(host(), listed)
    if host().failed or any(kind.error for kind in listed):
        ctx.exit(1)


def _document(plugin_host: PluginHost, listed: Sequence[Kind]) -> object:
    return {
        "plugins": [
            {"name": name, "entry_point": entry_point}
            for name, entry_point in plugin_host.entry_points.items()
        ],
        "provided": {
            kind.name: [_item(kind, name, provider) for name, provider in kind.items]
            for kind in listed
        },
        "failed": [
            {"name": plugin.name, "entry_point": plugin.entry_point, "reason": plugin.reason}
            for plugin in plugin_host.failed
        ],
        "errors": {kind.name: kind.error for kind in listed if kind.error},
    }


def _item(kind: Kind, name: str, provider: str) -> object:
    """Return what ``--json`` says of an item; of parameters only where there are some."""
    item: dict[str, object] = {"name": name, "plugin": provider}
    if name in kind.parameters:
        item["parameters"] = [attrs.asdict(each) for each in kind.parameters[name]]
    return item


def _print(plugin_host: PluginHost, listed: Sequence[Kind]) -> None:
    click.echo("plugins")
    print_columns(list(plugin_host.entry_points.items()), indent="  ")
    for kind in listed:
        click.echo(f"\n{kind.name.replace('_', ' ')}")
        if kind.error:
            click.echo(f"  ERROR: {kind.error}")
        if kind.items:
            _print_by_provider(kind)
        elif not kind.error:
            click.echo("  none")
    if plugin_host.failed:
        click.echo("\nfailed to load")
        print_columns([(p.name, p.entry_point, p.reason) for p in plugin_host.failed], "  ")


def _print_by_provider(kind: Kind) -> None:
    providers: dict[str, list[str]] = {}
    for name, provider in kind.items:
        providers.setdefault(provider, []).append(name)
    for provider, names in providers.items():
        click.echo(f"  from {provider}:")
        print_names(names, "    ", most_lines=None)
        for name in names:
            for each in kind.parameters.get(name, ()):
                default = "required" if each.required else f"default {json.dumps(each.default)}"
                click.echo(f"      {name}: {each.name} ({each.type}, {default})")
