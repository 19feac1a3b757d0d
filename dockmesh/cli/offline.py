"""The verbs that contact nobody."""

import json

import click

from dockmesh.cli.options import Options, common
from dockmesh.core.inventory.schema import json_schema


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
def schema() -> None:
    """Print the inventory's JSON Schema, for editors that complete and check.

    Example: dockmesh schema > mesh.schema.json
    """
    click.echo(json.dumps(json_schema(), indent=2))
