"""validate: check the inventory without contacting a host."""

import json
from collections.abc import Iterator
from pathlib import Path

import click

from dockmesh.cli.messages import print_message
from dockmesh.cli.options import Options, offline
from dockmesh.core.model import Host
from dockmesh.core.text import listed, quoted
from dockmesh.report.console.terminal import pluralize


@click.command
@offline
def validate(options: Options) -> None:
    """Check the inventory without contacting a host. Lists every problem with its line and column.

    Example: dockmesh validate -i inventory/example.yml
    """
    fleet = options.fleet()
    chosen = options.hosts(fleet)
    if options.json:
        names = [host.name for host in chosen]
        click.echo(json.dumps({"format": "dockmesh/validate/1", "file": options.inventory_name(), "hosts": names}))
        return
    joined = sum(host.prefix is not None for host in chosen)
    click.echo(f"valid: {pluralize(len(chosen), 'host')}, {joined} with a prefix, in {options.inventory_name()}")
    for note in _missing_keys(chosen):
        print_message(note)


def _missing_keys(hosts: tuple[Host, ...]) -> Iterator[str]:
    """A note per key file that does not exist here. It is no problem, as another machine may run apply."""
    hosts_by_key: dict[str, list[str]] = {}
    for host in hosts:
        if host.login.identity_file is not None:
            hosts_by_key.setdefault(host.login.identity_file, []).append(host.name)
    for file, names in hosts_by_key.items():
        if not Path(file).expanduser().exists():
            yield f"note: identity_file {quoted(file)} of {listed(names)} does not exist on this machine"
