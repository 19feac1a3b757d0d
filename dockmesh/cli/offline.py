"""The verbs that contact nobody."""

import json
from ipaddress import IPv4Network

import click

from dockmesh.cli.files import replace_text
from dockmesh.cli.options import Options, common
from dockmesh.core import ipam
from dockmesh.core.inventory import parse
from dockmesh.core.inventory.insertion import insert
from dockmesh.core.inventory.schema import json_schema
from dockmesh.core.model import Fleet
from dockmesh.errors import UsageError


@click.command
@common
def validate(options: Options) -> None:
    """Check the inventory without contacting anyone; list every problem with line and column.

    Example: dockmesh validate -i inventory/example.yml
    """
    fleet = options.fleet()
    chosen = options.hosts(fleet)
    if options.json:
        click.echo(json.dumps({"format": "dockmesh/validate/1", "hosts": [host.name for host in chosen]}))
        return
    joined = sum(host.prefix is not None for host in chosen)
    click.echo(f"valid: {len(chosen)} hosts, {joined} with a prefix")


@click.command
@click.option("--write", is_flag=True, help="Put the prefixes into the inventory; comments and form stay.")
@common
def allocate(options: Options, *, write: bool) -> None:
    """Draw prefixes from mesh.pool for hosts that lack one; those that have one keep it. Contacts nobody.

    Example: dockmesh allocate --write
    """
    text = options.inventory_text()
    fleet = parse(text, file=str(options.file()), prefixes_required=False)
    drawn = _drawn(fleet, options)
    if write and drawn:
        replace_text(options.file(), insert(text, drawn, file=str(options.file())))
    if options.json:
        rows = [{"host": name, "prefix": str(prefix)} for name, prefix in drawn.items()]
        document = {"format": "dockmesh/allocate/1", "written": write and bool(drawn), "allocations": rows}
        click.echo(json.dumps(document))
        return
    width = max(map(len, drawn), default=0)
    for name, prefix in drawn.items():
        click.echo(f"{name:{width}}  {prefix}")
    if not drawn:
        click.echo("nothing to allocate: every host with Docker has a prefix")
    elif not write:
        click.echo("nothing is written; --write puts them into the inventory", err=True)


def _drawn(fleet: Fleet, options: Options) -> dict[str, IPv4Network]:
    pool, hosts = fleet.settings.pool, options.hosts(fleet)
    if pool is None:
        if all(host.prefix or not host.docker for host in hosts):
            return {}
        raise UsageError(f"{options.file()}: there is no mesh.pool to draw from: write one, as in pool: 10.128.0.0/12")
    drawn = ipam.allocate(fleet, pool, hosts)
    missing = [each.host for each in drawn if each.prefix is None]
    if missing:
        raise UsageError(
            f"{options.file()}: the pool {pool} has no /{fleet.settings.prefix_length} left for {len(missing)} of "
            f"{len(drawn)} hosts, {missing[0]} the first: enlarge mesh.pool, or raise mesh.prefix_length"
        )
    return {each.host: each.prefix for each in drawn if each.prefix}


@click.command
def schema() -> None:
    """Print the inventory's JSON Schema, for editors that complete and check.

    Example: dockmesh schema > mesh.schema.json
    """
    click.echo(json.dumps(json_schema(), indent=2))
