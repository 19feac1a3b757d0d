"""Short lists of many hosts: globs for names with a common stem, and tags."""

from collections.abc import Collection, Iterator, Mapping
from itertools import pairwise

# Two names are as short as one glob.
_MIN_GROUP = 3
# With at most this many exceptions, a text names the exceptions.
_MAX_EXCEPTIONS = 2
# Up to this many names are easier to read than a pattern.
_MAX_PLAIN = 4


def compact_names(names: Collection[str], fleet: Mapping[str, Collection[str]]) -> list[str]:
    """Terms of a `--limit` pattern that match exactly these hosts: names, globs and `tag:NAME`.

    `fleet` has the tags of all hosts. The terms are in the order of the fleet, a group at its first host.
    """
    ordered = [name for name in fleet if name in names]
    words = {name: name for name in ordered}
    groups = {word: members for word, members in _groups(fleet).items() if members <= set(ordered)}
    while groups:
        word, members = max(groups.items(), key=_preferred)
        if len(members) < _MIN_GROUP:
            break
        words |= dict.fromkeys(members, word)
        groups = {other: rest for other, hosts in groups.items() if (rest := hosts - members)}
    return list(dict.fromkeys(words[name] for name in ordered))


def describe_names(names: Collection[str], fleet: Mapping[str, Collection[str]], *, most: int) -> str:
    """Short text for hosts: all hosts, all except one or two, or the first `most` of their compact names."""
    rest = [name for name in fleet if name not in names]
    if len(names) > most and len(rest) <= _MAX_EXCEPTIONS:
        return f"all except {' and '.join(rest)}" if rest else "all hosts"
    plain = len(names) <= _MAX_PLAIN or not set(names) <= set(fleet)
    compact = list(names) if plain else compact_names(names, fleet)
    shown = compact[:most]
    hidden = sum(not _is_named(name, shown, fleet) for name in names) if len(compact) > most else 0
    return ", ".join(shown) + (f" and {hidden} more" if hidden else "")


def _is_named(name: str, terms: Collection[str], fleet: Mapping[str, Collection[str]]) -> bool:
    """Whether one of the terms of `compact_names` covers the host."""
    tags = {f"tag:{tag}" for tag in fleet.get(name, ())}
    return name in terms or not tags.isdisjoint(terms) or any(f"{stem}*" in terms for stem in _stems(name))


def _preferred(group: tuple[str, set[str]]) -> tuple[int, bool, int, str]:
    """Sort key: the largest group, then a stem before a tag, then the shortest term."""
    word, members = group
    return len(members), not word.startswith("tag:"), -len(word), word


def _groups(fleet: Mapping[str, Collection[str]]) -> dict[str, set[str]]:
    """All groups of the fleet by their term, of any size."""
    groups: dict[str, set[str]] = {}
    for name, tags in fleet.items():
        for tag in tags:
            groups.setdefault(f"tag:{tag}", set()).add(name)
    stems = {stem for name in fleet for stem in _stems(name)}
    return groups | {f"{stem}*": {name for name in fleet if name.startswith(stem)} for stem in sorted(stems)}


def _stems(name: str) -> Iterator[str]:
    """The stems of a name: `rack`, `rack2-` and `rack2-db` for `rack2-db7`."""
    for at, (letter, following) in enumerate(pairwise(name), start=1):
        if letter in ".-" or (following.isdigit() and not letter.isdigit()):
            yield name[:at]
