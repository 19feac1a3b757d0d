"""schema: print the JSON Schema of the inventory."""

import json

import click

from dockmesh.core.inventory.schema import json_schema


@click.command
def schema() -> None:
    """Print the inventory's JSON Schema, for editors that complete and check.

    Example: dockmesh schema > mesh.schema.json
    """
    click.echo(json.dumps(json_schema(), indent=2))
