"""Text about changes without confirmation. Each group of hosts has the same run and the same message."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime, tzinfo
from shlex import quote

from dockmesh.core.compact import compact_names
from dockmesh.core.facts.unconfirmed import PendingChange, RevertedChange
from dockmesh.core.results.group import pending_by_run, reverted_by_run
from dockmesh.core.results.model import MeshResult


def deadline_text(changes: Sequence[PendingChange], zone: tzinfo | None, now: datetime | None = None) -> str:
    """When the hosts revert their changes by themselves.

    `zone`: None for the local time zone. `now`: adds the seconds that are left.
    """
    failed = [change.failed for change in changes if change.failed]
    times = [change.reverts_at for change in changes if change.reverts_at]
    when = "now, or at its next boot"
    if times:
        left = sorted(round((each - now).total_seconds()) for each in times) if now else [0]
        span = f"{left[0]}" if left[0] == left[-1] else f"{left[0]} to {left[-1]}"
        when = f"at {_time(max(times), zone)}{f' (in {span} s)' if left[0] > 0 else ''}"
    if not failed:
        return f"the host reverts it by itself {when}"
    attempts = max(each.attempts for each in failed)
    last = _time(max(each.at for each in failed), zone)
    return f"{attempts} failed {'attempt' if attempts == 1 else 'attempts'}, the last at {last}, the next {when}"


def remedy_text(changes: Mapping[str, PendingChange], tags: Mapping[str, Collection[str]]) -> str:
    """The remedy for the hosts. `tags`: those of all hosts of the fleet, by name."""
    return next(iter(changes.values())).remedy(quote(",".join(compact_names(changes, tags))))


def pending_text(
    changes: Mapping[str, PendingChange],
    tags: Mapping[str, Collection[str]],
    zone: tzinfo | None,
    now: datetime | None = None,
) -> str:
    """The fact, the deadline and the remedy."""
    each = tuple(changes.values())
    return f"{each[0].message}; {deadline_text(each, zone, now)}. Fix: {remedy_text(changes, tags)}"


def reverted_at(changes: Sequence[RevertedChange], zone: tzinfo | None) -> str:
    """When the hosts reverted their changes."""
    times = sorted(change.at.astimezone(zone).replace(microsecond=0) for change in changes)
    last = f" to {times[-1]:%H:%M:%S}" if times[0] != times[-1] else ""
    return f"at {times[0]:%Y-%m-%d %H:%M:%S}{last} {times[0]:%Z}"


def reverted_text(changes: Sequence[RevertedChange], zone: tzinfo | None) -> str:
    """The fact, its time and the remedy."""
    return f"{changes[0].message}, {reverted_at(changes, zone)}. Fix: {changes[0].remedy}"


def unconfirmed_lines(result: MeshResult) -> Iterator[tuple[tuple[str, ...], str]]:
    """The hosts and the text of each group, for files."""
    for pending in pending_by_run(result):
        yield tuple(pending), pending_text(pending, result.tags, UTC)
    for reverted in reverted_by_run(result):
        yield tuple(reverted), reverted_text(list(reverted.values()), UTC)


def _time(time: datetime, zone: tzinfo | None) -> str:
    return f"{time.astimezone(zone):%H:%M:%S %Z}"
