"""Who is to blame, where only pairs are seen to fail."""

from collections import Counter
from collections.abc import Collection, Iterable


def culprits(pairs: Iterable[Collection[str]], already: Collection[str] = ()) -> list[str]:
    """Hosts of which every pair has one: those in `already`, then as few others as it takes, the worst first.

    Who fails with many goes before those that fail with it alone: the host in most pairs is taken, then the next among
    what it does not explain. Equals are all taken, since nothing tells them apart.
    """
    found = list(already)
    left = [pair for pair in pairs if pair and not set(pair) & set(found)]
    while left:
        counts = Counter(name for pair in left for name in dict.fromkeys(pair))
        most = max(counts.values())
        worst = [name for name, count in counts.items() if count == most]
        found += worst
        left = [pair for pair in left if not set(pair) & set(worst)]
    return found
