"""The verbs that read the hosts and change nothing."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from dockmesh.cli.contact import contact, print_json
from dockmesh.cli.options import Options, common
from dockmesh.cli.views import Views, unwritten, views
from dockmesh.core import saved
from dockmesh.errors import HostError, UsageError
from dockmesh.pipeline import TEXTS
from dockmesh.report import document
from dockmesh.report.console import console
from dockmesh.report.plans import print_plan
from dockmesh.report.reachability import print_report

_PENDING = 2


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
    with contact(options) as pipeline:
        planned = pipeline.plan()
    if out is not None:
        _save(out, saved.sealed(document.plan_document(planned), options.inventory_text(), TEXTS))
    if options.json:
        print_json(document.plan_document(planned))
    else:
        print_plan(console(color=options.color), planned, verbose=options.verbose > 0)
    if not planned.sound:
        return HostError.exit_status
    return 0 if planned.empty else _PENDING


@click.command
@common
@views
def status(options: Options, *, views: Views) -> int:
    """Probe the mesh and show who reaches whom: every host to every bridge and container, every container to every one.

    A cell shows the reply's TTL of the three in this order, and the slowest round trip.
    --html, --junit, --markdown and --prometheus write the same result to files, also where probes failed.

    Example: dockmesh status -i mesh.yml --html mesh.html --junit mesh.xml
    """
    with contact(options) as pipeline:
        report = pipeline.status()
    result = document.status_document(report, pipeline.fleet, at=datetime.now(UTC))
    if options.json:
        print_json(result)
    else:
        print_report(console(color=options.color), report)
    unsaved = unwritten(views.write_document(result))
    return unsaved if report.ok else HostError.exit_status


def _save(file: Path, plan: dict[str, Any]) -> None:
    """What hosts have in their daemon.json is in it, and nobody else's to read."""
    try:
        file.touch(mode=0o600)
        file.write_text(json.dumps(plan, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{file}: {error.strerror}: the plan could not be saved") from error
