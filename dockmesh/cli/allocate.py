"""The verb that draws prefixes; it changes no host, and writes nothing but the inventory."""

import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

import click

from dockmesh.cli.atomic_write import replace_atomic
from dockmesh.cli.inventory_files import read_all, text_of
from dockmesh.cli.open_run import open_run
from dockmesh.cli.options import Options, common
from dockmesh.core.allocation import prefixes
from dockmesh.core.allocation.used_networks import used_networks
from dockmesh.core.inventory import fleet_of
from dockmesh.core.model import Fleet, Host
from dockmesh.core.text import indented
from dockmesh.error_codes import HostErrorCode
from dockmesh.errors import HostError, UsageError
from dockmesh.report.console.proposal import print_allocations
from dockmesh.report.console.terminal import console, pluralize
from dockmesh.report.json.allocate import allocate_document


@click.command
@common
@click.option("--write", is_flag=True, help="Write them into the inventory; all else in it stays as it is.")
@click.option("--probe", is_flag=True, help="Read all hosts, and keep clear of the networks they have.")
def allocate(options: Options, *, write: bool, probe: bool) -> None:
    """Propose a prefix out of mesh.pool for every host with Docker that lacks one.

    Each gets the lowest block that overlaps no prefix and no host of the inventory. What the inventory records never
    moves. Nobody is contacted but with --probe: then it overlaps none of the LANs, Docker networks and routes of any
    host either. If one of them cannot be read, no prefix is drawn.

    Example: dockmesh allocate -i mesh.yml --probe --write
    """
    texts = {file: text_of(file) for file in options.files()}
    documents = read_all(texts)
    fleet = fleet_of(*documents, prefixes_required=False)
    chosen = options.hosts(fleet)
    # Without the hosts first: what is wrong with the pool itself is told before anyone is contacted.
    drawn = prefixes.allocate(fleet, chosen, file=options.inventory_name())
    if probe and drawn:
        drawn = _probed(options, fleet, chosen)
    changed = (
        _changed(texts, prefixes.with_allocations(tuple(texts.values()), documents, fleet, drawn))
        if write and drawn
        else {}
    )
    for file, text in changed.items():
        replace_atomic(file, texts[file], text)
    written = bool(changed)
    if options.json:
        click.echo(json.dumps(allocate_document(drawn, written=written), indent=2))
    else:
        print_allocations(
            console(sys.stdout, color=options.color),
            drawn,
            file=_named(changed) or options.inventory_name(),
            written=written,
        )


def _changed(before: Mapping[Path, str], after: Iterable[str]) -> dict[Path, str]:
    """The files whose text is another."""
    return {file: text for (file, old), text in zip(before.items(), after, strict=True) if text != old}


def _named(files: Iterable[Path]) -> str:
    return ", ".join(map(str, files))


def _probed(options: Options, fleet: Fleet, chosen: tuple[Host, ...]) -> tuple[prefixes.Allocation, ...]:
    """Prefixes that are clear of what the hosts have; all of them are asked, for all will have routes to each."""
    with open_run(options, fleet_override=fleet) as pipeline:
        read = pipeline.facts()
    failed = [f"{host.name}: {found}" for host in fleet.hosts if isinstance(found := read[host.name], HostError)]
    if failed:
        raise HostError(
            f"no prefix is drawn and nothing is written, for the networks of {pluralize(len(failed), 'host')} are not "
            f"known:{indented(failed)}\nMend these, or allocate without --probe and let plan find what overlaps.",
            code=HostErrorCode.HOSTS_UNREAD,
        )
    facts = {name: found for name, found in read.items() if not isinstance(found, HostError)}
    try:
        return prefixes.allocate(fleet, chosen, file=options.inventory_name(), clear_of=used_networks(fleet, facts))
    except UsageError as error:
        # What is too much is the hosts', and they were contacted.
        raise HostError(str(error), code=HostErrorCode.POOL_EXHAUSTED) from error
