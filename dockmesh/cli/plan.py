"""plan: read every host and show what apply would change."""

import json
from pathlib import Path
from typing import Any

import click

from dockmesh.cli.atomic_write import write_private
from dockmesh.cli.messages import print_message
from dockmesh.cli.open_run import open_run, print_json
from dockmesh.cli.options import Options, common
from dockmesh.core.planning import saved_plan
from dockmesh.error_codes import UsageCode
from dockmesh.errors import ExitStatus, HostError, UsageError
from dockmesh.pipeline import TEMPLATES
from dockmesh.report.console.forecast import print_forecast
from dockmesh.report.console.plan import print_plan
from dockmesh.report.console.terminal import console
from dockmesh.report.json.plan import plan_document


@click.command
@common
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="File to save the plan to, for apply FILE.",
)
def plan(options: Options, out: Path | None) -> int:
    """Show what apply would change on each host and why. Reads every host and changes nothing.

    The forecast below the plan shows which hosts reach which now, and which would after apply. It sends no probe.

    The exit status is 0 if there is nothing to change, and 2 if there are changes. It is 3 if a host has a conflict or
    a pending change, or cannot be read, or if probes between joined hosts would still fail after apply.

    Example: dockmesh plan -i mesh.yml --limit 'tag:rack1'
    """
    with open_run(options) as pipeline:
        planned = pipeline.plan()
        forecast = pipeline.forecast(planned)
    if out is not None:
        _save(
            out,
            saved_plan.with_fingerprints(plan_document(planned, forecast), options.inventory_text(), TEMPLATES),
        )
        print_message(f"{out}: the plan is saved")
    if options.json:
        print_json(plan_document(planned, forecast))
    else:
        terminal = console(color=options.color)
        print_plan(terminal, planned, pipeline.fleet, verbose=options.verbose > 0, brief=options.quiet)
        print_forecast(terminal, forecast, pipeline.fleet)
    if not planned.clean or (forecast and forecast.breaks_mesh):
        return HostError.exit_status
    return 0 if planned.empty else ExitStatus.CHANGES_PENDING


def _save(file: Path, plan: dict[str, Any]) -> None:
    """Write the plan with mode 0600, since it contains the hosts' daemon.json."""
    try:
        write_private(file, json.dumps(plan, indent=2) + "\n")
    except OSError as error:
        raise UsageError(f"{file}: cannot save the plan: {error.strerror}", code=UsageCode.CANNOT_WRITE) from error
