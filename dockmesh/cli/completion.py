"""What a shell is told when someone presses Tab: the inventory's hosts and tags."""

from collections.abc import Iterable

import click
from click.shell_completion import CompletionItem

from dockmesh.cli.inventory_files import inventory_files, read_all, text_of
from dockmesh.core.inventory import fleet_of
from dockmesh.core.model import Host
from dockmesh.errors import DockmeshError


def hosts(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:  # noqa: ARG001
    """The hosts whose name begins so."""
    return [CompletionItem(host.name, help=_told(host)) for host in _known(context) if host.name.startswith(incomplete)]


def patterns(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:  # noqa: ARG001
    """What --limit may go on with: after the last comma and exclamation mark, a host not named yet, or a tag."""
    before, comma, last = incomplete.rpartition(",")
    mark = "!" * last.startswith("!")
    named = {each.removeprefix("!") for each in before.split(",")}
    known = _known(context)
    words = {host.name: _told(host) for host in known}
    words |= {f"tag:{tag}": "" for host in known for tag in host.tags}
    return [
        CompletionItem(f"{before}{comma}{mark}{word}", help=told)
        for word, told in words.items()
        if word.startswith(last.removeprefix("!")) and word not in named
    ]


def _told(host: Host) -> str:
    return str(host.prefix or host.underlay)


def _known(context: click.Context) -> Iterable[Host]:
    """The hosts of the inventory that the line names so far. Where it is none, there are none, and nothing is said."""
    try:
        files = inventory_files(context.params.get("inventory") or ())
        return fleet_of(*read_all({file: text_of(file) for file in files})).hosts
    except DockmeshError:
        return ()
