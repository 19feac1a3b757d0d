"""Rows behave as the tuple they stand for, whatever tables they are made of."""

from collections.abc import Hashable
from itertools import chain, groupby

from hypothesis import given
from hypothesis import strategies as st

from dockmesh.core.shared import SharedSequence, SharedTable

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
def test_they_are_read_and_compared_as_a_tuple(parts: list[tuple[SharedTable[int], int, int]]) -> None:
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
def test_joined_they_are_one_after_another(
    one: list[tuple[SharedTable[int], int, int]], two: list[tuple[SharedTable[int], int, int]]
) -> None:
    assert SharedSequence.of(SharedSequence(*one), concatenated(two), (each for each in (7, 8))) == (
        *concatenated(one),
        *concatenated(two),
        7,
        8,
    )


@given(SPANS)
def test_what_is_made_of_them_is_what_is_made_of_each(parts: list[tuple[SharedTable[int], int, int]]) -> None:
    for _again in range(2):
        rows, same = SharedSequence(*parts), concatenated(parts)
        assert rows.mapped("negative", lambda each: -each) == tuple(-each for each in same)
        assert rows.written("line", lambda each: f"<{each}>\n") == "".join(f"<{each}>\n" for each in same)
        assert rows.ordered("number", lambda each: each) == tuple(sorted(same))


@given(SPANS)
def test_runs_are_the_longest_and_what_is_made_of_one_is_made_of_no_other(
    parts: list[tuple[SharedTable[int], int, int]],
) -> None:
    asked: set[int] = set()

    def written(each: int) -> str:
        asked.add(each % 2)
        return str(each)

    found = list(SharedSequence(*parts).runs("odd", lambda each: each % 2))
    assert [(odd, tuple(run)) for odd, run in found] == [
        (odd, tuple(run)) for odd, run in groupby(concatenated(parts), key=lambda each: each % 2)
    ]
    for odd, run in found:
        asked.clear()
        run.written("digits", written)
        assert asked <= {odd}


def test_hosts_share_what_is_made_of_a_table() -> None:
    table, made = SharedTable(range(1000)), []
    for own in range(1000):
        rows = SharedSequence((table, 0, own), (table, own + 1, 1000))
        assert rows.mapped("noted", made.append) is not None
    assert made == list(range(1000))


OPERATIONS = ("mapped", "written", "runs", "ordered")


def run_operation(rows: SharedSequence[int], operation: str, what: Hashable) -> object:
    """One of the operations under a name, with a function that depends on nothing else."""
    match operation:
        case "mapped":
            return tuple(rows.mapped(what, lambda each: -each))
        case "written":
            return rows.written(what, lambda each: f"<{each}>")
        case "runs":
            return [(odd, tuple(run)) for odd, run in rows.runs(what, lambda each: each % 2)]
    return tuple(rows.ordered(what, lambda each: each))


@given(SPANS, st.permutations(OPERATIONS), st.sampled_from(["x", ("mapped", "x"), ("runs", "x"), None]))
def test_a_name_stands_for_another_thing_in_each_operation(
    parts: list[tuple[SharedTable[int], int, int]], operations: list[str], what: Hashable
) -> None:
    alone = {each: run_operation(SharedSequence.of(concatenated(parts)), each, what) for each in operations}
    assert {each: run_operation(SharedSequence(*parts), each, what) for each in operations} == alone
    assert {each: run_operation(SharedSequence(*parts), each, what) for each in reversed(operations)} == alone


@given(SPANS, st.permutations(["x", "y", ("x", 4), ("x", 6), ("x", None)]))
def test_things_of_different_names_in_one_table_are_apart(
    parts: list[tuple[SharedTable[int], int, int]], names: list[Hashable]
) -> None:
    rows, same = SharedSequence(*parts), concatenated(parts)
    for _again in range(2):
        for at, name in enumerate(names):
            assert rows.mapped(name, lambda each, at=at: (each, at)) == tuple((each, at) for each in same)  # type: ignore[misc]
            assert rows.written(name, lambda each, at=at: f"{each}:{at} ") == "".join(f"{each}:{at} " for each in same)  # type: ignore[misc]


@given(SPANS, SPANS)
def test_a_name_stands_for_another_thing_in_each_table(
    one: list[tuple[SharedTable[int], int, int]], two: list[tuple[SharedTable[int], int, int]]
) -> None:
    # Tables of the same rows, which nobody has asked for anything yet.
    again = [(SharedTable(table.rows), start, stop) for table, start, stop in one]
    assert SharedSequence(*one).mapped("x", lambda each: -each) == tuple(-each for each in concatenated(one))
    assert SharedSequence(*two, *again).mapped("y", str) == tuple(map(str, (*concatenated(two), *concatenated(one))))
    assert SharedSequence(*again).mapped("x", lambda each: each + 1) == tuple(each + 1 for each in concatenated(one))


def test_what_is_made_of_a_run_is_not_what_is_made_of_its_table() -> None:
    rows = SharedSequence.of([1, 3, 2, 4, 5])
    texts = [run.written("x", lambda each: f"{each} ") for _odd, run in rows.runs("odd", lambda each: each % 2)]
    assert texts == ["1 3 ", "2 4 ", "5 "]
    assert rows.written("x", lambda each: f"<{each}>") == "<1><3><2><4><5>"
    assert [tuple(run) for _low, run in rows.runs("low", lambda each: each < 3)] == [(1,), (3,), (2,), (4, 5)]


def test_what_is_made_of_made_rows_is_kept_with_those() -> None:
    rows = SharedSequence.of([1, 2])
    twice = rows.mapped("x", lambda each: 2 * each)
    assert twice.mapped("x", lambda each: each + 1) == (3, 5)
    assert twice.ordered("x", lambda each: -each) == (4, 2)
    assert rows.ordered("x", lambda each: each) == (1, 2)
