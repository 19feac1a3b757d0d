"""Many hosts in few words: by a stem that their names share, or by a tag."""

from collections.abc import Collection, Iterator, Mapping
from itertools import pairwise

# Two are named as quickly.
_LEAST = 3
# Exceptions that are named.
_FEW = 2
# So few names are read faster than a pattern.
_PLAIN = 4


def compact_names(names: Collection[str], fleet: Mapping[str, Collection[str]]) -> list[str]:
    """The hosts as names, as globs and as `tag:NAME`, which in this fleet match just them; as --limit takes them.

    `fleet` has all its hosts with their tags. Names stand in the fleet's order, and a group in that of its first.
    """
    left = [name for name in fleet if name in names]
    words = {name: name for name in left}
    groups = {word: members for word, members in _groups(fleet).items() if members <= set(left)}
    while groups:
        word, members = max(groups.items(), key=_preferred)
        if len(members) < _LEAST:
            break
        words |= dict.fromkeys(members, word)
        groups = {other: rest for other, found in groups.items() if (rest := found - members)}
    return list(dict.fromkeys(words[name] for name in left))


def describe_names(names: Collection[str], fleet: Mapping[str, Collection[str]], *, most: int) -> str:
    """The hosts in a few words: all of the fleet, all but one or two, or the first `most` of the compact names."""
    rest = [name for name in fleet if name not in names]
    if len(names) > most and len(rest) <= _FEW:
        return f"all except {' and '.join(rest)}" if rest else "all hosts"
    plain = len(names) <= _PLAIN or not set(names) <= set(fleet)
    compact = list(names) if plain else compact_names(names, fleet)
    more = f" and {len(compact) - most} more" if len(compact) > most else ""
    return ", ".join(compact[:most]) + more


def _preferred(group: tuple[str, set[str]]) -> tuple[int, bool, int, str]:
    """The largest; of those as large a stem rather than a tag, and a short one."""
    word, members = group
    return len(members), not word.startswith("tag:"), -len(word), word


def _groups(fleet: Mapping[str, Collection[str]]) -> dict[str, set[str]]:
    """All there are, of whatever size."""
    groups: dict[str, set[str]] = {}
    for name, tags in fleet.items():
        for tag in tags:
            groups.setdefault(f"tag:{tag}", set()).add(name)
    stems = {stem for name in fleet for stem in _stems(name)}
    return groups | {f"{stem}*": {name for name in fleet if name.startswith(stem)} for stem in sorted(stems)}


def _stems(name: str) -> Iterator[str]:
    """`rack2-db7` has `rack`, `rack2-` and `rack2-db`."""
    for at, (letter, following) in enumerate(pairwise(name), start=1):
        if letter in ".-" or (following.isdigit() and not letter.isdigit()):
            yield name[:at]
