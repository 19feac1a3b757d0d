"""The verb that draws prefixes; it contacts nobody and writes nothing but the inventory."""

import json
import sys

import click

from dockmesh.cli.options import Options, offline
from dockmesh.cli.rewriting import rewrite
from dockmesh.core import ipam
from dockmesh.core.inventory import fleet_of, yamldoc
from dockmesh.report.console import console
from dockmesh.report.document import allocate_document
from dockmesh.report.proposal import print_allocations


@click.command
@offline
@click.option("--write", is_flag=True, help="Write them into the inventory; all else in it stays as it is.")
def allocate(options: Options, write: bool) -> None:
    """Propose a prefix out of mesh.pool for every host with Docker that lacks one.

    Each gets the lowest block that overlaps no prefix and no host of the inventory. What the inventory records never
    moves. Nobody is contacted.

    Example: dockmesh allocate -i mesh.yml --write
    """
    file, text = options.file(), options.inventory_text()
    document = yamldoc.read(text, file=str(file))
    fleet = fleet_of(document, prefixes_required=False)
    drawn = ipam.allocate(fleet, options.hosts(fleet), file=str(file))
    written = write and bool(drawn)
    if written:
        rewrite(file, text, ipam.recorded(text, document, fleet, drawn))
    if options.json:
        click.echo(json.dumps(allocate_document(drawn, written=written), indent=2))
    else:
        print_allocations(console(sys.stdout, color=options.color), drawn, file=str(file), written=written)
