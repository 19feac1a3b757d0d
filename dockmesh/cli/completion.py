"""Shell completion of host names and tags from the inventory."""

from collections.abc import Iterable

import click
from click.shell_completion import CompletionItem

from dockmesh.cli.inventory_files import inventory_files, read_all, text_of
from dockmesh.core.inventory import fleet_of
from dockmesh.core.model import Host
from dockmesh.errors import DockmeshError


def hosts(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:  # noqa: ARG001
    """The hosts whose names start with `incomplete`."""
    return [
        CompletionItem(host.name, help=_description(host))
        for host in _inventory_hosts(context)
        if host.name.startswith(incomplete)
    ]


def patterns(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:  # noqa: ARG001
    """The hosts and tags that can complete the last term of --limit, except those that it already names."""
    before, comma, last = incomplete.rpartition(",")
    mark = "!" * last.startswith("!")
    used = {term.removeprefix("!") for term in before.split(",")}
    known = _inventory_hosts(context)
    terms = {host.name: _description(host) for host in known}
    terms |= {f"tag:{tag}": "" for host in known for tag in host.tags}
    return [
        CompletionItem(f"{before}{comma}{mark}{term}", help=description)
        for term, description in terms.items()
        if term.startswith(last.removeprefix("!")) and term not in used
    ]


def _description(host: Host) -> str:
    return str(host.prefix or host.underlay)


def _inventory_hosts(context: click.Context) -> Iterable[Host]:
    """The hosts of the inventory that the command line names so far; none if it is missing or invalid."""
    try:
        files = inventory_files(context.params.get("inventory") or ())
        return fleet_of(*read_all({file: text_of(file) for file in files})).hosts
    except DockmeshError:
        return ()
