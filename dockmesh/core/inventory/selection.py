"""Selection of hosts by a pattern, for `--limit` and other options that name hosts."""

from collections.abc import Collection
from fnmatch import fnmatchcase

from dockmesh.core.model import Fleet, Host
from dockmesh.core.text import did_you_mean, quoted
from dockmesh.error_codes import UsageCode
from dockmesh.errors import UsageError

_TAG = "tag:"


def select(fleet: Fleet, pattern: str, *, option: str = "--limit") -> tuple[Host, ...]:
    """Select the hosts that match a pattern, in the order of the fleet.

    `pattern` is a comma-separated list of names, globs and `tag:NAME`, in any order. A `!` before a term excludes its
    hosts. A pattern of exclusions only selects all other hosts.

    Raises:
        UsageError: a term, or the whole pattern, matches no host.
    """
    terms = [term.strip() for term in pattern.split(",")]
    included = [_matching(fleet, term, option) for term in terms if not term.startswith("!")]
    excluded = [_matching(fleet, term[1:].strip(), option) for term in terms if term.startswith("!")]
    names = set[str]().union(*included) if included else {host.name for host in fleet.hosts}
    names.difference_update(*excluded)
    if not names:
        raise UsageError(f"{option} {quoted(pattern)} excludes every host", code=UsageCode.NO_HOST_LEFT)
    return tuple(host for host in fleet.hosts if host.name in names)


def _matching(fleet: Fleet, term: str, option: str) -> set[str]:
    if not term:
        raise UsageError(
            f"{option} has an empty term. Fix: use names, globs or tag:NAME, separated by single commas",
            code=UsageCode.EMPTY_TERM,
        )
    glob = term.removeprefix(_TAG)
    by_tag = glob != term
    names = {host.name for host in fleet.hosts if _matches(host.tags if by_tag else (host.name,), glob)}
    if not names:
        known = {word for host in fleet.hosts for word in (host.tags if by_tag else (host.name,))}
        what = "no host has the tag" if by_tag else "no host is called"
        raise UsageError(
            f"{option}: {what} {quoted(glob)}{did_you_mean(glob, sorted(known), most=3)}",
            code=UsageCode.UNKNOWN_TAG if by_tag else UsageCode.UNKNOWN_HOST,
        )
    return names


def _matches(words: Collection[str], glob: str) -> bool:
    return any(fnmatchcase(word, glob) for word in words)
