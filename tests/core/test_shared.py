"""Shared sequences behave like the tuple of their rows, regardless of their tables."""

from collections.abc import Hashable
from itertools import chain, groupby, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dockmesh.core import shared
from dockmesh.core.shared import SharedSequence, SharedTable, without_common_ends

TABLES = st.lists(st.integers(0, 9), max_size=8).map(SharedTable)


@st.composite
def spans(draw: st.DrawFn) -> tuple[SharedTable[int], int, int]:
    table = draw(TABLES)
    start = draw(st.integers(0, len(table.rows)))
    return table, start, draw(st.integers(start, len(table.rows)))


SPANS = st.lists(spans(), max_size=4)


def concatenated(parts: list[tuple[SharedTable[int], int, int]]) -> tuple[int, ...]:
    return tuple(chain.from_iterable(table.rows[start:stop] for table, start, stop in parts))


@given(SPANS)
def test_a_sequence_reads_and_compares_like_a_tuple(parts: list[tuple[SharedTable[int], int, int]]) -> None:
    rows, same = SharedSequence(*parts), concatenated(parts)
    assert (tuple(rows), len(rows), hash(rows), repr(rows)) == (same, len(same), hash(same), repr(same))
    assert rows == same
    assert same == rows
    assert rows != (*same, 1)
    assert rows != list(same)
    assert [rows[at] for at in range(len(same))] == list(same)
    assert rows[1:] == same[1:]
    assert bool(rows) == bool(same)


@given(SPANS, SPANS)
def test_joined_sequences_follow_each_other(
    one: list[tuple[SharedTable[int], int, int]], two: list[tuple[SharedTable[int], int, int]]
) -> None:
    assert SharedSequence.of(SharedSequence(*one), concatenated(two), (each for each in (7, 8))) == (
        *concatenated(one),
        *concatenated(two),
        7,
        8,
    )


@given(SPANS)
def test_derived_values_equal_those_of_a_tuple(parts: list[tuple[SharedTable[int], int, int]]) -> None:
    for _again in range(2):
        rows, same = SharedSequence(*parts), concatenated(parts)
        assert rows.mapped("negative", lambda each: -each) == tuple(-each for each in same)
        assert rows.written("line", lambda each: f"<{each}>\n") == "".join(f"<{each}>\n" for each in same)
        assert rows.ordered("number", lambda each: each) == tuple(sorted(same))


@given(SPANS)
def test_runs_are_as_long_as_possible_and_derive_only_their_rows(
    parts: list[tuple[SharedTable[int], int, int]],
) -> None:
    seen: set[int] = set()

    def written(each: int) -> str:
        seen.add(each % 2)
        return str(each)

    found = list(SharedSequence(*parts).runs("odd", lambda each: each % 2))
    assert [(odd, tuple(run)) for odd, run in found] == [
        (odd, tuple(run)) for odd, run in groupby(concatenated(parts), key=lambda each: each % 2)
    ]
    for odd, run in found:
        seen.clear()
        run.written("digits", written)
        assert seen <= {odd}


def test_hosts_share_the_derived_values_of_a_table() -> None:
    table, made = SharedTable(range(1000)), []
    for own in range(1000):
        rows = SharedSequence((table, 0, own), (table, own + 1, 1000))
        assert rows.mapped("noted", made.append) is not None
    assert made == list(range(1000))


OPERATIONS = ("mapped", "written", "runs", "ordered")


def run_operation(rows: SharedSequence[int], operation: str, what: Hashable) -> object:
    """The result of an operation under a name, with a function that depends only on the operation."""
    match operation:
        case "mapped":
            return tuple(rows.mapped(what, lambda each: -each))
        case "written":
            return rows.written(what, lambda each: f"<{each}>")
        case "runs":
            return [(odd, tuple(run)) for odd, run in rows.runs(what, lambda each: each % 2)]
    return tuple(rows.ordered(what, lambda each: each))


@given(SPANS, st.permutations(OPERATIONS), st.sampled_from(["x", ("mapped", "x"), ("runs", "x"), None]))
def test_one_name_is_independent_in_each_operation(
    parts: list[tuple[SharedTable[int], int, int]], operations: list[str], what: Hashable
) -> None:
    alone = {each: run_operation(SharedSequence.of(concatenated(parts)), each, what) for each in operations}
    assert {each: run_operation(SharedSequence(*parts), each, what) for each in operations} == alone
    assert {each: run_operation(SharedSequence(*parts), each, what) for each in reversed(operations)} == alone


@given(SPANS, st.permutations(["x", "y", ("x", 4), ("x", 6), ("x", None)]))
def test_different_names_in_one_table_are_independent(
    parts: list[tuple[SharedTable[int], int, int]], names: list[Hashable]
) -> None:
    rows, same = SharedSequence(*parts), concatenated(parts)
    for _again in range(2):
        for at, name in enumerate(names):
            assert rows.mapped(name, lambda each, at=at: (each, at)) == tuple((each, at) for each in same)  # type: ignore[misc]
            assert rows.written(name, lambda each, at=at: f"{each}:{at} ") == "".join(f"{each}:{at} " for each in same)  # type: ignore[misc]


@given(SPANS, SPANS)
def test_one_name_is_independent_in_each_table(
    one: list[tuple[SharedTable[int], int, int]], two: list[tuple[SharedTable[int], int, int]]
) -> None:
    # Tables of the same rows, without derived values.
    again = [(SharedTable(table.rows), start, stop) for table, start, stop in one]
    assert SharedSequence(*one).mapped("x", lambda each: -each) == tuple(-each for each in concatenated(one))
    assert SharedSequence(*two, *again).mapped("y", str) == tuple(map(str, (*concatenated(two), *concatenated(one))))
    assert SharedSequence(*again).mapped("x", lambda each: each + 1) == tuple(each + 1 for each in concatenated(one))


def test_derived_values_of_a_run_differ_from_those_of_its_table() -> None:
    rows = SharedSequence.of([1, 3, 2, 4, 5])
    texts = [run.written("x", lambda each: f"{each} ") for _odd, run in rows.runs("odd", lambda each: each % 2)]
    assert texts == ["1 3 ", "2 4 ", "5 "]
    assert rows.written("x", lambda each: f"<{each}>") == "<1><3><2><4><5>"
    assert [tuple(run) for _low, run in rows.runs("low", lambda each: each < 3)] == [(1,), (3,), (2,), (4, 5)]


def test_derived_sequences_have_their_own_derived_values() -> None:
    rows = SharedSequence.of([1, 2])
    twice = rows.mapped("x", lambda each: 2 * each)
    assert twice.mapped("x", lambda each: each + 1) == (3, 5)
    assert twice.ordered("x", lambda each: -each) == (4, 2)
    assert rows.ordered("x", lambda each: each) == (1, 2)


@given(SPANS)
def test_adjacent_rows_are_found_across_tables(parts: list[tuple[SharedTable[int], int, int]]) -> None:
    rows = SharedSequence(*parts)
    expected = any(one > two for one, two in pairwise(concatenated(parts)))
    assert rows.any_adjacent("greater", lambda one, two: one > two) == expected


@given(SPANS, SPANS, st.booleans())
def test_sequences_of_several_tables_compare_by_row(
    one: list[tuple[SharedTable[int], int, int]], two: list[tuple[SharedTable[int], int, int]], long: bool
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shared, "LONG_ROWS", 0 if long else 100)
        _compare_by_row(one, two)


def _compare_by_row(one: list[tuple[SharedTable[int], int, int]], two: list[tuple[SharedTable[int], int, int]]) -> None:
    assert (SharedSequence(*one) == SharedSequence(*two)) is (concatenated(one) == concatenated(two))
    for _again in range(2):
        assert SharedSequence(*one, *two) == SharedSequence.of(concatenated(one), concatenated(two))
        assert SharedSequence(*one, *two) == SharedSequence.of((), (*concatenated(one), *concatenated(two)))


ROWS = st.lists(st.integers(0, 2), max_size=12).map(tuple)


@given(ROWS, ROWS, ROWS, ROWS)
def test_common_ends_are_left_out(
    start: tuple[int, ...], one: tuple[int, ...], two: tuple[int, ...], end: tuple[int, ...]
) -> None:
    first, second = start + one + end, start + two + end
    rest, other = without_common_ends(first, second)
    assert len(first) - len(rest) == len(second) - len(other)
    assert len(rest) <= len(one) or len(other) <= len(two)
    assert not rest or not other or (rest[0] != other[0] and rest[-1] != other[-1])
