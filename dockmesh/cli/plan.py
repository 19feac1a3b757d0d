"""The verbs that read the hosts and change nothing."""

import json
import secrets
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from dockmesh.cli import status_watch
from dockmesh.cli.open_run import open_run, print_json
from dockmesh.cli.options import Options, common
from dockmesh.cli.report_files import ReportFiles, report_options, report_problems
from dockmesh.core.planning import saved_plan
from dockmesh.core.probes.model import ProbeReport
from dockmesh.core.probes.pairs import Pair, pairs_matching, sample_pairs
from dockmesh.errors import HostError, UsageCode, UsageError
from dockmesh.pipeline import TEMPLATES, Pipeline
from dockmesh.report import json_documents
from dockmesh.report.console.forecast import print_forecast
from dockmesh.report.console.plan import print_plan
from dockmesh.report.console.probes import print_report
from dockmesh.report.console.terminal import console

_PENDING = 2
_EVERY_S = 5.0
_SEED_BITS = 64


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
        foreseen = pipeline.forecast(planned)
    if out is not None:
        _save(
            out,
            saved_plan.with_fingerprints(
                json_documents.plan_document(planned, foreseen), options.inventory_text(), TEMPLATES
            ),
        )
    if options.json:
        print_json(json_documents.plan_document(planned, foreseen))
    else:
        print_plan(console(color=options.color), planned, verbose=options.verbose > 0, brief=options.quiet)
        print_forecast(console(color=options.color), foreseen)
    if not planned.clean:
        return HostError.exit_status
    return 0 if planned.empty else _PENDING


@click.command
@common
@click.option(
    "--sample", type=click.IntRange(min=1), metavar="K", help="From each host, to K others at random instead of to all."
)
@click.option("--pairs", metavar="A:B,...", help="Only these pairs, both ways; an end is a name, a glob or tag:NAME.")
@click.option(
    "--watch",
    is_flag=False,
    flag_value=_EVERY_S,
    type=click.FloatRange(min=1),
    metavar="[S]",
    help=f"Again and again, {_EVERY_S:g} or S seconds after the last time, until Ctrl-C.",
)
@report_options
def status(options: Options, *, sample: int | None, pairs: str | None, watch: float | None, views: ReportFiles) -> int:
    """Probe the mesh and show who reaches whom: every host to every bridge and container, every container to every one.

    A cell shows the reply's TTL of the three in this order, and the slowest round trip. Large fleets are shown by kind
    of probe and by the hosts with which others fail; -v shows all hosts.
    --watch refreshes in place, without a terminal below; Ctrl-C ends it, with 130, and nothing is left on the hosts.
    --html, --junit, --markdown and --prometheus write the same result to files, also where probes failed.

    Example: dockmesh status -i mesh.yml --html mesh.html --junit mesh.xml
    """
    if watch is not None and options.json:
        raise UsageError("--watch is for people: with --json, call status again", code=UsageCode.CONFLICTING_OPTIONS)
    choose = _choice(options, sample, pairs)
    out, verbose = console(color=options.color), options.verbose > 0
    with open_run(options, quiet=watch is not None) as pipeline:
        if watch is not None:
            status_watch.watch(out, lambda: _asked(pipeline, choose(), views)[0], every_s=watch, verbose=verbose)
        report, result, unsaved = _asked(pipeline, choose(), views)
    if options.json:
        print_json(result)
    else:
        print_report(out, report, verbose=verbose, brief=options.quiet)
    return unsaved if report.ok else HostError.exit_status


def _asked(
    pipeline: Pipeline, pairs: frozenset[Pair] | None, views: ReportFiles
) -> tuple[ProbeReport, dict[str, Any], int]:
    """The result, also as document; it is written where it shall be, and the number is the exit status of that."""
    report = pipeline.status(pairs)
    result = json_documents.status_document(report, pipeline.fleet, at=datetime.now(UTC))
    return report, result, report_problems(views.write_document(result))


def _choice(options: Options, sample: int | None, pairs: str | None) -> Callable[[], frozenset[Pair] | None]:
    """What is asked each time: None is everything.

    Raises:
        UsageError: it cannot be meant so.
    """
    if sample is not None and pairs is not None:
        raise UsageError(
            "--sample draws pairs and --pairs names them: one of the two", code=UsageCode.CONFLICTING_OPTIONS
        )
    fleet = options.fleet()
    if sample is not None:
        hosts = options.hosts(fleet)
        return lambda: sample_pairs(fleet, hosts, sample, secrets.randbits(_SEED_BITS))
    chosen = pairs_matching(fleet, pairs) if pairs is not None else None
    return lambda: chosen


def _save(file: Path, plan: dict[str, Any]) -> None:
    """What hosts have in their daemon.json is in it, and nobody else's to read."""
    try:
        file.touch(mode=0o600)
        file.write_text(json.dumps(plan, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise UsageError(
            f"{file}: {error.strerror}: the plan could not be saved", code=UsageCode.CANNOT_WRITE
        ) from error
