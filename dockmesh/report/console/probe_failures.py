"""Failed probes for people: a line per cause, however many probes fail for it."""

from collections.abc import Collection, Iterator, Mapping

from rich.text import Text

from dockmesh.core.compact import compact_names
from dockmesh.core.results.group import FailureCause, group_by_cause, group_probes
from dockmesh.core.results.host_errors import group_host_errors
from dockmesh.core.results.model import MeshResult
from dockmesh.core.text import listed
from dockmesh.report.console.terminal import pluralize

_FAILURES_SHOWN = 40
_NAMED = 6
_BUT = 2


def failure_lines(result: MeshResult, told: Collection[str]) -> Iterator[Text]:
    """First the failures, then the probes that could not be made, then the hosts that could not be asked.

    Hosts in `told` are reported elsewhere.
    """
    causes = [cause for cause in group_by_cause(result) if cause.host is None]
    lines = [line for cause in sorted(causes, key=_order) for line in _lines(cause, result.tags)]
    yield from (Text.assemble(("✗ ", "bold red"), line) for line in lines[:_FAILURES_SHOWN])
    if len(lines) > _FAILURES_SHOWN:
        yield Text(f"  … and {len(lines) - _FAILURES_SHOWN} more; --json has them all", style="dim")
    errors = ((host, str(error)) for host, error in result.errors.items() if host not in told)
    for group in group_host_errors(errors):
        names = listed(compact_names(group.hosts, result.tags), _NAMED)
        yield Text.assemble(("✗ ", "bold red"), (names, "bold"), f" {group}")


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
            sources = _named(group.sources, group.targets, hosts)
            targets = _named(group.targets, group.sources, hosts)
            yield Text.assemble((f"{sources} → {targets}", "bold"), f" {', '.join(group.kinds)}: {group.why}")


def _named(names: Collection[str], others: Collection[str], hosts: Mapping[str, Collection[str]]) -> str:
    """The hosts at one end of failed probes; `others` are at the other end."""
    rest = [host for host in hosts if host not in names and host not in others]
    if len(names) > _NAMED and len(rest) <= _BUT:
        beside = "all others" if set(others) - set(names) else "all"
        return f"{beside} but {' and '.join(rest)}" if rest else beside
    return listed(compact_names(names, hosts), _NAMED)
