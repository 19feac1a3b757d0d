"""The verbs that contact the hosts."""

import getpass
import json
import logging
import secrets
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import click

from dockmesh.cli.options import Options, common, terminal
from dockmesh.core import saved
from dockmesh.core.plan import Outcome, Plan
from dockmesh.core.reach import Report
from dockmesh.core.rollout import Rollout
from dockmesh.core.sections import quoted
from dockmesh.errors import HostError, UsageError
from dockmesh.pipeline import DESTROY, JOIN, ROLLBACK, TEXTS, Goal, Pipeline, Request
from dockmesh.remote.ssh import SshTransport
from dockmesh.report import document
from dockmesh.report.console import console, counted, print_outcomes, print_plan, print_report
from dockmesh.report.progress import Display

_PENDING = 2
_OFFSETS = 64
_ALL_AT_ONCE = Rollout(100, percent=True, max_fail=sys.maxsize)
_YES = click.option("--yes", is_flag=True, help="Do not ask.")


def _ROLLOUT(verb: Any) -> Any:  # noqa: N802 (a decorator beside its like)
    for option in (
        click.option("--no-confirm", "confirm", flag_value=False, default=True, help="Let changes stay untested."),
        click.option(
            "--max-fail",
            type=click.IntRange(min=0),
            default=0,
            show_default=True,
            metavar="N",
            help="Hosts that may fail before the rest is left alone.",
        ),
        click.option(
            "--serial",
            default="1",
            show_default=True,
            metavar="N|N%",
            help="Hosts whose Docker restarts at the same time.",
        ),
    ):
        verb = option(verb)
    return verb


@click.command
@common
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Save the plan for apply FILE."
)
def plan(options: Options, out: Path | None) -> int:
    """Show what apply would change, host by host, and why. Reads every host, changes nothing anywhere.

    Exits 0 where there is nothing to change, 2 where there is, 3 where a host has a conflict or cannot be worked with.

    Example: dockmesh plan -i mesh.yml --limit 'tag:rack1'
    """
    with _pipeline(options) as pipeline:
        planned = pipeline.plan()
    if out is not None:
        _save(out, saved.sealed(document.plan_document(planned), options.inventory_text(), TEXTS))
    if options.json:
        _print_json(document.plan_document(planned))
    else:
        print_plan(console(color=options.color), planned, verbose=options.verbose > 0)
    if not planned.sound:
        return HostError.exit_status
    return 0 if planned.empty else _PENDING


@click.command
@common
@click.argument("file", required=False, type=click.Path(path_type=Path, dir_okay=False))
@_YES
@_ROLLOUT
def apply(options: Options, file: Path | None, yes: bool, **rollout: Any) -> int:
    """Join the hosts: plan, ask, change each in one go, verify over new connections, print the table.

    With FILE, a plan that `plan --out` saved, only if planning anew comes to the very same.
    A host whose change does not stand the test of the mesh takes it back; one that hears nothing does so by itself.

    Example: dockmesh apply -i mesh.yml --yes
    """
    return _carry_out(options, JOIN, yes=yes, rollout=_rollout(**rollout), file=file)


@click.command
@common
@_YES
def rollback(options: Options, yes: bool) -> int:
    """Put back what stood on the hosts before the last apply.

    Example: dockmesh rollback -i mesh.yml --limit docker128
    """
    return _carry_out(options, ROLLBACK, yes=yes, rollout=_ALL_AT_ONCE)


@click.command
@common
@_YES
def destroy(options: Options, yes: bool) -> int:
    """Remove all that dockmesh owns on the hosts, and give each its daemon.json back.

    Example: dockmesh destroy -i mesh.yml --limit docker128
    """
    return _carry_out(options, DESTROY, yes=yes, rollout=_ALL_AT_ONCE)


@click.command
@common
def status(options: Options) -> int:
    """Probe the mesh and show who reaches whom: every host to every bridge and container, every container to every one.

    A cell shows the reply's TTL of the three in this order, and the slowest round trip.

    Example: dockmesh status -i mesh.yml --json
    """
    with _pipeline(options) as pipeline:
        report = pipeline.status()
    if options.json:
        _print_json(document.status_document(report))
    else:
        print_report(console(color=options.color), report)
    return 0 if report.ok else HostError.exit_status


def _carry_out(options: Options, goal: Goal, *, yes: bool, rollout: Rollout, file: Path | None = None) -> int:
    if not yes and not terminal():
        raise UsageError("this asks before it changes anything, and there is no terminal to ask on: add --yes")
    with _pipeline(options, goal, rollout) as pipeline:
        planned = pipeline.plan()
        if file is not None:
            _refuse_stale(file, saved.sealed(document.plan_document(planned), options.inventory_text(), TEXTS))
        if not options.json:
            print_plan(console(color=options.color), planned, verbose=options.verbose > 0)
        if planned.applyable and not yes:
            click.confirm(f"Change {counted(len(planned.applyable), 'host')}?", abort=True, err=True)
        try:
            outcomes = pipeline.apply(planned)
        except KeyboardInterrupt:
            within_s = options.fleet().settings.confirm_within_s
            click.echo(
                f"what hosts changed and did not confirm, they take back within {within_s} s of the change", err=True
            )
            raise
        report = pipeline.status() if goal.meshed else None
    _show(options, planned, outcomes, report)
    return 0 if all(outcome.ok for outcome in outcomes) and (report is None or report.ok) else HostError.exit_status


def _save(file: Path, plan: dict[str, Any]) -> None:
    """What hosts have in their daemon.json is in it, and nobody else's to read."""
    try:
        file.touch(mode=0o600)
        file.write_text(json.dumps(plan, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{file}: {error.strerror}: the plan could not be saved") from error


def _refuse_stale(file: Path, now: dict[str, Any]) -> None:
    try:
        text = file.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise UsageError(f"{file}: {error.strerror}: the saved plan cannot be read") from error
    if moved := list(saved.moved(saved.load(text, file=str(file)), now)):
        listed = "".join(f"\n  {quoted(each)}" for each in moved)
        raise HostError(f"{file} is stale, and nothing was changed: plan again{listed}")


def _rollout(serial: str, max_fail: int, confirm: bool) -> Rollout:
    number = serial.removesuffix("%")
    if not number.isdecimal() or int(number) < 1:
        raise UsageError(f"--serial {serial}: give a count of hosts, or a share of them such as 25%")
    return Rollout(int(number), percent=serial.endswith("%"), max_fail=max_fail, confirm=confirm)


def _show(options: Options, planned: Plan, outcomes: tuple[Outcome, ...], report: Report | None) -> None:
    if options.json:
        _print_json(document.apply_document(planned, outcomes, report))
        return
    out = console(color=options.color)
    if report:
        print_report(out, report)
    print_outcomes(out, outcomes)


@contextmanager
def _pipeline(options: Options, goal: Goal = JOIN, rollout: Rollout = _ALL_AT_ONCE) -> Iterator[Pipeline]:
    fleet = options.fleet()
    request = Request(
        fleet=fleet,
        hosts=options.hosts(fleet),
        run=f"{getpass.getuser()}@{socket.gethostname()} since {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC",
        goal=goal,
        rollout=rollout,
        offset=secrets.randbelow(_OFFSETS),
        forks=options.forks,
        timeout_s=options.timeout_s,
    )
    # paramiko reports what it also raises; people see it once, as a host's error.
    logging.getLogger("paramiko").setLevel(logging.DEBUG if options.verbose > 1 else logging.CRITICAL)
    transport = partial(SshTransport, timeout_s=options.timeout_s)
    err = console(sys.stderr, color=options.color)
    with Display(err) as display, Pipeline(request, transport, display) as pipeline:
        yield pipeline


def _print_json(result: dict[str, Any]) -> None:
    click.echo(json.dumps(result, indent=2))
