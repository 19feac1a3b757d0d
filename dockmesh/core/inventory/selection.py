"""Which hosts `--limit` means, and other options that name hosts."""

from collections.abc import Collection
from fnmatch import fnmatchcase

from dockmesh.core.model import Fleet, Host
from dockmesh.core.text import did_you_mean, quoted
from dockmesh.error_codes import UsageCode
from dockmesh.errors import UsageError

_TAG = "tag:"


def select(fleet: Fleet, pattern: str, *, option: str = "--limit") -> tuple[Host, ...]:
    """The hosts of `fleet` that `pattern` names, in the fleet's order.

    `pattern` is a comma-separated list, in any order, of names, globs and `tag:NAME`, and of the same with a
    `!` before it for what to leave out. Where nothing is named but what to leave out, the rest is meant.

    Raises:
        UsageError: a term, or the whole, matches no host.
    """
    terms = [term.strip() for term in pattern.split(",")]
    wanted = [_matching(fleet, term, option) for term in terms if not term.startswith("!")]
    unwanted = [_matching(fleet, term[1:].strip(), option) for term in terms if term.startswith("!")]
    names = set[str]().union(*wanted) if wanted else {host.name for host in fleet.hosts}
    names.difference_update(*unwanted)
    if not names:
        raise UsageError(f"{option} {quoted(pattern)} leaves no host", code=UsageCode.NO_HOST_LEFT)
    return tuple(host for host in fleet.hosts if host.name in names)


def _matching(fleet: Fleet, term: str, option: str) -> set[str]:
    if not term:
        raise UsageError(
            f"{option} holds an empty term; name hosts, globs or tag:NAME, separated by single commas",
            code=UsageCode.EMPTY_TERM,
        )
    glob = term.removeprefix(_TAG)
    by_tag = glob != term
    found = {host.name for host in fleet.hosts if _matches(host.tags if by_tag else (host.name,), glob)}
    if not found:
        known = {word for host in fleet.hosts for word in (host.tags if by_tag else (host.name,))}
        what = "no host has the tag" if by_tag else "no host is called"
        raise UsageError(
            f"{option}: {what} {quoted(glob)}{did_you_mean(glob, sorted(known), most=3)}",
            code=UsageCode.UNKNOWN_TAG if by_tag else UsageCode.UNKNOWN_HOST,
        )
    return found


def _matches(words: Collection[str], glob: str) -> bool:
    return any(fnmatchcase(word, glob) for word in words)
