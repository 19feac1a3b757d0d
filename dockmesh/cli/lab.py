"""lab: start, break and stop real hosts on this machine. Progress goes to stderr, results to stdout."""

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

from dockmesh.cli.command_group import CommandGroup
from dockmesh.cli.messages import print_message
from dockmesh.errors import LabError
from dockmesh.lab import faults, host_exec, lifecycle
from dockmesh.lab.topology import RELEASES
from dockmesh.report.console.terminal import console, spinner

_NAME = click.option("--name", default="demo", show_default=True, metavar="NAME", help="Name of the lab.")


@click.group(cls=CommandGroup)
def lab() -> None:
    """Run real Debian hosts with Docker on this machine to try dockmesh. Needs root on Debian.

    Example: dockmesh lab up
    """


@lab.command
@_NAME
@click.option("--hosts", type=click.IntRange(min=1), default=3, show_default=True, help="Number of hosts.")
@click.option(
    "--light",
    type=click.IntRange(min=1),
    metavar="N",
    help="Number of hosts without Docker to start instead; they use few resources.",
)
@click.option(
    "--releases",
    default=",".join(RELEASES),
    show_default=True,
    metavar="RELEASE,...",
    help="Debian releases, assigned to the hosts in turn.",
)
def up(name: str, hosts: int, light: int | None, releases: str) -> None:
    """Start the lab, and print the path of its inventory.

    Example: dockmesh lab up --hosts 3
    """
    with _progress() as on_progress:
        running = lifecycle.up(name, light or hosts, tuple(releases.split(",")), on_progress, light=light is not None)
    fabric, first = running.topology.fabric, running.topology.hosts[0].underlay.ip
    program = "dockmesh" if which("dockmesh") else sys.argv[0]
    print_message(f"with dockmesh: {program} status -i {running.inventory}")
    print_message(f"by hand, in the controller's namespace: ip netns exec {fabric} ping {first}")
    click.echo(running.inventory)


@lab.command
def images() -> None:
    """Build the images that hosts boot from, one per release. `lab up` builds missing images itself.

    Example: dockmesh lab images
    """
    with _progress() as on_progress:
        lifecycle.build_images(on_progress=on_progress, varied=lifecycle.VARIED)


@lab.command
@_NAME
def down(name: str) -> None:
    """Stop the lab and remove everything of it, regardless of its state.

    Example: dockmesh lab down --name demo
    """
    stopped = lifecycle.down(name)
    print_message(f"lab {name} is down" if stopped else f"lab {name} was not up")


@lab.command
@_NAME
@click.pass_context
def status(context: click.Context, name: str) -> None:
    """Print the release, address, state and lasting faults of each host. The exit status is 3 if a host is stopped.

    Example: dockmesh lab status
    """
    running = lifecycle.find(name)
    for host in running.topology.hosts:
        alive = running.is_running(host.name)
        state = ", ".join(("running", *running.faults(host.name))) if alive else "stopped. Fix: dockmesh lab up"
        click.echo(f"{host.name:<8} {host.release:<10} {host.underlay.ip!s:<16} {state}")
    if not all(running.is_running(host.name) for host in running.topology.hosts):
        context.exit(LabError.exit_status)


@lab.command("exec", context_settings={"ignore_unknown_options": True})
@_NAME
@click.argument("host_name", metavar="HOST")
@click.argument("argv", nargs=-1, required=True, type=click.UNPROCESSED, metavar="-- CMD...")
@click.pass_context
def exec_(context: click.Context, name: str, host_name: str, argv: tuple[str, ...]) -> None:
    """Run a command as root on a host, without SSH and without the network. Its exit status is passed on.

    Example: dockmesh lab exec host1 -- ip route
    """
    handle = lifecycle.find(name).topology.host(host_name).handle
    status = subprocess.run(host_exec.enter(handle, argv), check=False).returncode
    # As a shell reports a command that a signal killed.
    context.exit(status if status >= 0 else 128 - status)


@lab.command
@_NAME
@click.argument("host_name", metavar="HOST")
def reboot(name: str, host_name: str) -> None:
    """Shut a host down and boot it. Its files stay; its routes and rules are gone.

    Example: dockmesh lab reboot host2
    """
    with _progress() as on_progress:
        lifecycle.reboot(name, host_name, on_progress)


@lab.command
@_NAME
@click.argument("kind", metavar="KIND", type=click.Choice(faults.KINDS))
@click.argument("host_name", metavar="HOST")
def fault(name: str, kind: str, host_name: str) -> None:
    """Break a host, or repair it.

    KIND is one of: link-flap (take the network card down and up), partition (disconnect the host at the switch),
    docker-stop (stop Docker and its socket), pause (freeze every process), heal (undo all faults and start the
    containers that ran).

    Example: dockmesh lab fault partition host3
    """
    lifecycle.find(name).inject(kind, host_name)


@contextmanager
def _progress() -> Iterator[lifecycle.Observer]:
    """Show progress on stderr: a live table on a terminal, elsewhere a line per step."""
    err = console(sys.stderr)
    if not err.is_terminal:
        yield lambda subject, text: err.print(Text(f"{subject}: {text}"))
        return
    latest: dict[str, str] = {}
    busy = Spinner(spinner(err))
    with Live(console=err, get_renderable=lambda: _table(latest, busy), refresh_per_second=12):
        yield latest.__setitem__


def _table(latest: dict[str, str], spinner: Spinner) -> Table:
    table = Table.grid(padding=(0, 2))
    for subject, text in latest.items():
        table.add_row(spinner if text.endswith("…") else Text("✓", style="green"), Text(subject), Text(text))
    return table
