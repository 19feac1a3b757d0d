"""Two results: what is worse, what is better, what is merely other."""

from dataclasses import replace
from ipaddress import ip_address

import results

from dockmesh.core.results.compare import compare
from dockmesh.core.results.model import MeshResult, ProbeResult


def with_rows(result: MeshResult, change: dict[str, object]) -> MeshResult:
    return replace(result, probes=tuple(replace(row, **change) for row in result.probes))  # type: ignore[arg-type]


def ends(rows: tuple[ProbeResult, ...]) -> set[frozenset[str]]:
    return {frozenset((row.source, row.target)) for row in rows}


def test_a_result_differs_in_nothing_from_itself() -> None:
    for result in (results.result(3), results.result(3, cut=["host2"])):
        found = compare(result, result)
        assert found.empty
        assert not found.worse
        assert found.still_failing == result.failed


def test_what_was_reached_and_is_not_any_more_is_lost_and_the_way_back_is_mended() -> None:
    whole, cut = results.result(4), results.result(4, cut=["host2"])
    found = compare(whole, cut)
    assert found.lost == cut.failed
    assert found.worse
    back = compare(cut, whole)
    assert {row.key for row in back.recovered} == {row.key for row in cut.failed}
    assert not back.worse


def test_a_host_that_can_no_longer_be_asked_makes_it_worse_and_one_that_can_again_does_not() -> None:
    whole, silent = results.result(3), results.result(3, silent={"host3": "is down"})
    assert compare(whole, silent).unreachable == ("host3",)
    assert compare(silent, whole).recovered_hosts == ("host3",)
    assert compare(silent, whole).unreachable == ()


def test_hosts_come_and_go_and_that_alone_makes_nothing_worse() -> None:
    three, four = results.result(3), results.result(4)
    # In results.fleet the last host has no Docker: host3 gains probes, which is no host that came.
    came = compare(three, four)
    assert (came.added, came.removed) == (("host4",), ())
    assert not came.worse
    assert ends(came.new) >= {frozenset(("host1", "host4"))}
    left = compare(four, three)
    assert (left.added, left.removed) == ((), ("host4",))
    assert {row.key for row in left.gone} == {row.key for row in came.new}
    assert not left.worse


def test_a_new_host_that_is_not_reached_makes_it_worse() -> None:
    found = compare(results.result(3), results.result(4, cut=["host4"]))
    assert found.lost == ()
    assert found.worse
    assert ends(found.broken) == {frozenset((f"host{number}", "host4")) for number in (1, 2, 3)}


def test_other_means_of_reaching_are_told_where_both_results_know_them() -> None:
    plain = results.result(2)
    seen, elsewhere = (with_rows(plain, {"source_seen": ip_address(each)}) for each in ("10.128.0.2", "192.168.18.128"))
    small = with_rows(plain, {"mtu_ok": False})
    assert len(compare(seen, elsewhere).changed) == len(plain.probes)
    assert compare(plain, seen).changed == ()
    assert compare(plain, small).changed == ()
    assert compare(with_rows(plain, {"mtu_ok": True}), small).changed != ()
    assert not compare(seen, elsewhere).worse


def test_the_middle_round_trips_are_those_of_what_both_reached() -> None:
    slow = with_rows(results.result(3), {"rtt_ms": 5.0})
    assert compare(with_rows(results.result(3), {"rtt_ms": 1.0}), slow).rtt_ms == (1.0, 5.0)
    assert compare(results.result(2, cut=["host1", "host2"]), MeshResult((), ())).rtt_ms is None
