"""Why rows of a result failed: one cause for all that fail alike, so that people read each once."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from dockmesh.core.results.model import Result, ResultRow

K = TypeVar("K")
V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class FailureCause:
    """A reason, and the rows that fail for it. `host`: it could not be asked, which is all that is wrong with them."""

    reason: str
    rows: tuple[ResultRow, ...]
    host: str | None = None


@dataclass(frozen=True, slots=True)
class RowGroup:
    """Rows that are alike: from each of the sources to each of the targets, of these kinds.

    A host among both is not asked by itself. `why` is empty where all is well.
    """

    sources: tuple[str, ...]
    targets: tuple[str, ...]
    kinds: tuple[str, ...]
    why: str


def group_by_cause(result: Result) -> tuple[FailureCause, ...]:
    """Every failing row under one cause: first the hosts that could not be asked, then what fails most rows."""
    silent: dict[str, list[ResultRow]] = {host: [] for host in result.errors}
    reasons: dict[str, list[ResultRow]] = {}
    for row in result.failed:
        host = next((end for end in (row.source, row.target) if end in silent), None)
        if host is not None and row.state == "unmade":
            silent[host].append(row)
        else:
            reasons.setdefault(row.why, []).append(row)
    unasked = (FailureCause(result.errors[host], tuple(rows), host) for host, rows in silent.items())
    others = (FailureCause(reason, tuple(rows)) for reason, rows in reasons.items())
    return *unasked, *sorted(others, key=lambda cause: -len(cause.rows))


def group_rows(rows: Iterable[ResultRow]) -> Iterator[RowGroup]:
    """The rows in as few words as it takes, in their order."""
    kinds = _grouped(((row.source, row.target, "" if row.ok else row.why), row.what) for row in rows)
    sources = _grouped(((target, tuple(each), why), source) for (source, target, why), each in kinds.items())
    targets = _grouped(((tuple(froms), each, why), target) for (target, each, why), froms in sources.items())
    return (RowGroup(froms, tuple(to), each, why) for (froms, each, why), to in targets.items())


def culprit_counts(rows: Iterable[ResultRow]) -> dict[str, int]:
    """The few hosts that all these rows touch, with how many: the one with most, then the one with most of the rest."""
    pairs: Counter[tuple[str, ...]] = Counter(tuple({row.source: None, row.target: None}) for row in rows)
    of: dict[str, list[tuple[str, ...]]] = {}
    for pair in pairs:
        for end in pair:
            of.setdefault(end, []).append(pair)
    touched = {host: sum(pairs[pair] for pair in its) for host, its in of.items()}
    found: dict[str, int] = {}
    while touched and (host := max(touched, key=touched.__getitem__)) and touched[host]:
        found[host] = touched.pop(host)
        for pair in of[host]:
            for end in pair:
                if end in touched:
                    touched[end] -= pairs[pair]
    return found


def _grouped(pairs: Iterable[tuple[K, V]]) -> dict[K, list[V]]:
    groups: dict[K, list[V]] = {}
    for key, value in pairs:
        groups.setdefault(key, []).append(value)
    return groups
