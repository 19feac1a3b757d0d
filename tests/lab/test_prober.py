"""Rows that perl sends, and rows that ping sends on hosts without perl: both find the same faults.

The rows go to a host without a controller, so a test decides on the targets, the ids and the state of the other hosts.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address, ip_address
from itertools import count

import pytest
from accidents import container_address, output_of, partitioned, temporarily
from mesh import Mesh
from test_full_size import narrow_between, small_mtu
from test_source_seen import codes, pairs, repair_paused, sources

from dockmesh.core.addresses import IPV6
from dockmesh.core.facts.links import Link
from dockmesh.core.host_output import split
from dockmesh.core.probes.batch import parse_row, row_s, row_script
from dockmesh.core.probes.ids import nonce, probe_ids
from dockmesh.core.probes.model import Probe, ProbeKind, ProbeTarget
from dockmesh.core.results.model import FailureCode, ProbeResult
from dockmesh.lab.running import Lab
from dockmesh.pipeline import TEMPLATES

HOSTS = ("host1", "host2", "host3")
BRIDGES = {"host1": "10.128.0.1", "host2": "10.128.16.1", "host3": "10.128.32.1"}
KINDS: tuple[ProbeKind, ...] = ("host-bridge", "host-container", "container-container")
HIDE = "mv $(command -v perl) /root/hidden-perl"
SHOW = "mv /root/hidden-perl /usr/bin/perl"
PHASES = count()
SENDERS = pytest.mark.parametrize("sender", ["perl", "ping"])


@contextmanager
def sending(lab: Lab, sender: str, *hosts: str) -> Iterator[None]:
    """Let the hosts, by default all, send rows with perl or with ping."""
    with ExitStack() as stack:
        for host in (hosts or HOSTS) if sender == "ping" else ():
            stack.enter_context(temporarily(lab, host, do=[HIDE], undo=[SHOW]))
        yield


def targets_of(lab: Lab) -> dict[str, ProbeTarget]:
    """The hosts with their containers."""
    card = Link(2, "eth0", up=True, carrier=True, mtu=1500, mac=None)
    state = "docker inspect --format {{.State.Pid}} web"
    return {
        host: ProbeTarget(
            IPv4Address(BRIDGES[host]),
            IPv4Address(container_address(lab, host)),
            int(output_of(lab, host, *state.split())),
            mtu=1500,
            uplink=card,
            addresses=frozenset({lab.topology.host(host).underlay.ip, IPv4Address(BRIDGES[host])}),
        )
        for host in HOSTS
    }


def row(
    lab: Lab,
    probes: Sequence[Probe],
    targets: dict[str, ProbeTarget],
    *,
    packets: int = 1,
    phase: int | None = None,
    positions: dict[str, int] | None = None,
) -> list[ProbeResult]:
    """Send the probes from host1."""
    phase = next(PHASES) if phase is None else phase
    script = row_script(
        probes,
        targets,
        TEMPLATES,
        pid=targets["host1"].pid,
        ids=probe_ids(1, phase, 0),
        nonce=nonce(1, phase, 0),
        positions=positions or {host: at for at, host in enumerate(targets)},
        count=packets,
    )
    text = f"{TEMPLATES.output}\n{TEMPLATES.probe}\n{script}run_section end true\n"
    return list(parse_row(probes, targets, split(lab.run("host1", ("sh", "-s"), text=text).stdout)["probes"]))


def to_peers(kinds: Sequence[ProbeKind] = KINDS) -> list[Probe]:
    return [Probe("host1", peer, kind) for peer in ("host2", "host3") for kind in kinds]


def failures(results: Sequence[ProbeResult]) -> dict[tuple[str, str], str | None]:
    return {(each.target, each.kind): each.code for each in results if not each.ok}


@SENDERS
def test_a_complete_mesh_is_green_with_ttls_sizes_and_sources(joined: Mesh, lab: Lab, sender: str) -> None:
    containers = {host: container_address(lab, host) for host in HOSTS}
    with sending(lab, sender):
        status = joined.dockmesh("status", "--json")
    assert status.status == 0
    probes = status.document["probes"]
    ttls = {each["kind"]: each["ttl"] for each in probes if each["source"] != each["target"]}
    assert ttls == {"host-bridge": 64, "host-container": 63, "container-container": 62}
    assert {each["mtu_ok"] for each in probes if each["kind"] == "container-container"} == {True}
    assert {(each["sent"], each["received"]) for each in probes} == {(1, 1)}
    assert sources(status, "container-container") == pairs(containers)


@SENDERS
def test_a_row_measures_the_packets_that_count_asks_for(joined: Mesh, lab: Lab, sender: str) -> None:
    with sending(lab, sender):
        status, shown = joined.dockmesh("status", "--json", "--count", "4"), joined.dockmesh("status", "--count", "2")
    probes = status.document["probes"]
    assert {(each["sent"], each["received"], each["loss"]) for each in probes} == {(4, 4, 0)}
    assert all(0 < each["rtt_min_ms"] <= each["rtt_ms"] <= each["rtt_max_ms"] for each in probes)
    assert "42 packets, 0.0% lost" in shown.stdout


@pytest.mark.usefixtures("joined")
@SENDERS
def test_lost_replies_are_no_reply_after_retries(lab: Lab, sender: str) -> None:
    rule = "iptables -I OUTPUT -p icmp --icmp-type echo-reply -d 192.168.18.128 -j DROP"
    with sending(lab, sender), temporarily(lab, "host2", do=[rule], undo=[rule.replace("-I", "-D")]):
        found = row(lab, to_peers(), targets_of(lab))
    assert failures(found) == {("host2", "host-bridge"): "no-reply"}
    (lost,) = (each for each in found if not each.ok)
    assert lost.sent >= 4


@pytest.mark.usefixtures("joined")
@SENDERS
def test_a_dropped_first_packet_is_repeated(lab: Lab, sender: str) -> None:
    chain = "type filter hook input priority 0; icmp type echo-request limit rate 1/hour burst 1 packets drop;"
    rule = f"nft 'table ip loss {{ chain c {{ {chain} }}; }}'"
    with sending(lab, sender), temporarily(lab, "host2", do=[rule], undo=["nft delete table ip loss"]):
        found = row(lab, to_peers(["host-bridge"])[:1], targets_of(lab))
    assert [(each.ok, each.sent, each.received) for each in found] == [(True, 2, 1)]


@pytest.mark.usefixtures("joined")
@SENDERS
def test_a_host_that_is_down_fails_all_its_probes_in_time(lab: Lab, sender: str) -> None:
    targets = targets_of(lab)
    with sending(lab, sender), partitioned(lab, "host2"):
        started = time.monotonic()
        found = row(lab, to_peers(), targets)
        took_s = time.monotonic() - started
    assert failures(found) == {("host2", kind): "no-reply" for kind in KINDS}
    assert took_s < row_s(len(found))


@pytest.mark.usefixtures("joined")
@SENDERS
def test_narrow_switch_loses_full_size_packets_only(lab: Lab, sender: str) -> None:
    with sending(lab, sender), narrow_between(lab, "host2"):
        found = row(lab, to_peers(), targets_of(lab))
    assert failures(found) == {("host2", "container-container"): "mtu"}
    assert {(each.sent, each.received, each.mtu_ok) for each in found if not each.ok} == {(1, 1, False)}


@pytest.mark.usefixtures("joined")
@SENDERS
def test_small_uplinks_are_named_with_and_without_an_icmp_error(lab: Lab, sender: str) -> None:
    small = Link(2, "eth0", up=True, carrier=True, mtu=1400, mac=None)
    targets = targets_of(lab)
    for host in ("host1", "host2"):
        known = targets | {host: replace(targets[host], uplink=small)}
        with sending(lab, sender), small_mtu(lab, host):
            found = row(lab, to_peers(KINDS[2:]), known)
        lost = {("host2", KINDS[2]), ("host3", KINDS[2])} if host == "host1" else {("host2", KINDS[2])}
        assert failures(found) == dict.fromkeys(lost, "uplink-too-small")


@pytest.mark.usefixtures("joined")
@SENDERS
def test_a_router_reports_the_path_mtu_and_small_packets_follow_at_once(lab: Lab, sender: str) -> None:
    targets = targets_of(lab)
    # The ping of bookworm obeys a path MTU that the kernel has learned in another test.
    output_of(lab, "host1", "nsenter", "-t", str(targets["host1"].pid), "-n", "ip", "route", "flush", "cache")
    with sending(lab, sender), small_mtu(lab, "host1"):
        started = time.monotonic()
        found = row(lab, to_peers(KINDS[2:]), targets)
        took_s = time.monotonic() - started
    assert {each.code for each in found} == {"mtu"}
    assert all("1400" in (each.reason or "") for each in found)
    assert took_s < 1


@pytest.mark.usefixtures("joined")
@SENDERS
def test_wrong_ttl_fails(lab: Lab, sender: str) -> None:
    table = (
        "table ip aged { chain c { type filter hook postrouting priority 0; icmp type echo-reply ip ttl set 50; }; }"
    )
    with sending(lab, sender), temporarily(lab, "host2", do=[f"nft '{table}'"], undo=["nft delete table ip aged"]):
        found = row(lab, to_peers(), targets_of(lab))
    assert failures(found) == {("host2", kind): "ttl" for kind in KINDS}
    assert {each.ttl for each in found if not each.ok} <= {49, 50}


@pytest.mark.usefixtures("joined")
@SENDERS
def test_rejected_packets_are_reported_with_the_rejecting_host(lab: Lab, sender: str) -> None:
    rule = "iptables -I FORWARD -p icmp -s 192.168.18.128 -j REJECT"
    with sending(lab, sender), temporarily(lab, "host2", do=[rule], undo=[rule.replace("-I", "-D")]):
        found = row(lab, to_peers(), targets_of(lab))
    assert failures(found) == {("host2", "host-container"): "icmp-error"}
    (reason,) = (each.reason or "" for each in found if not each.ok)
    assert "192.168.18.129" in reason
    assert "Destination Port Unreachable" in reason


@pytest.mark.usefixtures("joined")
@SENDERS
def test_a_packet_without_a_route_is_not_sent(lab: Lab, sender: str) -> None:
    targets = targets_of(lab) | {"host2": ProbeTarget(IPv4Address("10.99.0.1"))}
    with sending(lab, sender):
        (found,) = row(lab, [Probe("host1", "host2", "host-bridge")], targets)
    assert (found.code, found.sent, found.made) == (FailureCode.PING_FAILED, 0, True)
    assert "Network is unreachable" in (found.reason or "")


@pytest.mark.usefixtures("joined")
@SENDERS
def test_a_container_that_ended_fails_only_its_probes(lab: Lab, sender: str) -> None:
    targets = targets_of(lab)
    targets["host1"] = replace(targets["host1"], pid=4_194_300)
    with sending(lab, sender):
        found = row(lab, to_peers(), targets)
    assert failures(found) == {(peer, "container-container"): "ping-failed" for peer in ("host2", "host3")}
    assert all("/proc/4194300/ns/net" in (each.reason or "") for each in found if not each.ok)


@pytest.mark.usefixtures("joined")
@SENDERS
def test_ipv6_probes_have_hop_limits_and_full_size_packets(lab: Lab, sender: str) -> None:
    targets = targets_of(lab)
    six = ip_address(output_of(lab, "host2", "sh", "-c", "ip -6 -o addr show dev eth0 scope global").split()[3][:-3])
    assert isinstance(six, IPv6Address)
    output_of(lab, "host1", "ip", "-6", "route", "flush", "cache")
    targets["host2"] = replace(targets["host2"], bridge6=six)
    targets["host3"] = replace(targets["host3"], bridge6=IPv6Address("fd00:18::dead"))
    with sending(lab, sender):
        found = row(lab, [Probe("host1", peer, "host-bridge", IPV6) for peer in ("host2", "host3")], targets)
        with narrow_between(lab, "host2"):
            (small,) = row(lab, [Probe("host1", "host2", "host-bridge", IPV6)], targets)
    assert [(each.ttl, each.mtu_ok, each.code) for each in found] == [(64, True, None), (None, None, "no-reply")]
    assert (small.reached, small.mtu_ok, small.code) == (True, False, "mtu")


@SENDERS
def test_masqueraded_containers_are_found(joined: Mesh, lab: Lab, sender: str) -> None:
    with sending(lab, sender), repair_paused(lab):
        output_of(lab, "host1", "nft", "delete", "chain", "ip", "dockmesh", "source")
        status = joined.dockmesh("status", "--json")
    assert codes(status) == {("host1", peer): "masqueraded" for peer in ("host2", "host3")}
    assert joined.dockmesh("apply", "--yes").status == 0


@pytest.mark.usefixtures("joined")
@SENDERS
def test_a_new_id_fails_after_its_peer_has_left_the_set(lab: Lab, sender: str) -> None:
    """A reused id would pass as a packet of an established connection."""
    probes, targets = [Probe("host1", "host2", "host-container")], targets_of(lab)
    element = "element ip dockmesh peers '{ 192.168.18.128 }'"
    with sending(lab, sender), repair_paused(lab):
        phase = next(PHASES)
        assert [each.ok for each in row(lab, probes, targets, phase=phase)] == [True]
        with temporarily(lab, "host2", do=[f"nft delete {element}"], undo=[f"nft add {element}"]):
            reused = row(lab, probes, targets, phase=phase)
            renewed = row(lab, probes, targets)
    assert [each.ok for each in reused] == [True]
    assert [each.code for each in renewed] == ["no-reply"]


@pytest.mark.usefixtures("joined")
def test_many_full_size_replies_fit_into_the_receive_buffer(lab: Lab) -> None:
    targets = targets_of(lab)
    names = [f"peer{at}" for at in range(400)]
    targets |= dict.fromkeys(names, targets["host2"])
    found = row(lab, [Probe("host1", name, "host-container") for name in names], targets)
    assert {(each.sent, each.received, each.mtu_ok) for each in found} == {(1, 1, True)}


@pytest.mark.usefixtures("joined")
def test_many_dead_targets_delay_a_row_by_their_first_packets_only(lab: Lab) -> None:
    targets, names = targets_of(lab), [f"dead{at}" for at in range(320)]
    targets |= {name: ProbeTarget(IPv4Address("10.128.24.0") + at) for at, name in enumerate(names)}
    started = time.monotonic()
    found = row(lab, [Probe("host1", name, "host-bridge") for name in [*names, "host2"]], targets)
    took_s = time.monotonic() - started
    assert [each.target for each in found if each.ok] == ["host2"]
    assert took_s < 320 / 160 + 1.6 + 0.5 < row_s(320)
