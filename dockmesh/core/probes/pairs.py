"""Which pairs of hosts are probed, where it is not all of them: those that were named, or some at random."""

import re
from collections.abc import Iterable, Iterator
from hashlib import shake_256

from dockmesh.core.inventory.selection import select
from dockmesh.core.model import Fleet, Host
from dockmesh.core.text import quoted
from dockmesh.error_codes import UsageCode
from dockmesh.errors import UsageError

# From one host to another one, or to itself.
Pair = tuple[str, str]

_PAIR = re.compile(r"\s*((?:tag:)?[^:]+):((?:tag:)?[^:]+)")
_DRAW_BYTES = 8


def pairs_matching(fleet: Fleet, text: str) -> frozenset[Pair]:
    """The pairs of `A:B,C:D`, both ways; an end is a name, a glob or `tag:NAME`.

    Raises:
        UsageError: a part is no pair, or an end of it is no host.
    """
    return frozenset(pair for part in text.split(",") for pair in _named(fleet, part))


def _named(fleet: Fleet, part: str) -> Iterator[Pair]:
    found = _PAIR.fullmatch(part)
    if found is None:
        raise UsageError(
            f"--pairs: {quoted(part)} is no pair of hosts: write A:B, several with commas between",
            code=UsageCode.BAD_PAIR,
        )
    here, there = (select(fleet, end, option="--pairs") for end in found.groups())
    for one in here:
        for other in there:
            if one != other:
                yield one.name, other.name
                yield other.name, one.name


def sample_pairs(fleet: Fleet, sources: Iterable[Host], count: int, seed: int) -> frozenset[Pair]:
    """For each source itself, and `count` others that can be probed, all equally likely; the same for the same seed."""
    names = [host.name for host in fleet.hosts if host.prefix]
    return frozenset(pair for source in sources for pair in _drawn(source.name, names, count, seed))


def _drawn(source: str, names: Iterable[str], count: int, seed: int) -> Iterator[Pair]:
    yield source, source
    left = [name for name in names if name != source]
    draws = shake_256(f"{seed} {source}".encode()).digest(_DRAW_BYTES * min(count, len(left)))
    for at in range(0, len(draws), _DRAW_BYTES):
        drawn = int.from_bytes(draws[at : at + _DRAW_BYTES]) % len(left)
        yield source, left[drawn]
        # The last one takes the place of the drawn one.
        left[drawn] = left[-1]
        left.pop()
