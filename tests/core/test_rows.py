"""Rows behave as the tuple they stand for, whatever tables they are made of."""

from itertools import chain, groupby

from hypothesis import given
from hypothesis import strategies as st

from dockmesh.core.rows import Rows, Table

TABLES = st.lists(st.integers(0, 9), max_size=8).map(Table)


@st.composite
def spans(draw: st.DrawFn) -> tuple[Table[int], int, int]:
    table = draw(TABLES)
    start = draw(st.integers(0, len(table.rows)))
    return table, start, draw(st.integers(start, len(table.rows)))


SPANS = st.lists(spans(), max_size=4)


def whole(parts: list[tuple[Table[int], int, int]]) -> tuple[int, ...]:
    return tuple(chain.from_iterable(table.rows[start:stop] for table, start, stop in parts))


@given(SPANS)
def test_they_are_read_and_compared_as_a_tuple(parts: list[tuple[Table[int], int, int]]) -> None:
    rows, same = Rows(*parts), whole(parts)
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
    one: list[tuple[Table[int], int, int]], two: list[tuple[Table[int], int, int]]
) -> None:
    assert Rows.of(Rows(*one), whole(two), (each for each in (7, 8))) == (*whole(one), *whole(two), 7, 8)


@given(SPANS)
def test_what_is_made_of_them_is_what_is_made_of_each(parts: list[tuple[Table[int], int, int]]) -> None:
    for _again in range(2):
        rows, same = Rows(*parts), whole(parts)
        assert rows.mapped("negative", lambda each: -each) == tuple(-each for each in same)
        assert rows.written("line", lambda each: f"<{each}>\n") == "".join(f"<{each}>\n" for each in same)
        assert rows.ordered("number", lambda each: each) == tuple(sorted(same))


@given(SPANS)
def test_runs_are_the_longest_and_what_is_made_of_one_is_made_of_no_other(
    parts: list[tuple[Table[int], int, int]],
) -> None:
    asked: set[int] = set()

    def written(each: int) -> str:
        asked.add(each % 2)
        return str(each)

    found = list(Rows(*parts).runs("odd", lambda each: each % 2))
    assert [(odd, tuple(run)) for odd, run in found] == [
        (odd, tuple(run)) for odd, run in groupby(whole(parts), key=lambda each: each % 2)
    ]
    for odd, run in found:
        asked.clear()
        run.written("digits", written)
        assert asked <= {odd}


def test_hosts_share_what_is_made_of_a_table() -> None:
    table, made = Table(range(1000)), []
    for own in range(1000):
        rows = Rows((table, 0, own), (table, own + 1, 1000))
        assert rows.mapped("noted", made.append) is not None
    assert made == list(range(1000))
