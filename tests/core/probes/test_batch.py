"""Probe plans, batch scripts, targets, and the parsing of their output."""

from ipaddress import IPv4Address, ip_address

import pytest
from builders import FLEET, HOST1, HOST2, HOST3, fleet, host, row, row_lines, run_shell
from hypothesis import given
from hypothesis import strategies as st
from strategies import fleets

from dockmesh.core.host_output import Section, Sections
from dockmesh.core.model import Fleet, Host
from dockmesh.core.probes.batch import mesh_result, parse_row, row_s
from dockmesh.core.probes.join_state import JoinState
from dockmesh.core.probes.model import EXPECTED_TTL, Probe, ProbeKind, ProbeTarget
from dockmesh.core.probes.probe_plan import plan_probes
from dockmesh.core.probes.targets import held_target_script, parse_target, target_script, unreachable_target
from dockmesh.core.results.model import Failure, FailureCode, FailureKind, ProbeResult, host_result
from dockmesh.errors import HostError, HostFailure
from dockmesh.pipeline import TEMPLATES

KVM = host("kvm", "192.168.18.140", "10.9.0.0/24", docker=False)
BARE = host("db", "192.168.18.141", docker=False)
PING = (
    "PING 10.0.0.1 (10.0.0.1) 56(84) bytes of data.|64 bytes from 10.0.0.1: icmp_seq=1 ttl={ttl} time=0.06 ms||"
    "--- 10.0.0.1 ping statistics ---|3 packets transmitted, {received} received, 0% packet loss, time 403ms|"
    "rtt min/avg/max/mdev = 0.061/0.087/0.131/0.030 ms|"
)
BUSYBOX = (
    "PING 10.0.0.1 (10.0.0.1): 56 data bytes|64 bytes from 10.0.0.1: seq=0 ttl=64 time=0.085 ms||"
    "--- 10.0.0.1 ping statistics ---|3 packets transmitted, 3 packets received, 0% packet loss|"
    "round-trip min/avg/max = 0.085/0.087/0.090 ms|"
)
LOST = (
    "PING 10.0.0.1 (10.0.0.1) 56(84) bytes of data.|From 192.168.18.1 icmp_seq=1 Destination Host Unreachable||"
    "--- 10.0.0.1 ping statistics ---|3 packets transmitted, 0 received, +3 errors, 100% packet loss, time 2043ms|"
)
SILENT = "--- 10.0.0.1 ping statistics ---|3 packets transmitted, 0 received, 100% packet loss, time 2043ms|"

TARGET = ProbeTarget(IPv4Address("10.0.0.1"))


def probe_result(source: Host, to: Host, kind: ProbeKind, output: str) -> ProbeResult:
    targets = {to.name: ProbeTarget(IPv4Address("10.0.0.1"), IPv4Address("10.0.0.1")), source.name: ProbeTarget(pid=7)}
    (result,) = parse_row([Probe(source.name, to.name, kind)], targets, Section(0, f"0 . {output}"))
    return result


def test_probe_plan_covers_every_bridge_and_container() -> None:
    among = fleet(HOST1, HOST2, KVM, BARE)
    found = [(probe.source, probe.target, probe.kind) for probe in plan_probes(among, among.hosts)]
    assert found == [
        ("host1", "host1", "host-container"),
        ("host1", "host2", "host-bridge"),
        ("host1", "host2", "host-container"),
        ("host1", "host2", "container-container"),
        ("host1", "kvm", "host-bridge"),
        ("host2", "host1", "host-bridge"),
        ("host2", "host1", "host-container"),
        ("host2", "host1", "container-container"),
        ("host2", "host2", "host-container"),
        ("host2", "kvm", "host-bridge"),
        ("kvm", "host1", "host-bridge"),
        ("kvm", "host1", "host-container"),
        ("kvm", "host2", "host-bridge"),
        ("kvm", "host2", "host-container"),
        ("db", "host1", "host-bridge"),
        ("db", "host1", "host-container"),
        ("db", "host2", "host-bridge"),
        ("db", "host2", "host-container"),
        ("db", "kvm", "host-bridge"),
    ]
    selection = {each.name: {"kvm"} for each in among.hosts} | {"kvm": {each.name for each in among.hosts}}
    about = {(probe.source, probe.target) for probe in plan_probes(among, among.hosts, selection)}
    assert about == {("host1", "kvm"), ("host2", "kvm"), ("kvm", "host1"), ("kvm", "host2"), ("db", "kvm")}


@given(fleets())
def test_probe_plan_has_no_duplicates_and_both_directions(drawn: Fleet) -> None:
    found = list(plan_probes(drawn, drawn.hosts))
    assert len(set(found)) == len(found)
    pairs = {(probe.source, probe.target) for probe in found}
    with_prefix = {each.name for each in drawn.hosts if each.prefix}
    assert {(a, b) for a, b in pairs if a != b} == {
        (a.name, b) for a in drawn.hosts for b in with_prefix if a.name != b
    }


@pytest.mark.parametrize("kind", EXPECTED_TTL)
def test_reply_needs_the_expected_ttl(kind: ProbeKind) -> None:
    ttl = EXPECTED_TTL[kind]
    good = probe_result(HOST1, HOST2, kind, PING.format(ttl=ttl, received=3))
    assert (good.ok, good.reached, good.sent, good.received, good.ttl, good.rtt_ms) == (True, True, 3, 3, ttl, 0.087)
    detour = probe_result(HOST1, HOST2, kind, PING.format(ttl=ttl - 1, received=3))
    assert detour.reached
    assert (detour.code, detour.failure, detour.ttl) == (FailureCode.TTL, FailureKind.TTL, ttl - 1)
    nearer = probe_result(HOST1, HOST2, kind, PING.format(ttl=ttl + 1, received=3))
    assert (nearer.code, nearer.failure, nearer.ttl) == (FailureCode.TTL, FailureKind.TTL, ttl + 1)
    assert good.code is good.reason is good.failure is None


@pytest.mark.parametrize(
    ("output", "code", "quoted", "sent", "received"),
    [
        (BUSYBOX, None, "", 3, 3),
        (LOST, FailureCode.ICMP_ERROR, "192.168.18.1", 3, 0),
        (SILENT, FailureCode.NO_REPLY, "", 3, 0),
        ("ping: connect: Network is unreachable|", FailureCode.PING_FAILED, "connect: Network is unreachable", 0, 0),
        ("nsenter: failed to execute ping: No such file or directory|", FailureCode.NO_PING, "execute ping", 0, 0),
        ("nsenter: cannot open /proc/7/ns/net: No such file|", FailureCode.PING_FAILED, "/proc/7/ns/net", 0, 0),
        ("sh: ping: not found|", FailureCode.NO_PING, "sh: ping: not found", 0, 0),
        ("sh: 1: ping: command not found|", FailureCode.NO_PING, "ping: command not found", 0, 0),
        ("", FailureCode.NO_PING, "", 0, 0),
    ],
)
def test_ping_output_becomes_a_code_and_a_reason(
    output: str, code: FailureCode | None, quoted: str, sent: int, received: int
) -> None:
    result = probe_result(HOST1, HOST2, "host-bridge", output)
    assert (result.sent, result.received, result.code) == (sent, received, code)
    assert quoted in (result.reason or "")
    assert result.failure == (FailureKind.REPLY if code else None)
    assert result.ok == (code is None)


def test_own_container_replies_without_a_hop() -> None:
    assert Probe("a", "a", "host-container").expected_ttl == 64


PIECES = st.sampled_from(
    ["3 packets transmitted, 1 received", "ttl=", "ttl=64", "= 1/1.2.3/", "= ./9/", "From", "|", "\x1b["]
)


@given(st.text() | st.lists(PIECES | st.text(max_size=3)).map(" ".join))
def test_any_ping_output_becomes_a_result(output: str) -> None:
    result = probe_result(HOST1, HOST2, "host-bridge", output.replace("\n", " "))
    assert result.ok or (result.reason or "").isprintable()
    assert (result.code is None) == (result.reason is None) == (result.failure is None)


def test_target_without_address_is_not_probed_and_gives_the_reason() -> None:
    probes = [Probe("host1", "host2", "host-container"), Probe("host1", "host3", "host-bridge")]
    error = Failure(FailureCode.NO_CONTAINER, "no container to probe: no free address")
    targets = {"host2": ProbeTarget(error=error)}
    assert row_lines(probes, targets) == []
    first, second = parse_row(probes, targets, Section(0, ""))
    assert (first.code, first.reason) == (error.code, error.reason)
    assert second.code == FailureCode.NO_ADDRESS
    assert {(each.made, each.failure) for each in (first, second)} == {(False, FailureKind.UNMADE)}


def test_no_container_probe_without_a_source_container() -> None:
    probe = Probe("host1", "host2", "container-container")
    targets = {
        "host1": target_of(HOST1, "docker.service is not active", 1),
        "host2": ProbeTarget(HOST2.bridge.ip if HOST2.bridge else None, IPv4Address("10.128.16.2"), 8),
    }
    assert row_lines([probe], targets) == []
    (result,) = parse_row([probe], targets, Section(0, ""))
    assert (result.code, result.made) == (FailureCode.DOCKER_STOPPED, False)
    assert "host1" in (result.reason or "")


def test_bridge_of_an_unreachable_host_is_still_probed() -> None:
    probes = [Probe("host1", "host2", "host-bridge"), Probe("host1", "host2", "host-container")]
    targets = {"host1": ProbeTarget(pid=7), "host2": unreachable_target(HOST2)}
    assert [line.split()[:4] for line in row_lines(probes, targets)] == [["0", "host", "10.128.16.1", "0"]]
    bridge, container = parse_row(probes, targets, Section(0, f"0 . {SILENT}"))
    assert (bridge.code, bridge.made) == (FailureCode.NO_REPLY, True)
    assert (container.code, container.made) == (FailureCode.NOT_ASKED, False)


def target_of(one: Host, text: str, status: int = 0, links: str = "") -> ProbeTarget:
    sections = {"target": Section(status, text), "addresses": Section(0, text), "addresses6": Section(0, "")}
    return parse_target(one, Sections(sections | {"mesh_routes": Section(1, ""), "links": Section(0, links)}))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (
            "10.128.0.2 - 77 container 1400",
            ProbeTarget(IPv4Address("10.128.0.1"), IPv4Address("10.128.0.2"), 77, mtu=1400, join_state=JoinState()),
        ),
        (
            "10.128.0.9 - 78 namespace -",
            ProbeTarget(IPv4Address("10.128.0.1"), IPv4Address("10.128.0.9"), 78, held=True, join_state=JoinState()),
        ),
    ],
)
def test_target_of_a_docker_host_is_parsed(text: str, found: ProbeTarget) -> None:
    assert target_of(HOST1, text) == found


def test_host_without_container_still_offers_its_bridge() -> None:
    found = target_of(HOST1, "no free \x1b[31maddress", 1)
    assert (found.bridge, found.container) == (IPv4Address("10.128.0.1"), None)
    assert found.error is not None
    assert found.error.code == FailureCode.NO_CONTAINER
    assert found.error.reason.endswith("no free address")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "10.128.0.2",
        "x - 1 container -",
        "10.128.0.2 x 1 container -",
        "10.128.0.2 - x container -",
        "10.128.0.2 - 1 container x",
        "10.128.0.2 - 1 a",
        "10.128.0.2 - 1 a b c",
    ],
)
def test_malformed_target_is_a_host_error(text: str) -> None:
    with pytest.raises(HostError):
        target_of(HOST1, text)


def test_host_without_docker_offers_the_address_in_its_prefix() -> None:
    lines = "1: lo    inet 127.0.0.1/8 scope host lo\nodd\n3: virbr0    inet 10.9.0.254/24 scope global virbr0"
    assert target_of(KVM, lines).bridge == IPv4Address("10.9.0.254")
    assert target_of(KVM, "1: lo    inet 127.0.0.1/8").bridge is None
    assert target_of(BARE, lines).bridge is None


LINK = "2: eth0@if3: <BROADCAST,UP,LOWER_UP> mtu {} qdisc noqueue"


@pytest.mark.parametrize(
    ("links", "mtu"), [(LINK.format(1400), 1400), (f"odd\n{LINK.format(1400)}", None), ("", None), ("2: eth0: x", None)]
)
def test_uplink_is_parsed_and_malformed_links_are_ignored(links: str, mtu: int | None) -> None:
    lines = "odd\n2: eth0    inet 192.168.18.141/20 brd 192.168.31.255 scope global eth0"
    found = target_of(BARE, lines, links=links).uplink
    assert (found and found.mtu) == mtu
    assert target_of(KVM, lines, links=links).uplink is None, "the address of another host"


@given(st.integers(0, 63), st.integers(22, 30), st.integers(1, 1022))
def test_namespace_candidates_are_free_addresses_of_the_bridge_network(offset: int, length: int, at: int) -> None:
    size = 2 ** (32 - length)
    bridge = IPv4Address("10.9.0.0") + 1 + at % (size - 2)
    me = host("a", "192.168.0.1", "10.9.0.0/16", f"{bridge}/{length}")
    line = next(
        line
        for line in target_script(me, TEMPLATES, offset=offset, hold_s=9).split("\n")
        if line.startswith("run_section target")
    )
    candidates = [IPv4Address(word.removesuffix("/-")) for word in line.split()[6:]]
    assert len(set(candidates)) == len(candidates) == min(16, size - 3)
    assert bridge not in candidates
    assert me.bridge is not None
    assert {me.bridge.network.network_address, me.bridge.network.broadcast_address}.isdisjoint(candidates)
    assert all(candidate in me.bridge.network for candidate in candidates)


def test_scripts_pass_the_syntax_check_of_the_shell() -> None:
    targets = {each.name: ProbeTarget(each.underlay, each.underlay, 7) for each in FLEET.hosts}
    probes = list(plan_probes(FLEET, FLEET.hosts))
    run_shell(f"{TEMPLATES.output}\n{TEMPLATES.probe}\n{row(probes, targets)}", "-n")
    for each in (HOST1, KVM):
        run_shell(target_script(each, TEMPLATES, offset=3, hold_s=9), "-n")
        run_shell(held_target_script(each, TEMPLATES, offset=3, hold_s=9, observe=True), "-n")


def test_unreachable_hosts_count_as_failed_in_fleet_order() -> None:
    probes = {each.name: list(plan_probes(FLEET, [each])) for each in (HOST2, HOST1, HOST3)}
    rows = {
        "host3": [each.result(3, 3, each.expected_ttl, 0.1) for each in probes["host3"]],
        "host1": [each.result(3, 3, each.expected_ttl, 0.1) for each in probes["host1"]],
    }
    lost = {"host2": HostFailure("timeout", "is down")}
    found = mesh_result(FLEET, probes, rows, lost)
    assert found.names == ("host1", "host2", "host3")
    assert found.mesh == FLEET.settings.name
    assert found.hosts == tuple(host_result(each, lost.get(each.name)) for each in FLEET.hosts)
    assert list(dict.fromkeys(result.source for result in found.probes)) == ["host1", "host2", "host3"]
    assert {result.source for result in found.failed} == {"host2"}
    assert {result.code for result in found.failed} == {FailureCode.NOT_ASKED}
    assert all((result.reason or "").endswith("is down") for result in found.failed)
    assert found.errors == lost
    assert not found.ok


def test_row_duration_allows_for_no_replies() -> None:
    assert row_s(0) == 0
    assert 1.6 < row_s(1) < 3
    assert 99 * 3 / 160 + 1.6 <= row_s(99 * 3) < 6
    assert row_s(1, count=14) == row_s(1) + 2


@pytest.mark.parametrize(
    ("output", "code", "quoted"),
    [
        ("From 192.168.18.128 icmp_seq=1 Destination Host Unreachable|", FailureCode.NEXT_HOP_DEAD, "host2"),
        ("From 10.128.0.1 icmp_seq=1 Destination Host Unreachable|", FailureCode.NEXT_HOP_DEAD, "host2"),
        ("From fd00::1: icmp_seq=1 Destination unreachable: Address unreachable|", FailureCode.NEXT_HOP_DEAD, "host2"),
        ("From 192.168.18.9 icmp_seq=1 Destination Host Unreachable|", FailureCode.ICMP_ERROR, "192.168.18.9"),
        ("From 10.128.0.1 icmp_seq=1 Destination Net Unreachable|", FailureCode.ICMP_ERROR, "10.128.0.1"),
    ],
)
def test_dead_next_hop_has_one_code_for_every_reporting_address(output: str, code: FailureCode, quoted: str) -> None:
    own = frozenset(map(ip_address, ("192.168.18.128", "10.128.0.1", "fd00::1")))
    targets = {"host2": ProbeTarget(IPv4Address("10.0.0.1")), "host1": ProbeTarget(addresses=own)}
    section = Section(0, f"0 . {output}3 packets transmitted, 0 received, +3 errors|")
    (result,) = parse_row([Probe("host1", "host2", "host-bridge")], targets, section)
    assert result.code == code
    assert quoted in (result.reason or "")


def test_round_trips_and_loss_match_ping_output() -> None:
    good = probe_result(HOST1, HOST2, "host-bridge", PING.format(ttl=64, received=2))
    assert (good.rtt_min_ms, good.rtt_ms, good.rtt_max_ms) == (0.061, 0.087, 0.131)
    assert good.loss == pytest.approx(1 / 3)
    assert probe_result(HOST1, HOST2, "host-bridge", "").loss is None


@pytest.mark.parametrize(
    ("fields", "code", "quoted", "sent", "received"),
    [
        ("1 1 64 61 87 131 - - -", None, "", 1, 1),
        ("4 0 - - - - - - -", FailureCode.NO_REPLY, "", 4, 0),
        ("4 0 - - - - - - icmp 192.168.18.1 3 1", FailureCode.ICMP_ERROR, "192.168.18.1", 4, 0),
        ("4 0 - - - - - - icmp fd00::9 1 4", FailureCode.ICMP_ERROR, "Port unreachable", 4, 0),
        ("4 0 - - - - - - icmp 192.168.18.1 12 7", FailureCode.ICMP_ERROR, "type 12 code 7", 4, 0),
        ("4 0 - - - - - - icmp 192.168.18.128 3 1", FailureCode.NEXT_HOP_DEAD, "host2", 4, 0),
        ("4 0 - - - - - - icmp fd00::1 1 3", FailureCode.NEXT_HOP_DEAD, "host2", 4, 0),
        ("4 0 - - - - - - icmp 999.1.1.1 3 1", FailureCode.NO_REPLY, "", 4, 0),
        ("0 0 - - - - - - send Network is unreachable", FailureCode.PING_FAILED, "Network is unreachable", 0, 0),
        ("0 0 - - - - - - send cannot open /proc/7/ns/net: N", FailureCode.PING_FAILED, "/proc/7/ns/net", 0, 0),
        ("1 1 63 61 87 131 - - -", FailureCode.TTL, "63", 1, 1),
        ("1 1 64 61 87", FailureCode.NO_PING, "", 0, 0),
        ("", FailureCode.NO_PING, "", 0, 0),
    ],
)
def test_prober_line_becomes_a_code_and_a_reason(
    fields: str, code: FailureCode | None, quoted: str, sent: int, received: int
) -> None:
    own = frozenset(map(ip_address, ("192.168.18.128", "fd00::1")))
    targets = {"host2": ProbeTarget(IPv4Address("10.0.0.1")), "host1": ProbeTarget(addresses=own)}
    (result,) = parse_row([Probe("host1", "host2", "host-bridge")], targets, Section(0, f"0 {fields}"))
    assert (result.sent, result.received, result.code) == (sent, received, code)
    assert quoted in (result.reason or "")
    if code is None:
        assert (result.rtt_min_ms, result.rtt_ms, result.rtt_max_ms) == (0.061, 0.087, 0.131)


def test_reply_to_another_ping_is_no_reply() -> None:
    foreign = PING.format(ttl=64, received=1).replace("from 10.0.0.1", "from 10.0.0.2")
    assert probe_result(HOST1, HOST2, "host-bridge", foreign).code == FailureCode.NO_REPLY


@given(st.text() | st.from_regex(r"[0-9]{1,2} ([0-9]{1,8} |- ){0,7}(lost|passed) (icmp|send) .*", fullmatch=True))
def test_any_prober_line_becomes_a_result(line: str) -> None:
    (result,) = parse_row([Probe("host1", "host2", "host-bridge")], {"host2": TARGET}, Section(0, line))
    assert result.ok or (result.reason or "").isprintable()


def test_each_host_starts_its_row_at_another_target() -> None:
    probes = {each.name: list(plan_probes(FLEET, [each])) for each in FLEET.hosts}
    targets = {
        each.name: target_of(each, f"{each.bridge.ip + 1} - 7 container 1500") for each in FLEET.hosts if each.bridge
    }
    first = {name: probes[name][int(row_lines(probes[name], targets)[0].split()[0])].target for name in probes}
    assert len(set(first.values())) == len(first)
