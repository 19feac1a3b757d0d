"""Full-size probes: their sizes, and the failures if they are lost."""

from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address

import pytest
from builders import FLEET, HOST1, HOST2, fleet, host, row_lines, with_ipv6
from hypothesis import given
from hypothesis import strategies as st
from results import mesh_result

from dockmesh.core.facts.links import Link
from dockmesh.core.host_output import Section
from dockmesh.core.model import Fleet, Host
from dockmesh.core.probes.batch import parse_row
from dockmesh.core.probes.full_size import FullSizePing, parse_full_size
from dockmesh.core.probes.model import Probe, ProbeTarget
from dockmesh.core.probes.probe_plan import plan_probes
from dockmesh.core.results.model import Failure, FailureCode, FailureKind, ProbeResult
from dockmesh.core.rollout.decision import hosts_to_revert

KVM = host("kvm", "192.168.18.140", "10.9.0.0/24", docker=False)
SMALL = "64 bytes from 10.128.16.2: icmp_seq=1 ttl=62 time=0.1 ms|3 packets transmitted, 3 received|"
# The output of iputils 20221126 and 20250605.
PASSED = (
    "1480 bytes from 10.128.16.2: icmp_seq=1 ttl=62 time=0.1 ms||1 packets transmitted, 1 received, 0% packet loss|"
)
DROPPED = "PING 10.0.0.1 (10.0.0.1) 1472(1500) bytes of data.||1 packets transmitted, 0 received, 100% packet loss|"
REFUSED = (
    "From 10.128.0.1 icmp_seq=1 Frag needed and DF set (mtu = 1400)||"
    "1 packets transmitted, 0 received, +1 errors, 100% packet loss, time 0ms||"
)
LOCAL = "ping: local error: message too long, mtu=1400||1 packets transmitted, 0 received, +1 errors|"
UNKNOWN = "ping: unrecognized option: M|BusyBox v1.36.1 multi-call binary.|"


def target(one: Host, *, container: int | None = 1500, uplink: int = 1500) -> ProbeTarget:
    card = Link(2, "eth0", up=True, carrier=True, mtu=uplink, mac=None)
    if not one.docker:
        return ProbeTarget(bridge=one.prefix and one.prefix[1], uplink=card)
    bridge = one.bridge.ip if one.bridge else None
    return ProbeTarget(bridge, bridge and bridge + 1, 7 if container else None, mtu=container, uplink=card)


def sizes(source: Host, targets: dict[str, ProbeTarget], among: Fleet = FLEET) -> dict[tuple[str, str], int]:
    """The packet size of each full-size probe in bytes, by kind and target address."""
    probes = list(plan_probes(among, [source]))
    lines = (line.split() for line in row_lines(probes, targets, among))
    return {(probes[int(n)].kind, address): int(large) + 28 for n, _, address, large, _ in lines if large != "0"}


def probe_result(small: str, large: str, targets: dict[str, ProbeTarget] | None = None) -> ProbeResult:
    targets = targets or {each.name: target(each) for each in FLEET.hosts}
    output = f"0 + {large}\n0 . {small}"
    (answer,) = parse_row([Probe("host1", "host2", "container-container")], targets, Section(0, output))
    return answer


def test_each_pair_gets_one_full_size_probe_with_the_smaller_mtu() -> None:
    targets = {"host1": target(HOST1, uplink=9000), "host2": target(HOST2, container=1450, uplink=1500)}
    targets |= {"kvm": target(KVM, uplink=4000)}
    among = fleet(HOST1, HOST2, KVM)
    assert sizes(HOST1, targets, among) == {
        ("host-container", "10.128.0.2"): 1500,
        ("container-container", "10.128.16.2"): 1450,
        ("host-bridge", "10.9.0.1"): 4000,
    }
    assert sizes(KVM, targets, among) == {
        ("host-container", "10.128.0.2"): 1500,
        ("host-container", "10.128.16.2"): 1450,
    }


def test_each_family_gets_a_full_size_probe_with_its_header_size() -> None:
    six = with_ipv6(HOST1, "fd00::1"), with_ipv6(HOST2, "fd00::2", "fd00:2::/48", "fd00:2::1/64")
    there = replace(target(six[1]), bridge6=IPv6Address("fd00:2::1"), container6=IPv6Address("fd00:2::2"))
    among = fleet(*six)
    probes = list(plan_probes(among, six[:1]))
    lines = {tuple(line.split()[1:4]) for line in row_lines(probes, {"host1": target(six[0]), "host2": there}, among)}
    assert ("container", "10.128.16.2", "1472") in lines
    assert ("host", IPv6Address("fd00:2::2").exploded, "1452") in lines


def test_host_sends_the_full_size_probe_without_a_source_container() -> None:
    targets = {"host1": target(HOST1, container=None), "host2": target(HOST2)}
    among = fleet(HOST1, HOST2)
    assert sizes(HOST1, targets, among) == {("host-container", "10.128.16.2"): 1500}


def test_unknown_mtu_means_no_full_size_probe() -> None:
    targets = {"host1": target(HOST1), "host2": ProbeTarget(IPv4Address("10.128.16.1"), IPv4Address("10.128.16.2"), 7)}
    assert set(sizes(HOST1, targets)) == {("host-container", "10.128.0.2")}


@pytest.mark.parametrize(
    ("large", "found", "ok"),
    [
        (PASSED, FullSizePing(1500, 1), True),
        (PASSED.replace("1 packets", "3 packets"), FullSizePing(1500, 1), True),
        (DROPPED * 2, FullSizePing(1500, 0), False),
        (REFUSED, FullSizePing(1500, 0, 1400), False),
        (REFUSED + LOCAL, FullSizePing(1500, 0, 1400), False),
        (LOCAL, FullSizePing(1500, 0, 1400, cached_pmtu=True), None),
        (UNKNOWN, None, None),
        ("", None, None),
    ],
)
def test_full_size_ping_output_decides_on_mtu_ok(large: str, found: FullSizePing | None, ok: bool | None) -> None:
    answer = probe_result(SMALL, large)
    assert parse_full_size(1500, large) == found
    assert answer.mtu_ok is ok
    assert answer.reply_ok
    assert answer.ok is (ok is not False)
    if ok is False:
        assert (answer.code, answer.failure) == (FailureCode.MTU, FailureKind.MTU)
        assert "1500" in (answer.reason or "")
        assert ("1400" in (answer.reason or "")) == bool(found and found.path_mtu)


def test_cached_path_mtu_counts_if_an_uplink_confirms_it() -> None:
    targets = {each.name: target(each, uplink=1400 if each == HOST1 else 1500) for each in FLEET.hosts}
    answer = probe_result(SMALL, LOCAL, targets)
    assert (answer.mtu_ok, answer.ok, answer.code) == (False, False, FailureCode.UPLINK_TOO_SMALL)


@pytest.mark.parametrize(
    ("fields", "path_mtu", "ok"),
    [("passed -", None, True), ("lost -", None, False), ("lost 1400", 1400, False), ("local -", None, False)],
)
def test_prober_reports_full_size_packets(fields: str, path_mtu: int | None, ok: bool) -> None:
    targets = {each.name: target(each) for each in FLEET.hosts}
    probe = Probe("host1", "host2", "container-container")
    (answer,) = parse_row([probe], targets, Section(0, f"0 1 1 62 100 100 100 {fields} -"))
    assert (answer.mtu_ok, answer.loss, answer.ok) == (ok, 0, ok)
    assert ("1400" in (answer.reason or "")) == bool(path_mtu)


def test_no_reply_leaves_mtu_ok_unknown() -> None:
    answer = probe_result("3 packets transmitted, 0 received|", DROPPED)
    assert (answer.mtu_ok, answer.code, answer.reply_ok) == (None, FailureCode.NO_REPLY, False)


def test_small_uplink_is_the_cause_with_its_host_and_mtu() -> None:
    targets = {each.name: target(each, uplink=1400 if each == HOST1 else 1500) for each in FLEET.hosts}
    lost = probe_result(SMALL, DROPPED, targets)
    assert (lost.about, lost.code, lost.failure) == ("host1", FailureCode.UPLINK_TOO_SMALL, FailureKind.MTU)
    assert all(each in (lost.reason or "") for each in ("1500", "host1", "eth0", "1400", "dockmesh apply"))
    assert "host2" not in (lost.reason or "")
    between = probe_result(SMALL, DROPPED)
    assert (between.about, between.code) == (None, FailureCode.MTU), "lost between the hosts"


def test_lost_full_size_packets_do_not_revert_a_change() -> None:
    lost = Probe("host2", "host1", "host-bridge").result(3).failed(Failure(FailureCode.NO_REPLY, "no reply"))
    small = probe_result(SMALL, DROPPED)
    assert hosts_to_revert(mesh_result(("host1", "host2"), (small,)), ["host1", "host2"]) == {}
    assert hosts_to_revert(mesh_result(("host1", "host2"), (small, lost)), ["host2"]).keys() == {"host2"}


@given(
    st.integers(68, 65535), st.text() | st.lists(st.sampled_from([PASSED, REFUSED, LOCAL, "mtu=", "|"])).map("".join)
)
def test_any_full_size_output_can_be_parsed(size: int, output: str) -> None:
    found = parse_full_size(size, output)
    assert found is None or (found.size == size and found.received >= 0)
