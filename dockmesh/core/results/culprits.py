"""The few hosts that explain which pairs fail."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping


def culprits(
    pairs: Iterable[Collection[str]], already: Collection[str] = (), *, evidence: Mapping[str, int] | None = None
) -> list[str]:
    """A small set of hosts that covers every pair: those in `already`, then others, the worst first.

    Each step takes the host with the most pairs that are not covered yet, plus its `evidence`. It takes all hosts with
    equally many, because nothing distinguishes them.
    """
    suspicion = evidence or {}
    chosen = list(already)
    counts = Counter(tuple(dict.fromkeys(pair)) for pair in pairs if not set(pair) & set(chosen))
    pairs_of: dict[str, list[tuple[str, ...]]] = {}
    for pair in counts:
        for name in pair:
            pairs_of.setdefault(name, []).append(pair)
    uncovered = {name: sum(counts[pair] for pair in own) for name, own in pairs_of.items()}
    while suspects := {name: number + suspicion.get(name, 0) for name, number in uncovered.items() if number}:
        most = max(suspects.values())
        worst = [name for name, number in suspects.items() if number == most]
        chosen += worst
        for pair in {pair for name in worst for pair in pairs_of[name]}:
            if number := counts.pop(pair, 0):
                for name in pair:
                    uncovered[name] -= number
        for name in worst:
            del uncovered[name]
            del pairs_of[name]
    return chosen
