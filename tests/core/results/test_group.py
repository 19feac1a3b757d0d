"""Groups of failed probes by cause, and groups of similar probes."""

from collections import Counter
from dataclasses import replace

import results
from hypothesis import given
from hypothesis import strategies as st

from dockmesh.core.results.culprits import culprits
from dockmesh.core.results.group import ProbeGroup, group_by_cause, group_probes
from dockmesh.core.results.model import Failure, FailureCode, ProbeResult

ALL = ("host-bridge", "host-container", "container-container")
ROWS = st.lists(
    st.builds(
        ProbeResult,
        source=st.sampled_from("abcd"),
        target=st.sampled_from("abcd"),
        kind=st.sampled_from(ALL),
        sent=st.integers(0, 3),
        received=st.just(0),
        code=st.sampled_from(("no-reply", None)),
        reason=st.sampled_from(("x", "y", None)),
        family=st.sampled_from((4, 6)),
    ),
    max_size=12,
    unique_by=lambda row: row.key,
)


def test_unreachable_host_is_the_cause_of_its_unmade_probes() -> None:
    first, second = group_by_cause(results.result(4, silent={"host3": "is down"}))
    assert (first.host, first.reason) == ("host3", "is down")
    assert {(row.state, row.code) for row in first.probes} == {("unmade", "not-asked")}
    assert all("host3" in (row.source, row.target) for row in first.probes)
    assert second.host is None
    assert {(row.target, row.kind, row.code) for row in second.probes} == {("host3", "host-bridge", "no-reply")}


def test_unreachable_host_without_failed_probes_is_a_cause() -> None:
    (cause,) = group_by_cause(results.result(1, silent={"host1": "is down"}))
    assert cause.host == "host1"


@given(ROWS)
def test_groups_contain_every_probe_exactly_once(rows: list[ProbeResult]) -> None:
    listed = [
        (source, target, kind, group.why)
        for group in group_probes(rows)
        for source in group.sources
        for target in group.targets
        for kind in group.kinds
    ]
    assert sorted(listed) == sorted((row.source, row.target, row.what, row.why) for row in rows)


def test_similar_failures_are_one_group_per_direction() -> None:
    result = results.result(5, cut=["host2"])
    containers = [row for row in result.failed if "host5" not in (row.source, row.target)]
    (why,) = {row.why for row in containers}
    assert list(group_probes(containers)) == [
        ProbeGroup(("host1", "host3", "host4"), ("host2",), ALL, why),
        ProbeGroup(("host2",), ("host1", "host3", "host4"), ALL, why),
    ]


def test_culprits_are_the_hosts_that_failures_have_in_common() -> None:
    result = results.result(20, cut=["host7", "host9"])
    assert culprits((probe.source, probe.target) for probe in result.failed) == ["host7", "host9"]


@given(st.lists(st.sampled_from(["ab", "bc", "ca", "ad", "d", "ef", "e"]), max_size=12))
def test_culprits_cover_every_pair_with_the_worst_first(pairs: list[str]) -> None:
    found, left = culprits(pairs), list(pairs)
    while left:
        counts = Counter(name for pair in left for name in pair)
        worst = [name for name, number in counts.items() if number == max(counts.values())]
        assert set(found[: len(worst)]) == set(worst), "hosts in equally many pairs are all taken"
        found = found[len(worst) :]
        left = [pair for pair in left if not set(pair) & set(worst)]
    assert found == []


@given(st.lists(st.sampled_from(("ab", "bc", "ca", "d")), max_size=8))
def test_pairs_of_known_culprits_add_no_others(pairs: list[str]) -> None:
    assert culprits(pairs, ["a"]) == ["a", *culprits(pair for pair in pairs if "a" not in pair)]


def masqueraded(*hosts: str) -> list[ProbeResult]:
    return [
        ProbeResult(host, "db", "host-bridge", 3, 3).failed(
            Failure(FailureCode.MASQUERADED, f"{host} is odd: dockmesh apply --limit {host}", host)
        )
        for host in hosts
    ]


def test_causes_that_differ_only_in_the_host_are_merged() -> None:
    result = results.mesh_result(["web1", "web2", "web3", "web10", "db"], masqueraded("web1", "web2", "web10"))
    (cause,) = group_by_cause(result)
    assert (cause.code, cause.about, len(cause.probes)) == ("masqueraded", ("web1", "web2", "web10"), 3)
    assert cause.reason == "web1,web2,web10 is odd: dockmesh apply --limit web1,web2,web10"


def test_few_causes_and_different_codes_are_not_merged() -> None:
    hosts = ["web1", "web2", "web3", "db"]
    assert len(group_by_cause(results.mesh_result(hosts, masqueraded("web1", "web2")))) == 2
    odd, *others = masqueraded("web1", "web2", "web3")
    mixed = [replace(odd, code=FailureCode.NOT_MASQUERADED), *others]
    assert [cause.about for cause in group_by_cause(results.mesh_result(hosts, mixed))] == [
        ("web1",),
        ("web2",),
        ("web3",),
    ]


def test_failed_sends_count_as_failed_and_unmade_probes_do_not() -> None:
    unsent = ProbeResult("a", "b", "host-bridge", 0, 0)
    codes = [FailureCode.PING_FAILED, FailureCode.ROUTE_MISSING, FailureCode.NO_CONTAINER, FailureCode.NOT_ASKED]
    probes = [unsent.failed(Failure(code, "why")) for code in codes]
    assert [probe.state for probe in probes] == ["failed", "failed", "unmade", "unmade"]
    assert [(cause.code, cause.made) for cause in group_by_cause(results.mesh_result("ab", probes))] == list(
        zip(codes, (True, True, False, False), strict=True)
    )
