"""allocate: propose prefixes for hosts that have none, and write them into the inventory on request."""

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
@click.option("--write", is_flag=True, help="Write the prefixes into the inventory and keep everything else in it.")
@click.option("--probe", is_flag=True, help="Read all hosts and avoid the networks that they use.")
def allocate(options: Options, *, write: bool, probe: bool) -> None:
    """Propose a prefix from mesh.pool for every Docker host that has none.

    Each host gets the lowest block that overlaps no prefix and no host address of the inventory. Prefixes in the
    inventory never change. Without --probe, no host is contacted. With --probe, the block also avoids the LANs,
    Docker networks and routes of all hosts. If a host cannot be read, no prefix is proposed.

    Example: dockmesh allocate -i mesh.yml --probe --write
    """
    texts = {file: text_of(file) for file in options.files()}
    documents = read_all(texts)
    fleet = fleet_of(*documents, prefixes_required=False)
    chosen = options.hosts(fleet)
    # A first allocation without the hosts finds errors of the pool itself before any host is contacted.
    allocations = prefixes.allocate(fleet, chosen, file=options.inventory_name())
    if probe and allocations:
        allocations = _allocate_probed(options, fleet, chosen)
    changed = (
        _changed(texts, prefixes.with_allocations(tuple(texts.values()), documents, fleet, allocations))
        if write and allocations
        else {}
    )
    for file, text in changed.items():
        replace_atomic(file, texts[file], text)
    written = bool(changed)
    if options.json:
        click.echo(json.dumps(allocate_document(allocations, written=written), indent=2))
    else:
        print_allocations(
            console(sys.stdout, color=options.color),
            allocations,
            file=", ".join(map(str, changed)) or options.inventory_name(),
            written=written,
        )


def _changed(before: Mapping[Path, str], after: Iterable[str]) -> dict[Path, str]:
    """The files whose text changed, with the new text."""
    return {file: text for (file, old), text in zip(before.items(), after, strict=True) if text != old}


def _allocate_probed(options: Options, fleet: Fleet, chosen: tuple[Host, ...]) -> tuple[prefixes.Allocation, ...]:
    """Prefixes that avoid the networks of all hosts. --limit does not apply, as every host gets a route to each."""
    with open_run(options, fleet_override=fleet) as pipeline:
        results = pipeline.facts()
    errors = [f"{host.name}: {error}" for host in fleet.hosts if isinstance(error := results[host.name], HostError)]
    if errors:
        raise HostError(
            f"cannot read the networks of {pluralize(len(errors), 'host')}, so no prefix is proposed and nothing is "
            f"written:{indented(errors)}\nFix: repair these hosts, or run allocate without --probe; plan then reports "
            "overlaps.",
            code=HostErrorCode.HOSTS_UNREAD,
        )
    facts = {name: result for name, result in results.items() if not isinstance(result, HostError)}
    try:
        return prefixes.allocate(fleet, chosen, file=options.inventory_name(), clear_of=used_networks(fleet, facts))
    except UsageError as error:
        # The networks of the hosts fill the pool. The hosts were contacted, so this is no usage error.
        raise HostError(str(error), code=HostErrorCode.POOL_EXHAUSTED) from error
