"""schema: print the JSON Schema of the inventory."""

import json

import click

from dockmesh.core.inventory.schema import json_schema


@click.command
def schema() -> None:
    """Print the JSON Schema of the inventory, for completion and checks in editors.

    Example: dockmesh schema > mesh.schema.json
    """
    click.echo(json.dumps(json_schema(), indent=2))
