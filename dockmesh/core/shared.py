"""Sequences that the hosts of a fleet have in common, but for a few rows that are each host's own.

Of a thousand hosts each has a thousand routes, and rules, and lines of scripts that put them back. These stand in
tables that are made once for the fleet. A host holds which of their rows are its own, and what is made of rows is kept
with the table.
"""

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from functools import partial
from itertools import accumulate, chain, groupby, pairwise
from operator import itemgetter
from typing import Any, Generic, TypeVar, overload

T = TypeVar("T")
S = TypeVar("S")
K = TypeVar("K")


class SharedTable(Generic[T]):
    """Rows, and under names of others' choice what was made of all of them."""

    __slots__ = ("_made", "rows")

    def __init__(self, rows: Iterable[T]) -> None:
        self.rows = tuple(rows)
        self._made: dict[Hashable, Any] = {}

    def derived(self, what: Hashable, make: Callable[[tuple[T, ...]], S]) -> S:
        """What `make` makes of the rows; `what` stands for that function, in this table."""
        if what not in self._made:
            self._made[what] = make(self.rows)
        found: S = self._made[what]
        return found


class SharedSequence(Sequence[T]):
    """Rows of tables, one after another: equal to the tuple of them, and no larger for many than for few."""

    __slots__ = ("_parts",)

    def __init__(self, *parts: tuple[SharedTable[T], int, int]) -> None:
        """Of each part the table, and where in it the rows begin and end."""
        self._parts = tuple(part for part in parts if part[1] < part[2])

    @staticmethod
    def of(*sequences: Iterable[T]) -> "SharedSequence[T]":
        """Those sequences, one after another."""
        return SharedSequence(*chain.from_iterable(map(_parts, sequences)))

    def __len__(self) -> int:
        return sum(stop - start for _table, start, stop in self._parts)

    def __iter__(self) -> Iterator[T]:
        return chain.from_iterable(table.rows[start:stop] for table, start, stop in self._parts)

    @overload
    def __getitem__(self, at: int) -> T: ...
    @overload
    def __getitem__(self, at: slice) -> tuple[T, ...]: ...
    def __getitem__(self, at: int | slice) -> T | tuple[T, ...]:
        return tuple(self)[at]

    def __eq__(self, other: object) -> bool:
        if isinstance(other, SharedSequence) and self._parts == other._parts:
            return True
        return tuple(self) == tuple(other) if isinstance(other, SharedSequence | tuple) else NotImplemented

    def __hash__(self) -> int:
        return hash(tuple(self))

    def __repr__(self) -> str:
        return repr(tuple(self))

    def mapped(self, what: Hashable, make: Callable[[T], S]) -> "SharedSequence[S]":
        """What `make` makes of each row; `what` stands for that function."""
        return SharedSequence(
            *(
                (table.derived(("mapped", what), lambda rows: SharedTable(map(make, rows))), start, stop)
                for table, start, stop in self._parts
            )
        )

    def written(self, what: Hashable, write: Callable[[T], str]) -> str:
        """What `write` writes of each row, joined; `what` stands for that function."""

        def whole(rows: tuple[T, ...]) -> tuple[str, tuple[int, ...]]:
            texts = tuple(map(write, rows))
            return "".join(texts), tuple(accumulate(map(len, texts), initial=0))

        texts = ((table.derived(("written", what), whole), start, stop) for table, start, stop in self._parts)
        return "".join(text[ends[start] : ends[stop]] for (text, ends), start, stop in texts)

    def runs(self, what: Hashable, key: Callable[[T], K]) -> Iterator[tuple[K, "SharedSequence[T]"]]:
        """The rows in the longest runs for which `key` says the same; `what` stands for that function."""
        cut = (
            (value, (run or table, max(0, start - begin), min(end, stop) - begin))
            for table, start, stop in self._parts
            for value, begin, end, run in table.derived(("runs", what), partial(_runs, key=key))
            if start < end and begin < stop
        )
        for value, found in groupby(cut, key=itemgetter(0)):
            yield value, SharedSequence(*(part for _value, part in found))

    def ordered(self, what: Hashable, key: Callable[[T], Any]) -> "SharedSequence[T]":
        """The rows sorted by `key`; `what` stands for that function."""
        if self._parts and all(one[0] is two[0] and one[2] <= two[1] for one, two in pairwise(self._parts)):
            table = self._parts[0][0]
            if table.derived(("sorted", what), lambda rows: all(key(one) <= key(two) for one, two in pairwise(rows))):
                return self
        return SharedSequence.of(sorted(self, key=key))


def _parts(sequence: Iterable[T]) -> tuple[tuple[SharedTable[T], int, int], ...]:
    if isinstance(sequence, SharedSequence):
        return sequence._parts  # noqa: SLF001 (another of the same class)
    table = SharedTable(sequence)
    return ((table, 0, len(table.rows)),)


def _runs(rows: tuple[T, ...], key: Callable[[T], K]) -> tuple[tuple[K, int, int, SharedTable[T] | None], ...]:
    """Each run's value, where it begins and ends, and a table of it alone, but where all is one.

    What is made of rows of one kind cannot be made of the others in their table.
    """
    runs = [(value, tuple(run)) for value, run in groupby(rows, key=key)]
    edges = pairwise(accumulate((len(run) for _value, run in runs), initial=0))
    return tuple(
        (value, begin, end, SharedTable(run) if len(runs) > 1 else None)
        for (value, run), (begin, end) in zip(runs, edges, strict=True)
    )
