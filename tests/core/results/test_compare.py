"""The comparison of two results."""

from dataclasses import replace
from ipaddress import ip_address

import results

from dockmesh.core.results.compare import compare
from dockmesh.core.results.model import MeshResult, ProbeResult


def with_rows(result: MeshResult, change: dict[str, object]) -> MeshResult:
    return replace(result, probes=tuple(replace(row, **change) for row in result.probes))  # type: ignore[arg-type]


def ends(rows: tuple[ProbeResult, ...]) -> set[frozenset[str]]:
    return {frozenset((row.source, row.target)) for row in rows}


def test_result_has_no_difference_from_itself() -> None:
    for result in (results.result(3), results.result(3, cut=["host2"])):
        found = compare(result, result)
        assert found.empty
        assert not found.worse
        assert found.still_failing == result.failed


def test_lost_probes_are_recovered_in_the_reverse_comparison() -> None:
    whole, cut = results.result(4), results.result(4, cut=["host2"])
    found = compare(whole, cut)
    assert found.lost == cut.failed
    assert found.worse
    back = compare(cut, whole)
    assert {row.key for row in back.recovered} == {row.key for row in cut.failed}
    assert not back.worse


def test_newly_unreachable_host_is_worse_and_recovered_host_is_not() -> None:
    whole, silent = results.result(3), results.result(3, silent={"host3": "is down"})
    assert compare(whole, silent).unreachable == ("host3",)
    assert compare(silent, whole).recovered_hosts == ("host3",)
    assert compare(silent, whole).unreachable == ()


def test_added_and_removed_hosts_alone_are_not_worse() -> None:
    three, four = results.result(3), results.result(4)
    # The last host of results.fleet has no Docker. With four hosts, host3 has Docker and more probes.
    grown = compare(three, four)
    assert (grown.added, grown.removed) == (("host4",), ())
    assert not grown.worse
    assert ends(grown.new) >= {frozenset(("host1", "host4"))}
    shrunk = compare(four, three)
    assert (shrunk.added, shrunk.removed) == ((), ("host4",))
    assert {row.key for row in shrunk.gone} == {row.key for row in grown.new}
    assert not shrunk.worse


def test_new_host_that_is_not_reached_is_worse() -> None:
    found = compare(results.result(3), results.result(4, cut=["host4"]))
    assert found.lost == ()
    assert found.worse
    assert ends(found.broken) == {frozenset((f"host{number}", "host4")) for number in (1, 2, 3)}


def test_path_changes_need_values_in_both_results() -> None:
    plain = results.result(2)
    seen, elsewhere = (with_rows(plain, {"source_seen": ip_address(each)}) for each in ("10.128.0.2", "192.168.18.128"))
    small = with_rows(plain, {"mtu_ok": False})
    assert len(compare(seen, elsewhere).changed) == len(plain.probes)
    assert compare(plain, seen).changed == ()
    assert compare(plain, small).changed == ()
    assert compare(with_rows(plain, {"mtu_ok": True}), small).changed != ()
    assert not compare(seen, elsewhere).worse


def test_medians_use_only_probes_that_both_results_reached() -> None:
    slow = with_rows(results.result(3), {"rtt_ms": 5.0})
    assert compare(with_rows(results.result(3), {"rtt_ms": 1.0}), slow).rtt_ms == (1.0, 5.0)
    assert compare(results.result(2, cut=["host1", "host2"]), MeshResult((), ())).rtt_ms is None
