"""Failures by cause: each row under one, and in few words."""

import results
from hypothesis import given
from hypothesis import strategies as st

from dockmesh.core.results.group import RowGroup, culprit_counts, group_by_cause, group_rows
from dockmesh.core.results.model import ResultRow

ALL = ("host-bridge", "host-container", "container-container")
ROWS = st.lists(
    st.builds(
        ResultRow,
        source=st.sampled_from("abcd"),
        target=st.sampled_from("abcd"),
        kind=st.sampled_from(ALL),
        reached=st.just(False),
        sent=st.integers(0, 3),
        received=st.just(0),
        code=st.sampled_from(("no-reply", None)),
        reason=st.sampled_from(("x", "y", None)),
        family=st.sampled_from((4, 6)),
    ),
    max_size=12,
    unique_by=lambda row: row.key,
)


def test_a_host_that_cannot_be_asked_is_the_cause_of_all_that_could_not_be_probed_for_it() -> None:
    first, second = group_by_cause(results.result(4, silent={"host3": "is down"}))
    assert (first.host, first.reason) == ("host3", "is down")
    assert {(row.state, row.code) for row in first.rows} == {("unmade", "not-asked")}
    assert all("host3" in (row.source, row.target) for row in first.rows)
    assert second.host is None
    assert {(row.target, row.kind, row.code) for row in second.rows} == {("host3", "host-bridge", "no-reply")}


def test_a_host_that_cannot_be_asked_is_named_though_no_probe_failed_for_it() -> None:
    (cause,) = group_by_cause(results.result(1, silent={"host1": "is down"}))
    assert cause.host == "host1"


@given(ROWS)
def test_spans_tell_every_row_once_and_none_that_is_not_there(rows: list[ResultRow]) -> None:
    told = [
        (source, target, kind, span.why)
        for span in group_rows(rows)
        for source in span.sources
        for target in span.targets
        for kind in span.kinds
    ]
    assert sorted(told) == sorted((row.source, row.target, row.what, row.why) for row in rows)


def test_rows_that_fail_alike_are_told_in_one_span_a_direction() -> None:
    result = results.result(5, cut=["host2"])
    containers = [row for row in result.failed if "host5" not in (row.source, row.target)]
    (why,) = {row.why for row in containers}
    assert list(group_rows(containers)) == [
        RowGroup(("host1", "host3", "host4"), ("host2",), ALL, why),
        RowGroup(("host2",), ("host1", "host3", "host4"), ALL, why),
    ]


def test_the_hosts_that_failures_have_in_common_are_few_and_touch_them_all() -> None:
    result = results.result(20, cut=["host7", "host9"])
    assert list(culprit_counts(result.failed)) == ["host7", "host9"]


@given(ROWS)
def test_suspects_touch_every_row_and_count_each_once(rows: list[ResultRow]) -> None:
    found = culprit_counts(rows)
    assert all({row.source, row.target} & set(found) for row in rows)
    assert sum(found.values()) == len(rows)
