"""The few hosts that explain which pairs fail."""

from collections import Counter
from collections.abc import Collection, Iterable


def culprits(pairs: Iterable[Collection[str]], already: Collection[str] = ()) -> list[str]:
    """Hosts of which every pair has one: those in `already`, then as few others as it takes, the worst first.

    The host in most pairs is taken, then the next among the pairs that it does not explain. Hosts in equally many pairs
    are all taken, since nothing distinguishes them.
    """
    found = list(already)
    counts = Counter(tuple(dict.fromkeys(pair)) for pair in pairs if not set(pair) & set(found))
    pairs_of: dict[str, list[tuple[str, ...]]] = {}
    for pair in counts:
        for name in pair:
            pairs_of.setdefault(name, []).append(pair)
    open_ = {name: sum(counts[pair] for pair in its) for name, its in pairs_of.items()}
    while open_ and (most := max(open_.values())):
        worst = [name for name, number in open_.items() if number == most]
        found += worst
        for pair in {pair for name in worst for pair in pairs_of[name]}:
            if number := counts.pop(pair, 0):
                for name in pair:
                    open_[name] -= number
        for name in worst:
            del open_[name]
            del pairs_of[name]
    return found
