"""Sequences that share their rows between all hosts of a fleet.

In a fleet of 1,000 hosts, each host has 999 routes, their rules and the script lines that restore them. A table has
these rows once for the whole fleet, together with the values derived from them. A sequence of one host refers to
ranges of such tables.
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
    """Rows, with a cache of the values derived from all of them."""

    __slots__ = ("_derived", "rows")

    def __init__(self, rows: Iterable[T]) -> None:
        self.rows = tuple(rows)
        self._derived: dict[Hashable, Any] = {}

    def derived(self, name: Hashable, make: Callable[[tuple[T, ...]], S]) -> S:
        """Cached result of `make(rows)`; `name` identifies the function within this table."""
        if name not in self._derived:
            self._derived[name] = make(self.rows)
        result: S = self._derived[name]
        return result


class SharedSequence(Sequence[T]):
    """Concatenated ranges of tables: equal to the tuple of their rows, but its size does not grow with them."""

    __slots__ = ("_parts",)

    def __init__(self, *parts: tuple[SharedTable[T], int, int]) -> None:
        """Each part is a table with the start and the stop index of a range of its rows."""
        self._parts = tuple(part for part in parts if part[1] < part[2])

    @staticmethod
    def of(*sequences: Iterable[T]) -> "SharedSequence[T]":
        """Concatenate sequences."""
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

    def mapped(self, name: Hashable, make: Callable[[T], S]) -> "SharedSequence[S]":
        """The result of `make` for each row; `name` identifies the function."""
        return SharedSequence(
            *(
                (table.derived(("mapped", name), lambda rows: SharedTable(map(make, rows))), start, stop)
                for table, start, stop in self._parts
            )
        )

    def written(self, name: Hashable, write: Callable[[T], str]) -> str:
        """The joined texts that `write` returns for the rows; `name` identifies the function."""

        def text_and_offsets(rows: tuple[T, ...]) -> tuple[str, tuple[int, ...]]:
            texts = tuple(map(write, rows))
            return "".join(texts), tuple(accumulate(map(len, texts), initial=0))

        texts = (
            (table.derived(("written", name), text_and_offsets), start, stop) for table, start, stop in self._parts
        )
        return "".join(text[offsets[start] : offsets[stop]] for (text, offsets), start, stop in texts)

    def runs(self, name: Hashable, key: Callable[[T], K]) -> Iterator[tuple[K, "SharedSequence[T]"]]:
        """Group consecutive rows with the same key, in the longest possible runs; `name` identifies the function."""
        clipped = (
            (value, (run or table, max(0, start - begin), min(end, stop) - begin))
            for table, start, stop in self._parts
            for value, begin, end, run in table.derived(("runs", name), partial(_runs, key=key))
            if start < end and begin < stop
        )
        for value, parts in groupby(clipped, key=itemgetter(0)):
            yield value, SharedSequence(*(part for _value, part in parts))

    def ordered(self, name: Hashable, key: Callable[[T], Any]) -> "SharedSequence[T]":
        """The rows sorted by `key`; `name` identifies the function."""
        if self._parts and all(one[0] is two[0] and one[2] <= two[1] for one, two in pairwise(self._parts)):
            table = self._parts[0][0]
            if table.derived(("sorted", name), lambda rows: all(key(one) <= key(two) for one, two in pairwise(rows))):
                return self
        return SharedSequence.of(sorted(self, key=key))


def _parts(sequence: Iterable[T]) -> tuple[tuple[SharedTable[T], int, int], ...]:
    if isinstance(sequence, SharedSequence):
        return sequence._parts  # noqa: SLF001 (an instance of the same class)
    table = SharedTable(sequence)
    return ((table, 0, len(table.rows)),)


def _runs(rows: tuple[T, ...], key: Callable[[T], K]) -> tuple[tuple[K, int, int, SharedTable[T] | None], ...]:
    """For each run its key, start, stop and a table of its own rows; no table if all rows are one run.

    A run needs its own table, because a function for rows with one key may fail for the other rows.
    """
    runs = [(value, tuple(run)) for value, run in groupby(rows, key=key)]
    edges = pairwise(accumulate((len(run) for _value, run in runs), initial=0))
    return tuple(
        (value, begin, end, SharedTable(run) if len(runs) > 1 else None)
        for (value, run), (begin, end) in zip(runs, edges, strict=True)
    )
