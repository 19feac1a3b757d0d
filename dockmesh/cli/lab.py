"""`dockmesh lab`: arguments to the lab, its progress to stderr, its answers to stdout."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from shutil import which

import click
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from dockmesh.errors import LabError
from dockmesh.lab import faults, host_exec, lifecycle
from dockmesh.lab.topology import RELEASES
from dockmesh.report.console.terminal import console, spinner

_NAME = click.option("--name", default="demo", show_default=True, metavar="NAME", help="Which lab.")


@click.group
def lab() -> None:
    """Real Debian hosts with Docker on this machine, to try dockmesh on (root on Debian).

    Example: dockmesh lab up
    """


@lab.command
@_NAME
@click.option("--hosts", type=click.IntRange(min=1), default=3, show_default=True, help="How many.")
@click.option(
    "--light",
    type=click.IntRange(min=1),
    metavar="N",
    help="Instead, N hosts without Docker: a fleet at little cost.",
)
@click.option(
    "--releases",
    default=",".join(RELEASES),
    show_default=True,
    metavar="RELEASE,...",
    help="Debian releases the hosts cycle through.",
)
def up(name: str, hosts: int, light: int | None, releases: str) -> None:
    """Start the lab and print the path of its inventory.

    Example: dockmesh lab up --hosts 3
    """
    with _progress() as on_progress:
        chosen = tuple(releases.split(","))
        started = lifecycle.up(name, light or hosts, chosen, on_progress, light=light is not None)
    inside, first = started.topology.fabric, started.topology.hosts[0].underlay.ip
    called = "dockmesh" if which("dockmesh") else sys.argv[0]
    click.echo(f"with dockmesh: {called} status -i {started.inventory}", err=True)
    click.echo(f"by hand, from the controller's namespace: ip netns exec {inside} ping {first}", err=True)
    click.echo(started.inventory)


@lab.command
def images() -> None:
    """Build what hosts boot from, once per release; `up` does so where it is not there yet.

    Example: dockmesh lab images
    """
    with _progress() as on_progress:
        lifecycle.build_images(on_progress=on_progress, varied=lifecycle.VARIED)


@lab.command
@_NAME
def down(name: str) -> None:
    """End the lab and remove all of it, whatever state it is in.

    Example: dockmesh lab down --name demo
    """
    ended = lifecycle.down(name)
    click.echo(f"lab {name} is down" if ended else f"lab {name} was not up", err=True)


@lab.command
@_NAME
@click.pass_context
def status(context: click.Context, name: str) -> None:
    """Print each host, its release, address, state and lasting faults; exit 3 if one does not run.

    Example: dockmesh lab status
    """
    found = lifecycle.find(name)
    for each in found.topology.hosts:
        running = found.is_running(each.name)
        state = ", ".join(("running", *found.faults(each.name))) if running else "dead: lab up starts it again"
        click.echo(f"{each.name:<8} {each.release:<10} {each.underlay.ip!s:<16} {state}")
    if not all(found.is_running(each.name) for each in found.topology.hosts):
        context.exit(LabError.exit_status)


@lab.command("exec", context_settings={"ignore_unknown_options": True})
@_NAME
@click.argument("host_name", metavar="HOST")
@click.argument("argv", nargs=-1, required=True, type=click.UNPROCESSED, metavar="-- CMD...")
@click.pass_context
def exec_(context: click.Context, name: str, host_name: str, argv: tuple[str, ...]) -> None:
    """Run a command as root on a host, around SSH and network; its exit status is passed on.

    Example: dockmesh lab exec host1 -- ip route
    """
    handle = lifecycle.find(name).topology.host(host_name).handle
    ended = subprocess.run(host_exec.enter(handle, argv), check=False).returncode
    context.exit(ended if ended >= 0 else 128 - ended)


@lab.command
@_NAME
@click.argument("host_name", metavar="HOST")
def reboot(name: str, host_name: str) -> None:
    """Shut a host down and boot it: its files stay, its routes and rules are gone.

    Example: dockmesh lab reboot host2
    """
    with _progress() as on_progress:
        lifecycle.reboot(name, host_name, on_progress)


@lab.command
@_NAME
@click.argument("kind", type=click.Choice(faults.KINDS))
@click.argument("host_name", metavar="HOST")
def fault(name: str, kind: str, host_name: str) -> None:
    """Break a host, or heal it.

    link-flap: network card down and up. partition: cut off at the switch. docker-stop: Docker and its socket
    stopped. pause: every process frozen. heal: all of that undone, and the containers that ran run again.

    Example: dockmesh lab fault partition host3
    """
    lifecycle.find(name).inject(kind, host_name)


@contextmanager
def _progress() -> Iterator[lifecycle.Observer]:
    """What `up` and `reboot` tell, on stderr: a live table on a terminal, else a line for each thing told."""
    err = console(sys.stderr)
    if not err.is_terminal:
        yield lambda subject, text: err.print(Text(f"{subject}: {text}"))
        return
    latest: dict[str, str] = {}
    turning = Spinner(spinner(err))
    with Live(console=err, get_renderable=lambda: _table(latest, turning), refresh_per_second=12):
        yield latest.__setitem__


def _table(latest: dict[str, str], spinner: Spinner) -> Table:
    table = Table.grid(padding=(0, 2))
    for subject, text in latest.items():
        table.add_row(spinner if text.endswith("…") else Text("✓", style="green"), Text(subject), Text(text))
    return table
