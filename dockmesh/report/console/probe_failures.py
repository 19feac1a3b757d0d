"""Failed probes on the terminal: one line per cause, regardless of the number of probes."""

from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, datetime

from rich.text import Text

from dockmesh.core.compact import compact_names, describe_names
from dockmesh.core.results.group import FailureCause, group_by_cause, group_probes, pending_by_run, reverted_by_run
from dockmesh.core.results.host_errors import group_host_errors
from dockmesh.core.results.model import MeshResult
from dockmesh.core.text import listed
from dockmesh.report.console.terminal import pluralize
from dockmesh.report.unconfirmed_text import pending_text, reverted_text

_FAILURES_SHOWN = 40
_NAMED = 6
_EXCEPTIONS = 2


def failure_lines(result: MeshResult, reported: Collection[str]) -> Iterator[Text]:
    """Return the lines of the failures, in this order: failed probes, probes that were not made, unread hosts, changes.

    Changes are those without confirmation. The caller prints the errors of the hosts in `reported`.
    """
    causes = [cause for cause in group_by_cause(result) if cause.host is None]
    lines = [line for cause in sorted(causes, key=_order) for line in _lines(cause, result.tags)]
    yield from (Text.assemble(("✗ ", "bold red"), line) for line in lines[:_FAILURES_SHOWN])
    if len(lines) > _FAILURES_SHOWN:
        yield Text(f"  … and {len(lines) - _FAILURES_SHOWN} more; --json has them all", style="dim")
    yield from _error_lines(result, reported)
    now = datetime.now(UTC)
    for pending in pending_by_run(result):
        names = _names(tuple(pending), result)
        yield Text.assemble(("✗ ", "bold red"), *names, f": {pending_text(pending, result.tags, None, now)}")
    for reverted in reverted_by_run(result):
        names = _names(tuple(reverted), result)
        yield Text.assemble(("· ", "yellow"), *names, f": {reverted_text(list(reverted.values()), None)}")


def _error_lines(result: MeshResult, reported: Collection[str]) -> Iterator[Text]:
    """One line for all hosts with the same error, in the fleet's order."""
    errors = ((host.host, host.error) for host in result.hosts if host.error is not None and host.host not in reported)
    for group in group_host_errors(errors):
        yield Text.assemble(("✗ ", "bold red"), *_names(group.hosts, result), f": {group}")


def _names(hosts: Collection[str], result: MeshResult) -> tuple[tuple[str, str], tuple[str, str]]:
    names = describe_names(hosts, result.tags, most=_NAMED)
    return (names, "bold"), (f" ({len(hosts)} hosts)" if len(hosts) > 1 else "", "dim")


def _order(cause: FailureCause) -> tuple[bool, bool]:
    """The states of hosts come first, since each explains many probes."""
    return not cause.made, not cause.about


def _lines(cause: FailureCause, hosts: Mapping[str, Collection[str]]) -> Iterator[Text]:
    probes = pluralize(len(cause.probes), "probe")
    if not cause.made:
        yield Text.assemble(cause.reason, (f" ({probes} not made)", "dim"))
    elif cause.about:
        yield Text.assemble(cause.reason, (f" ({probes})", "dim"))
    else:
        for group in group_probes(cause.probes):
            sources = _end(group.sources, group.targets, hosts)
            targets = _end(group.targets, group.sources, hosts)
            yield Text.assemble((f"{sources} → {targets}", "bold"), f" {', '.join(group.kinds)}: {group.why}")


def _end(names: Collection[str], others: Collection[str], hosts: Mapping[str, Collection[str]]) -> str:
    """Name the hosts at one end of failed probes. `others` are the hosts at the other end."""
    rest = [host for host in hosts if host not in names and host not in others]
    if len(names) > _NAMED and len(rest) <= _EXCEPTIONS:
        hosts_text = "all others" if set(others) - set(names) else "all"
        return f"{hosts_text} except {' and '.join(rest)}" if rest else hosts_text
    return listed(compact_names(names, hosts), _NAMED)
