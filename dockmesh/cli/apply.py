"""The verbs that change the hosts: plan, ask, change, tell."""

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from dockmesh.cli.confirm import confirm_apply, interrupted_text
from dockmesh.cli.open_run import open_run, print_json
from dockmesh.cli.options import Options, common, has_terminal
from dockmesh.cli.report_files import ReportFiles, report_options, report_problems
from dockmesh.core.forecast.impact import Misprediction
from dockmesh.core.host_output import sanitize
from dockmesh.core.model import Fleet
from dockmesh.core.planning import saved_plan
from dockmesh.core.planning.plan import Outcome, Plan
from dockmesh.core.results.model import MeshResult
from dockmesh.core.rollout import Rollout
from dockmesh.error_codes import UsageCode
from dockmesh.errors import HostError, StalePlanError, UsageError
from dockmesh.pipeline import DESTROY, JOIN, ROLLBACK, TEMPLATES, Goal, Pipeline
from dockmesh.report import goal_text
from dockmesh.report.console.forecast import print_forecast, print_mispredictions
from dockmesh.report.console.outcomes import print_outcomes
from dockmesh.report.console.plan import print_plan
from dockmesh.report.console.probes import print_report
from dockmesh.report.console.terminal import console
from dockmesh.report.goal_text import GoalText
from dockmesh.report.json.apply import apply_document
from dockmesh.report.json.plan import plan_document

_INTERRUPTED = 130
_YES = click.option("--yes", is_flag=True, help="Do not ask.")
_SERIAL = click.option(
    "--serial", default="1", show_default=True, metavar="N|N%", help="Hosts whose Docker restarts at the same time."
)
_MAX_FAIL = click.option(
    "--max-fail",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    metavar="N",
    help="Hosts that may fail before the rest is left alone.",
)


@dataclass(frozen=True, slots=True)
class _Run:
    """What a verb asks of the pipeline, and in which words it tells of it."""

    goal: Goal
    words: GoalText
    rollout: Rollout
    yes: bool
    file: Path | None = None
    views: ReportFiles = field(default_factory=ReportFiles)


def _changing(verb: Callable[..., Any]) -> Callable[..., Any]:
    return _SERIAL(_MAX_FAIL(_YES(verb)))


@click.command
@common
@click.argument("file", required=False, type=click.Path(path_type=Path, dir_okay=False))
@_changing
@click.option("--no-confirm", "confirm", flag_value=False, default=True, help="Let changes stay untested.")
@report_options
def apply(
    options: Options, *, file: Path | None, yes: bool, serial: str, max_fail: int, confirm: bool, views: ReportFiles
) -> int:
    """Join the hosts: plan, ask, change each in one go, verify over new connections, print the table.

    Where docker0 moves or Docker gets other pools, Docker restarts, which stops the host's containers and starts them
    again; the plan names them. Hosts do so one after the other, and the rest is left alone after the first that fails.

    With FILE, a plan that `plan --out` saved, only if planning anew comes to the very same.
    A host whose change does not stand the test of the mesh takes it back; one that hears nothing does so by itself.

    Example: dockmesh apply -i mesh.yml --yes
    """
    rollout = _rollout(serial, max_fail, confirm=confirm)
    return _carry_out(options, _Run(JOIN, goal_text.JOINED, rollout, yes, file, views))


@click.command
@common
@_changing
def rollback(options: Options, yes: bool, serial: str, max_fail: int) -> int:
    """Put each host back to what it was before the last apply that changed it.

    That is per host, not per run: a host that the last run left as it was goes back to before an earlier one, which
    for a host changed only once means out of the mesh. Choose the hosts with --limit, and read the plan, which is
    shown before the question. There is one step back, not more, and none after a destroy.

    Where docker0 moves or Docker gets other pools, Docker restarts, which stops the host's containers and starts them
    again.

    Example: dockmesh rollback -i mesh.yml --limit docker128
    """
    return _carry_out(options, _Run(ROLLBACK, goal_text.ROLLED_BACK, _rollout(serial, max_fail), yes))


@click.command
@common
@_changing
def destroy(options: Options, yes: bool, serial: str, max_fail: int) -> int:
    """Remove all that dockmesh owns on the hosts, and give each its daemon.json and docker0 back.

    Docker restarts on each host whose docker0 moves back, which stops its containers and starts them again.

    Example: dockmesh destroy -i mesh.yml --limit docker128
    """
    return _carry_out(options, _Run(DESTROY, goal_text.REMOVED, _rollout(serial, max_fail), yes))


def _carry_out(options: Options, run: _Run) -> int:
    # Before anybody is contacted: a file that is no plan, an inventory that is wrong.
    kept = _saved_plan(run.file) if run.file else None
    if not run.yes and not has_terminal():
        raise UsageError(
            "this asks before it changes anything, and there is no terminal to ask on: add --yes",
            code=UsageCode.NEEDS_YES,
        )
    try:
        return _carried_out(options, run, kept)
    except KeyboardInterrupt as interrupt:
        # The bars have gone, and would have taken these words with them.
        if interrupt.args:
            click.echo(str(interrupt), err=True)
        raise


def _carried_out(options: Options, run: _Run, kept: dict[str, Any] | None) -> int:
    with open_run(options, run.goal, run.rollout) as pipeline:
        planned = pipeline.plan()
        forecast = pipeline.forecast(planned)
        if kept is not None:
            now = saved_plan.with_fingerprints(plan_document(planned), options.inventory_text(), TEMPLATES)
            _refuse_stale(f"{run.file}", kept, now)
        # Who is asked sees what about.
        if not options.json and not (options.quiet and run.yes):
            print_plan(console(color=options.color), planned, pipeline.fleet, run.words, verbose=options.verbose > 0)
            print_forecast(
                console(color=options.color), forecast, pipeline.fleet, losses_intended=not run.goal.joins_mesh
            )
        if planned.applicable and not run.yes and not confirm_apply(planned, run.rollout):
            click.echo("nothing was changed", err=True)
            return _INTERRUPTED
        outcomes = _changed(pipeline, planned, options.fleet().settings.confirm_within_s)
        result = pipeline.status() if run.goal.joins_mesh else None
    mispredictions = pipeline.mispredictions(planned, outcomes, result) if result else ()
    if options.json:
        print_json(apply_document(planned, outcomes, result, forecast, mispredictions))
    else:
        _show(options, run.words, outcomes, result, mispredictions, fleet=pipeline.fleet)
    unsaved = report_problems(run.views.write(result)) if result else 0
    well = all(outcome.ok for outcome in outcomes) and (result is None or result.ok)
    return unsaved if well else HostError.exit_status


def _changed(pipeline: Pipeline, planned: Plan, within_s: int) -> tuple[Outcome, ...]:
    try:
        return pipeline.apply(planned)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(interrupted_text(pipeline.in_progress, within_s)) from None


def _saved_plan(file: Path) -> dict[str, Any]:
    try:
        text = file.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise UsageError(
            f"{file}: {error.strerror}: the saved plan cannot be read", code=UsageCode.CANNOT_READ
        ) from error
    return saved_plan.load_plan(text, file=str(file))


def _refuse_stale(file: str, kept: dict[str, Any], now: dict[str, Any]) -> None:
    if moved := list(saved_plan.stale_reasons(kept, now)):
        told = "".join(f"\n  {sanitize(each.message)}" for each in moved)
        message = f"{file} is stale, and nothing was changed: plan again{told}"
        raise StalePlanError(message, file=file, reasons=moved)


def _rollout(serial: str, max_fail: int, *, confirm: bool = True) -> Rollout:
    number = serial.removesuffix("%")
    if not number.isdecimal() or int(number) < 1:
        raise UsageError(
            f"--serial {serial}: give a count of hosts, or a share of them such as 25%", code=UsageCode.BAD_OPTION
        )
    return Rollout(int(number), percent=serial.endswith("%"), max_fail=max_fail, confirm=confirm)


def _show(
    options: Options,
    words: GoalText,
    outcomes: tuple[Outcome, ...],
    result: MeshResult | None,
    mispredictions: tuple[Misprediction, ...],
    *,
    fleet: Fleet,
) -> None:
    out = console(sys.stdout, color=options.color)
    if result:
        reported = [
            each.host
            for each in outcomes
            if each.status == "unreachable"
            or (each.host in result.errors and each.error == result.errors[each.host].message)
        ]
        print_report(out, result, reported=reported, brief=options.quiet)
    print_mispredictions(out, mispredictions)
    print_outcomes(out, outcomes, fleet, words, brief=options.quiet)
