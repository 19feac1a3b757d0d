"""plan: read every host and show what apply would change."""

import json
from pathlib import Path
from typing import Any

import click

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
    "--out", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Save the plan for apply FILE."
)
def plan(options: Options, out: Path | None) -> int:
    """Show what apply would change, host by host, and why. Reads every host, changes nothing anywhere.

    Below stands who would reach whom after it, and who does now, as far as that can be foreseen without trying.

    Exits 0 where there is nothing to change, 2 where there is, 3 where a host has a conflict or cannot be worked with.

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
    if options.json:
        print_json(plan_document(planned, forecast))
    else:
        terminal = console(color=options.color)
        print_plan(terminal, planned, pipeline.fleet, verbose=options.verbose > 0, brief=options.quiet)
        print_forecast(terminal, forecast, pipeline.fleet)
    if not planned.clean:
        return HostError.exit_status
    return 0 if planned.empty else ExitStatus.CHANGES_PENDING


def _save(file: Path, plan: dict[str, Any]) -> None:
    """What hosts have in their daemon.json is in it, and nobody else's to read."""
    try:
        file.touch(mode=0o600)
        file.write_text(json.dumps(plan, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise UsageError(
            f"{file}: {error.strerror}: the plan could not be saved", code=UsageCode.CANNOT_WRITE
        ) from error
