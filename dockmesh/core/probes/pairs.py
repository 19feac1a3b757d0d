"""The selection of pairs to probe: by name, or at random."""

import re
from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from hashlib import shake_256

from dockmesh.core.inventory.selection import select
from dockmesh.core.model import Fleet, Host
from dockmesh.core.text import quoted
from dockmesh.error_codes import UsageCode
from dockmesh.errors import UsageError

# Source and target, which can be the same host.
Pair = tuple[str, str]
# The targets of each source.
Selection = Mapping[str, AbstractSet[str]]

_PAIR = re.compile(r"\s*((?:tag:)?[^:]+):((?:tag:)?[^:]+)")
_DRAW_BYTES = 8


def pairs_matching(fleet: Fleet, text: str) -> frozenset[Pair]:
    """The pairs that a text such as `A:B,C:D` selects, in both directions. Each end is a name, a glob or `tag:NAME`.

    Raises:
        UsageError: a part is not a pair, or an end matches no host.
    """
    return frozenset(pair for part in text.split(",") for pair in _pairs_of(fleet, part))


def by_source(pairs: Iterable[Pair]) -> Selection:
    """The pairs as the targets of each source."""
    selection: dict[str, set[str]] = {}
    for source, target in pairs:
        selection.setdefault(source, set()).add(target)
    return selection


def unprobed_pairs(fleet: Fleet, probed: Iterable[Pair]) -> int:
    """The number of ordered pairs of different hosts that have a probe and are not in `probed`."""
    pairs = (len(fleet.hosts) - 1) * sum(host.docker or host.prefix is not None for host in fleet.hosts)
    return pairs - sum(source != target for source, target in probed)


def _pairs_of(fleet: Fleet, part: str) -> Iterator[Pair]:
    match = _PAIR.fullmatch(part)
    if match is None:
        raise UsageError(
            f"--pairs: {quoted(part)} is not a pair of hosts. Fix: --pairs A:B,C:D",
            code=UsageCode.BAD_PAIR,
        )
    first, second = (select(fleet, end, option="--pairs") for end in match.groups())
    for one in first:
        for other in second:
            if one != other:
                yield one.name, other.name
                yield other.name, one.name


def sample_pairs(fleet: Fleet, sources: Iterable[Host], count: int, seed: int) -> frozenset[Pair]:
    """For each source, the source itself and `count` random other hosts with a prefix. The seed makes it repeatable."""
    names = [host.name for host in fleet.hosts if host.prefix]
    return frozenset(pair for source in sources for pair in _sample(source.name, names, count, seed))


def _sample(source: str, names: Iterable[str], count: int, seed: int) -> Iterator[Pair]:
    yield source, source
    left = [name for name in names if name != source]
    draws = shake_256(f"{seed} {source}".encode()).digest(_DRAW_BYTES * min(count, len(left)))
    for at in range(0, len(draws), _DRAW_BYTES):
        drawn = int.from_bytes(draws[at : at + _DRAW_BYTES]) % len(left)
        yield source, left[drawn]
        left[drawn] = left[-1]
        left.pop()
