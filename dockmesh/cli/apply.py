"""apply, rollback, destroy: the commands that change hosts. Each plans, asks, changes and reports."""

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from dockmesh.cli.confirm import confirm_apply, interrupted_text
from dockmesh.cli.messages import print_message
from dockmesh.cli.open_run import open_run, print_json
from dockmesh.cli.options import Options, common, has_terminal
from dockmesh.cli.report_files import ReportFiles, report_options, report_problems
from dockmesh.core.forecast.impact import Misprediction
from dockmesh.core.host_output import sanitize
from dockmesh.core.model import Fleet
from dockmesh.core.planning import saved_plan
from dockmesh.core.planning.goal import Goal
from dockmesh.core.planning.plan import PendingEnd, Plan
from dockmesh.core.rollout.batches import VERIFY_ALL_HOSTS, Rollout, Verify
from dockmesh.core.text import indented
from dockmesh.error_codes import UsageCode
from dockmesh.errors import HostError, StalePlanError, UsageError
from dockmesh.pipeline import DESTROY, JOIN, ROLLBACK, TEMPLATES, Applied, Pipeline, end_pending
from dockmesh.report import goal_text
from dockmesh.report.console.forecast import print_forecast, print_mispredictions
from dockmesh.report.console.outcomes import print_broken_before, print_outcomes
from dockmesh.report.console.plan import print_plan
from dockmesh.report.console.probes import print_report
from dockmesh.report.console.terminal import console
from dockmesh.report.goal_text import GoalText
from dockmesh.report.json.apply import apply_document
from dockmesh.report.json.plan import plan_document

_INTERRUPTED = 130
_YES = click.option("--yes", is_flag=True, help="Change the hosts without asking.")
_SERIAL = click.option(
    "--serial",
    default="1",
    show_default=True,
    metavar="N|N%",
    help="Number or share of hosts whose Docker restarts at the same time.",
)
_MAX_FAIL = click.option(
    "--max-fail",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    metavar="N",
    help="Number of hosts that may fail before the remaining hosts are skipped.",
)


@dataclass(frozen=True, slots=True)
class _Run:
    """The goal and options of one run, and the wording of its messages."""

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
@click.option("--no-confirm", "confirm", flag_value=False, default=True, help="Keep changes without probing the mesh.")
@click.option(
    "--verify",
    type=click.Choice(["changed", "all"]),
    help="Pairs of hosts to probe: those that the change affects and a few others, or all. "
    f"Default: all in a fleet of up to {VERIFY_ALL_HOSTS} hosts, otherwise changed.",
)
@report_options
def apply(
    options: Options,
    *,
    file: Path | None,
    yes: bool,
    serial: str,
    max_fail: int,
    confirm: bool,
    verify: Verify | None,
    views: ReportFiles,
) -> int:
    """Join the hosts: plan, ask, change each host in one transaction, verify over new connections, print the result.

    Docker restarts where docker0 moves or Docker's address pools change. A restart stops and starts the host's
    containers, which the plan lists. Hosts restart Docker one after the other. After the first host that fails, the
    remaining hosts are skipped.

    With FILE, carry out a plan saved by `plan --out`. It is refused if a new plan differs from it.

    A host reverts its change if probes fail after it, also those between it and joined hosts outside --limit. Pairs
    that failed before the change as well are reported and are no reason to revert. A host that receives no
    confirmation reverts by itself.

    Example: dockmesh apply -i mesh.yml --yes
    """
    rollout = _rollout(serial, max_fail, confirm=confirm, verify=verify)
    return _carry_out(options, _Run(JOIN, goal_text.JOINED, rollout, yes, file, views))


@click.command
@common
@_changing
@click.option("--pending", "end", flag_value="revert", help="Revert pending changes now, and change no other host.")
@click.option(
    "--keep-current",
    "end",
    flag_value="keep",
    help="Give up the revert of pending changes, and keep all hosts as they are now.",
)
def rollback(options: Options, *, yes: bool, serial: str, max_fail: int, end: PendingEnd | None) -> int:
    """Restore each host's state before the last apply that changed it.

    On a host with a pending change, revert that change now instead. A host that has reverted it by itself in the
    meantime returns to its state before an earlier apply, unless you use --pending.

    This is per host, not per run. A host that the last run did not change returns to its state before an earlier run.
    A host that was changed only once leaves the mesh. Choose hosts with --limit, and read the plan before you confirm.
    One step back is possible, and none after destroy.

    Docker restarts where docker0 moves or Docker's address pools change. A restart stops and starts the host's
    containers.

    Example: dockmesh rollback -i mesh.yml --limit docker128
    """
    goal = end_pending(end) if end else ROLLBACK
    words = goal_text.KEPT if end == "keep" else goal_text.ROLLED_BACK
    return _carry_out(options, _Run(goal, words, _rollout(serial, max_fail), yes))


@click.command
@common
@_changing
def destroy(options: Options, yes: bool, serial: str, max_fail: int) -> int:
    """Remove everything that dockmesh owns on the hosts, and restore each host's daemon.json and docker0.

    Docker restarts on each host whose docker0 moves. A restart stops and starts the host's containers.

    Example: dockmesh destroy -i mesh.yml --limit docker128
    """
    return _carry_out(options, _Run(DESTROY, goal_text.REMOVED, _rollout(serial, max_fail), yes))


def _carry_out(options: Options, run: _Run) -> int:
    # An invalid plan or inventory must fail before any host is contacted.
    saved = _saved_plan(run.file) if run.file else None
    if not run.yes and not has_terminal():
        raise UsageError(
            "stdin is no terminal, so the plan cannot be confirmed. No host was changed. Fix: review the plan with "
            "dockmesh plan, then add --yes",
            code=UsageCode.NEEDS_YES,
        )
    try:
        return _plan_and_change(options, run, saved)
    except KeyboardInterrupt as interrupt:
        # Printed only now, since the progress bars would have erased it.
        if interrupt.args:
            print_message(str(interrupt))
        raise


def _plan_and_change(options: Options, run: _Run, saved: dict[str, Any] | None) -> int:
    with open_run(options, run.goal, run.rollout) as pipeline:
        planned = pipeline.plan()
        forecast = pipeline.forecast(planned)
        if saved is not None:
            now = saved_plan.with_fingerprints(plan_document(planned), options.inventory_text(), TEMPLATES)
            _refuse_stale(f"{run.file}", saved, now)
        # With a question to answer, the plan is printed even with --quiet.
        if not options.json and not (options.quiet and run.yes):
            print_plan(console(color=options.color), planned, pipeline.fleet, run.words, verbose=options.verbose > 0)
            print_forecast(
                console(color=options.color), forecast, pipeline.fleet, losses_intended=not run.goal.joins_mesh
            )
        pipeline.schedule(planned)
        if planned.applicable and not run.yes and not confirm_apply(planned, run.rollout):
            print_message("nothing was changed")
            return _INTERRUPTED
        applied = _change(pipeline, planned, options.fleet().settings.confirm_within_s)
    result = applied.result
    mispredictions = pipeline.mispredictions(planned, applied.outcomes, result) if result else ()
    if options.json:
        print_json(
            apply_document(
                planned, applied.outcomes, result, forecast, mispredictions, broken_before=applied.broken_before
            )
        )
    else:
        _show(options, run.words, applied, mispredictions, fleet=pipeline.fleet)
    unsaved = report_problems(run.views.write(result)) if result else 0
    ok = all(outcome.ok for outcome in applied.outcomes) and (result is None or result.ok)
    return unsaved if ok else HostError.exit_status


def _change(pipeline: Pipeline, planned: Plan, within_s: int) -> Applied:
    try:
        return pipeline.apply(planned)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(interrupted_text(pipeline.in_progress, within_s)) from None


def _saved_plan(file: Path) -> dict[str, Any]:
    try:
        text = file.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise UsageError(
            f"{file}: cannot read the saved plan: {error.strerror}. Fix: dockmesh plan --out {file}",
            code=UsageCode.CANNOT_READ,
        ) from error
    return saved_plan.load_plan(text, file=str(file))


def _refuse_stale(file: str, saved: dict[str, Any], now: dict[str, Any]) -> None:
    if reasons := list(saved_plan.stale_reasons(saved, now)):
        applied = all(each.code == "already-applied" for each in reasons)
        problem = "was already carried out" if applied else "is stale"
        lines = indented(sanitize(each.message) for each in reasons)
        message = f"{file}: the saved plan {problem}. Nothing was changed.{lines}\nFix: dockmesh plan --out {file}"
        raise StalePlanError(message, file=file, reasons=reasons)


def _rollout(serial: str, max_fail: int, *, confirm: bool = True, verify: Verify | None = None) -> Rollout:
    number = serial.removesuffix("%")
    if not number.isdecimal() or int(number) < 1:
        raise UsageError(
            f"--serial {serial}: not a number or share of hosts. Fix: --serial 2 or --serial 25%",
            code=UsageCode.BAD_OPTION,
        )
    return Rollout(int(number), percent=serial.endswith("%"), max_fail=max_fail, confirm=confirm, verify=verify)


def _show(
    options: Options,
    words: GoalText,
    applied: Applied,
    mispredictions: tuple[Misprediction, ...],
    *,
    fleet: Fleet,
) -> None:
    out = console(sys.stdout, color=options.color)
    outcomes, result = applied.outcomes, applied.result
    if result:
        reported = [
            each.host
            for each in outcomes
            if each.status == "unreachable"
            or (each.host in result.errors and each.error == result.errors[each.host].message)
        ]
        print_report(out, result, reported=reported, brief=options.quiet)
        print_broken_before(out, result, applied.broken_before)
    print_mispredictions(out, mispredictions)
    print_outcomes(out, outcomes, fleet, words, brief=options.quiet)
