"""What is asked before hosts change, and told when they are left amid it."""

from datetime import datetime, timedelta

import click

from dockmesh.core.planning.plan import Plan, restarts_docker
from dockmesh.core.rollout import Rollout, batch_size
from dockmesh.core.text import listed
from dockmesh.report.console.terminal import pluralize

_NAMED = 12


def confirm_apply(planned: Plan, rollout: Rollout) -> bool:
    """Ask whether to carry the plan out, having said where Docker restarts; whether the answer was yes."""
    restarting = [plan.host for plan in planned.applicable if restarts_docker(plan)]
    if restarting:
        size = batch_size(len(restarting), rollout)
        order = "" if len(restarting) == 1 else ", one after the other" if size == 1 else f", {size} at a time"
        click.echo(f"Docker restarts on {listed(restarting, _NAMED)}{order}.", err=True)
    try:
        return click.confirm(f"Change {pluralize(len(planned.applicable), 'host')}?", err=True)
    except click.Abort:
        click.echo(err=True)
        return False


def interrupted_text(underway: tuple[str, ...], within_s: int) -> str:
    """What becomes of the hosts that an interrupted run leaves amid their change."""
    if not underway:
        return "no host was amid a change"
    until = datetime.now().astimezone() + timedelta(seconds=within_s)
    return (
        f"amid their change: {', '.join(underway)}. What was not confirmed they take back by themselves, by "
        f"{until:%H:%M:%S}; a host that still restarts Docker, {within_s} s after it has. "
        f"See then: dockmesh plan --limit {','.join(underway)}"
    )
