"""The check of the source addresses that targets observe."""

import re
from dataclasses import replace
from ipaddress import IPv6Address, ip_address

import pytest
from builders import FLEET, HOST1, HOST2, fleet, with_ipv6
from hypothesis import given
from hypothesis import strategies as st
from results import mesh_result

from dockmesh.core.addresses import IPV6, Family
from dockmesh.core.host_output import Section
from dockmesh.core.model import Fleet, Host
from dockmesh.core.probes.ids import ProbeIds, probe_ids
from dockmesh.core.probes.model import Probe, ProbeKind, ProbeTarget
from dockmesh.core.probes.observed import ObservedPing, parse_observed
from dockmesh.core.probes.probe_plan import plan_probes
from dockmesh.core.probes.source_check import with_sources
from dockmesh.core.results.model import Failure, FailureCode, FailureKind, ProbeResult
from dockmesh.errors import HostError

# The listing of nft 1.0.6 and 1.1.7.
LISTED = """table inet dockmesh-status-4711 {
\tset v4 {
\t\ttypeof ip saddr . ip daddr . icmp id
\t\tsize 65535\t# count 3
\t\tflags dynamic
\t\telements = { 192.168.18.129 . 10.128.0.1 . 56,
\t\t\t     10.128.16.2 . 10.128.0.2 . 65521 }
\t}

\tset v6 {
\t\ttypeof ip6 saddr . ip6 daddr . icmpv6 id
\t\telements = { fd00::2 . fd00:1::1 . 56 }
\t}

\tchain seen {
\t\tip daddr 10.128.0.0/20 icmp type echo-request add @v4 { ip saddr . ip daddr . icmp id }
\t}
}"""


def target(one: Host) -> ProbeTarget:
    """The target of a joined host: a bridge and a container in each of its families."""
    bridge = one.bridge.ip if one.bridge else None
    bridge6 = IPv6Address(int(one.ipv6.bridge.ip)) if one.ipv6 and one.ipv6.bridge else None
    own = (one.underlay, one.ipv6.underlay if one.ipv6 else None, bridge, bridge6)
    return ProbeTarget(
        bridge,
        bridge and bridge + 1,
        bridge6=bridge6,
        container6=bridge6 and bridge6 + 1,
        addresses=frozenset(each for each in own if each),
    )


def checked_result(
    saw: dict[str, list[str]] | None,
    kind: ProbeKind = "container-container",
    *,
    family: Family = 4,
    among: Fleet = FLEET,
    answer: ProbeResult | None = None,
) -> ProbeResult:
    """The result of a probe from host1 to host2.

    `saw`: the source addresses that host2 observed, by the host of the ICMP id; None if it did not observe.
    """
    probe = Probe("host1", "host2", kind, family)
    targets = {one.name: target(one) for one in among.hosts}
    to = targets["host2"].address(kind, family)
    assert to
    ids = ids_of(among)
    observed = {
        "host2": frozenset(
            ObservedPing(ip_address(each), to, ids[whose].of(kind, 1))
            for whose, addresses in (saw or {}).items()
            for each in addresses
        )
    }
    answer = answer or probe.result(3, 3, probe.expected_ttl, 0.1)
    report = mesh_result(("host1", "host2"), (answer,))
    (found,) = with_sources(report, among, targets, observed if saw is not None else {}, ids).probes
    return found


def ids_of(among: Fleet) -> dict[str, ProbeIds]:
    return {one.name: probe_ids(7, 0, position) for position, one in enumerate(among.hosts)}


def with_source_nat(*hosts: Host) -> Fleet:
    among = fleet(*hosts)
    return replace(among, settings=replace(among.settings, source_nat=True))


def test_nft_listing_is_parsed_with_icmp_ids() -> None:
    assert parse_observed(Section(0, LISTED)) == {
        ObservedPing(ip_address("192.168.18.129"), ip_address("10.128.0.1"), 56),
        ObservedPing(ip_address("10.128.16.2"), ip_address("10.128.0.2"), 65521),
        ObservedPing(ip_address("fd00::2"), ip_address("fd00:1::1"), 56),
    }
    assert parse_observed(Section(0, "table inet x {\n\tset v4 {\n\t}\n}")) == frozenset()


def test_host_without_observation_saw_no_pings() -> None:
    assert parse_observed(Section(1, "nft: not found")) == frozenset()


@given(st.text() | st.binary().map(lambda raw: raw.hex()))
def test_any_observation_is_parsed_or_a_host_error(text: str) -> None:
    try:
        assert all(each.source.version for each in parse_observed(Section(0, text)))
    except HostError as error:
        assert str(error).isprintable()  # noqa: PT017 (any other exception fails the test)


@pytest.mark.parametrize(
    ("kind", "source"),
    [
        ("host-bridge", "192.168.18.128"),
        ("host-container", "192.168.18.128"),
        ("container-container", "10.128.0.2"),
    ],
)
def test_correct_source_address_is_recorded(kind: ProbeKind, source: str) -> None:
    found = checked_result({"host1": [source]}, kind)
    assert (str(found.source_seen), found.ok) == (source, True)


def test_source_is_unknown_without_an_observation() -> None:
    for saw in (None, {}, {"host3": ["10.128.32.2"]}):
        assert (checked_result(saw).source_seen, checked_result(saw).ok) == (None, True)


def test_masqueraded_container_fails_with_cause_and_remedy() -> None:
    found = checked_result({"host1": ["192.168.18.128"]})
    assert str(found.source_seen) == "192.168.18.128"
    assert found.reply_ok, "it does not revert a change"
    assert found.about == "host1"
    assert (found.code, found.failure) == (FailureCode.MASQUERADED, FailureKind.SOURCE)
    assert (found.reason or "").endswith("dockmesh apply --limit host1")


def test_source_nat_expects_the_address_of_the_host() -> None:
    among = with_source_nat(*FLEET.hosts)
    assert checked_result({"host1": ["192.168.18.128"]}, among=among).ok
    shown = checked_result({"host1": ["10.128.0.2"]}, among=among)
    assert (shown.code, shown.failure) == (FailureCode.NOT_MASQUERADED, FailureKind.SOURCE)
    assert (shown.reason or "").endswith("dockmesh apply --limit host1")


def test_source_nat_accepts_both_addresses_over_ipv6() -> None:
    six = (
        with_ipv6(HOST1, "fd00::1", "fd00:1::/48", "fd00:1::1/64"),
        with_ipv6(HOST2, "fd00::2", "fd00:2::/48", "fd00:2::1/64"),
    )
    among = with_source_nat(*six)
    for source in ("fd00::1", "fd00:1::2"):
        assert checked_result({"host1": [source]}, family=IPV6, among=among).ok
    assert not checked_result({"host1": ["fd00::1"]}, family=IPV6, among=fleet(*six)).ok


@pytest.mark.parametrize(
    ("source", "naming"),
    [("10.128.16.1", 3), ("203.0.113.9", 2)],
)
def test_foreign_source_address_fails_with_the_trace_command(source: str, naming: int) -> None:
    found = checked_result({"host1": [source]})
    assert found.about is None
    assert (found.code, found.failure, str(found.source_seen)) == (FailureCode.SOURCE, FailureKind.SOURCE, source)
    reason = found.reason or ""
    assert {source, "10.128.0.2"} <= set(re.findall(r"[\d.]+\d", reason))
    assert reason.endswith("dockmesh trace host1 host2")
    # As the target, in the command, and as the owner of the address if a host owns it.
    assert reason.count("host2") == naming


def test_the_same_id_of_another_run_is_no_source_of_this_one() -> None:
    assert checked_result({"host1": ["10.128.32.2"]}).source_seen is None, "the address of a third host"
    assert str(checked_result({"host1": ["10.128.32.2", "10.128.0.2"]}).source_seen) == "10.128.0.2"
    assert str(checked_result({"host1": ["10.128.32.2", "192.168.18.128"]}).source_seen) == "192.168.18.128"


def test_failed_probe_keeps_its_reason_and_records_the_source() -> None:
    probe = Probe("host1", "host2", "container-container")
    longer = Failure(FailureCode.TTL, "the reply's TTL is 61, not 62: the reply took a longer path")
    detour = probe.result(3, 3, 61, 0.1).failed(longer)
    found = checked_result({"host1": ["192.168.18.128"]}, answer=detour)
    assert (found.code, found.reason, str(found.source_seen)) == (FailureCode.TTL, detour.reason, "192.168.18.128")
    silent = Failure(FailureCode.NO_REPLY, "no reply")
    lost = checked_result({"host1": ["10.128.0.2"]}, answer=probe.result(3).failed(silent))
    assert lost.source_seen is None, "a lost reply has no source"


def test_correct_sources_leave_a_healthy_mesh_ok() -> None:
    targets = {one.name: target(one) for one in FLEET.hosts}
    ids, positions = ids_of(FLEET), {one.name: position for position, one in enumerate(FLEET.hosts)}
    probes = list(plan_probes(FLEET, FLEET.hosts))
    observed: dict[str, set[ObservedPing]] = {one.name: set() for one in FLEET.hosts}
    for each in probes:
        here, to = targets[each.source], targets[each.target].address(each.kind, each.family)
        source = here.container if each.kind == "container-container" else FLEET.host(each.source).underlay
        assert source
        assert to
        observed[each.target].add(ObservedPing(source, to, ids[each.source].of(each.kind, positions[each.target])))
    answers = (each.result(3, 3, each.expected_ttl, 0.1) for each in probes)
    report = mesh_result(("host1", "host2", "host3"), answers)
    found = with_sources(report, FLEET, targets, {name: frozenset(pings) for name, pings in observed.items()}, ids)
    assert found.ok
    assert all(answer.source_seen for answer in found.probes)
