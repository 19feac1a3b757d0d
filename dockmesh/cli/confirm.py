"""The question before hosts change, and the message after an interrupted change."""

from datetime import datetime, timedelta

import click

from dockmesh.cli.messages import print_message
from dockmesh.core.planning.plan import Plan, restarts_docker
from dockmesh.core.rollout.batches import Rollout, batch_size
from dockmesh.core.text import listed
from dockmesh.report.console.terminal import pluralize

_MAX_NAMES = 12


def confirm_apply(planned: Plan, rollout: Rollout) -> bool:
    """Print where Docker restarts, and ask whether to carry the plan out. True if the answer is yes."""
    restarting = [plan.host for plan in planned.applicable if restarts_docker(plan)]
    if restarting:
        size = batch_size(len(restarting), rollout)
        order = "" if len(restarting) == 1 else ", one after the other" if size == 1 else f", {size} at a time"
        print_message(f"Docker restarts on {listed(restarting, _MAX_NAMES)}{order}.")
    try:
        return click.confirm(f"Change {pluralize(len(planned.applicable), 'host')}?", err=True)
    except click.Abort:
        click.echo(err=True)
        return False


def interrupted_text(in_progress: tuple[str, ...], within_s: int) -> str:
    """The state of the hosts whose change an interrupted run did not confirm. `within_s`: confirm_within."""
    if not in_progress:
        return "no change was in progress on any host"
    until = datetime.now().astimezone() + timedelta(seconds=within_s)
    return (
        f"changes in progress on {', '.join(in_progress)}. Each host reverts an unconfirmed change by itself by "
        f"{until:%H:%M:%S}, or {within_s} s after a Docker restart that is still running. "
        f"To revert now: dockmesh rollback --pending --limit {','.join(in_progress)}. "
        f"Then check with: dockmesh plan --limit {','.join(in_progress)}"
    )
