"""Hosts as others set theirs up: NetworkManager and firewalld, ifupdown and ufw, networkd and firewalld with a newer
Docker; each with two uplinks, and known by name. The tests are one story: each begins where the one before has ended.
"""

import re
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import host_view
import labs
import mesh
import pytest
from accidents import container_address, output_of, temporarily, ttl
from lab_state import difference
from mesh import Mesh
from network_setups import IFUPDOWN, NETWORK_MANAGER, NETWORKD, install_setup, reboot
from test_networks import can_connect

from dockmesh.lab.process import poll
from dockmesh.lab.running import Lab
from dockmesh.lab.topology import CONTROLLER

SETUPS = {"host1": NETWORK_MANAGER, "host2": IFUPDOWN, "host3": NETWORKD}
STRANGER, PORT = "host4", 7000
OF_ITS_OWN = 64
# Removes the changes of the remedies for firewalld.
FORGET = (
    "firewall-cmd --permanent --delete-policy dockmesh; firewall-cmd --permanent --delete-ipset dockmesh; "
    "firewall-cmd --reload"
)
# A host repairs itself every 25 seconds, which takes some more.
MENDED_WITHIN_S = 30.0
# Docker detects a reload of firewalld and writes its rules again.
SETTLES_WITHIN_S = 10.0
# Docker writes its rules again a moment after firewalld has been reloaded, the jump to DOCKER-USER last.
RULES_SETTLED = (
    "rules=$(iptables -S); sleep 1; case $rules in *'-A FORWARD -j DOCKER-USER'*) "
    '[ "$rules" != "$(iptables -S)" ] || echo yes ;; esac'
)
OWN = "ip route show proto 201 | wc -l; iptables-save | grep -c DOCKMESH; nft list tables | grep -c dockmesh"
# Does not affect any route or rule of dockmesh.
HARMLESS = {
    "host1": (
        "systemctl reload NetworkManager",
        "nmcli device reapply eth0",
        "systemctl restart NetworkManager",
        "firewall-cmd --reload",
        "systemctl restart firewalld",
    ),
    "host2": ("ufw reload", "ufw disable", "ufw --force enable", "ifdown eth1; ifup eth1"),
    "host3": ("networkctl reload", "firewall-cmd --complete-reload", "systemctl restart firewalld"),
}
# Removes its routes, as an uplink that goes down does.
HARMFUL = {
    "host1": "nmcli connection down eth0; nmcli connection up eth0",
    "host2": "systemctl restart networking",
    "host3": "networkctl down eth0; networkctl up eth0",
}


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    """Three hosts with different network managers and firewalls, and a stranger on their LAN."""
    with labs.running_lab("other", 4, ("trixie", "trixie", "forky", "trixie"), varied=True) as standing:
        for host, setup in SETUPS.items():
            install_setup(standing, host, setup)
        yield standing


@pytest.fixture(scope="module")
def three(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Mesh:
    """All of them, by the addresses of their first cards."""
    return mesh.write_inventory(lab, tmp_path_factory.mktemp("others"), {host: {} for host in SETUPS})


@pytest.fixture(scope="module")
def views_before(lab: Lab) -> Mapping[str, host_view.HostView]:
    """Their original state."""
    return stable_views(lab)


def open_firewalld(asked: Mesh, lab: Lab) -> list[tuple[str, str]]:
    """Run the remedies of the plan for firewalld. Returns the hosts and the commands."""
    plan = asked.dockmesh("plan", "--json").document
    told = [(row["host"], each) for row in plan["hosts"] for each in row["conflicts"]]
    assert {(each["code"], each["key"]) for _, each in told} <= {("firewalld-rejects", "firewalld")}, told
    remedies = [(host, each["remedy"]) for host, each in told]
    for host, remedy in remedies:
        output_of(lab, host, "sh", "-c", remedy)
        assert poll(lambda host=host: output_of(lab, host, "sh", "-c", RULES_SETTLED) == "yes", SETTLES_WITHIN_S)
    return remedies


def stable_views(lab: Lab) -> dict[str, host_view.HostView]:
    """What lasts of them. NetworkManager writes resolv.conf whenever a card comes up, and has firewalld put containers'
    cards into a zone, by new names each time; firewalld writes its rules in the order in which cards came, and keeps
    what was deleted as *.old. Docker0 is told to be down for a moment after its container has started.
    """
    seen = {host: host_view.stable_view(each) for host, each in host_view.read_hosts(lab, SETUPS).items()}
    return {host: {name: _stable_text(name, text) for name, text in each.items()} for host, each in seen.items()}


def _stable_text(name: str, text: str) -> str:
    lines = [
        line.replace(" linkdown", "")
        for line in text.splitlines()
        if not re.search(r"\bveth|/etc/resolv\.conf|\.xml\.old\b", line)
    ]
    return "\n".join(sorted(lines) if name == "nftables" else lines)


def second(lab: Lab, host: str) -> str:
    """Its address in the second LAN."""
    return str(lab.topology.host(host).second.ip)


def is_fully_reached(asked: Mesh) -> bool:
    """Whether all pairs are reached, with the own address of each source."""
    return asked.dockmesh("status", "--json").status == 0


def on_all(lab: Lab, commands: Mapping[str, str]) -> dict[str, str]:
    with ThreadPoolExecutor(len(commands)) as pool:
        done = pool.map(lambda host: output_of(lab, host, "sh", "-c", commands[host]), commands)
        return dict(zip(commands, done, strict=True))


def test_the_remedy_of_the_plan_makes_firewalld_accept_peers(
    three: Mesh, lab: Lab, views_before: Mapping[str, host_view.HostView]
) -> None:
    assert views_before.keys() == SETUPS.keys()
    assert three.dockmesh("plan").status == 3
    ((host, _),) = open_firewalld(three, lab)
    assert host == "host1", "ufw is no matter, and Docker 28 tells firewalld itself"
    plan = three.dockmesh("plan", "--json")
    assert plan.status == 2, plan
    assert plan.document["forecast"]["after"] == {"reached": 21, "failing": 0, "unknown": 0}


def test_hosts_join_and_their_firewalls_stay_closed_to_strangers(three: Mesh, lab: Lab) -> None:
    applied = three.dockmesh("apply", "--yes", "--serial", "100%", "--json")
    assert applied.status == 0, applied
    assert three.dockmesh("plan").status == 0
    hosts = [lab.topology.host(name) for name in SETUPS]
    routes = [f"ip route add {host.prefix} via {host.underlay.ip}" for host in hosts]
    with temporarily(lab, STRANGER, do=routes, undo=[route.replace("add", "del") for route in routes]):
        for host, peer in zip(hosts, (*hosts[1:], hosts[0]), strict=True):
            output_of(lab, host.name, "docker", "exec", "--detach", "web", "nc", "-ll", "-p", str(PORT), "-e", "cat")
            address = container_address(lab, host.name)
            assert poll(partial(can_connect, lab, peer.name, "web", address, PORT), SETTLES_WITHIN_S), host.name
            assert ttl(lab, STRANGER, str(host.underlay.ip)) == OF_ITS_OWN
            assert not can_connect(lab, STRANGER, "web", address, PORT), host.name
            # The default rules of ufw accept all pings after Docker's rules, independent of dockmesh.
            assert (ttl(lab, STRANGER, address) is None) is (SETUPS[host.name] is not IFUPDOWN)


def test_explain_names_firewalld_and_its_remedy_repairs_the_path(three: Mesh, lab: Lab) -> None:
    output_of(lab, "host1", "sh", "-c", FORGET)
    broken = three.dockmesh("explain", "host2", "host1", "--json")
    assert (broken.status, broken.document["code"]) == (3, "firewalld-refuses"), broken
    output_of(lab, "host1", "sh", "-c", broken.document["remedy"].removeprefix("on host1: "))
    assert three.dockmesh("explain", "host2", "host1", "--json").status == 0
    ((_, remedy),) = open_firewalld(three, lab)
    others = [str(lab.topology.host(name).prefix) in remedy for name in ("host2", "host3")]
    assert others == [False, True], "host2 is accepted again"


def test_reloads_of_network_managers_and_firewalls_keep_the_mesh(three: Mesh, lab: Lab) -> None:
    assert is_fully_reached(three)
    before = on_all(lab, dict.fromkeys(SETUPS, OWN))
    stopped = "systemctl stop dockmesh.timer"
    on_all(lab, dict.fromkeys(SETUPS, stopped))
    try:
        on_all(
            lab, {host: " && ".join(f"{{ {each}; }} >&2" for each in commands) for host, commands in HARMLESS.items()}
        )
        assert on_all(lab, dict.fromkeys(SETUPS, OWN)) == before
        assert poll(lambda: is_fully_reached(three), SETTLES_WITHIN_S), three.dockmesh("status")
    finally:
        on_all(lab, dict.fromkeys(SETUPS, "systemctl start dockmesh.timer"))


def test_hosts_repair_their_routes_after_the_uplink_was_down(three: Mesh, lab: Lab) -> None:
    before = on_all(lab, dict.fromkeys(SETUPS, OWN))
    on_all(lab, {host: f"{{ {command}; }} >&2" for host, command in HARMFUL.items()})
    assert all(rest.startswith("0\n") for rest in on_all(lab, dict.fromkeys(SETUPS, OWN)).values())
    assert poll(lambda: on_all(lab, dict.fromkeys(SETUPS, OWN)) == before, MENDED_WITHIN_S)
    assert is_fully_reached(three)


def test_the_mesh_may_use_another_uplink_than_ssh_and_the_default_route(three: Mesh, lab: Lab, tmp_path: Path) -> None:
    by_second = mesh.write_inventory(lab, tmp_path, {host: {"underlay": second(lab, host)} for host in SETUPS})
    assert open_firewalld(by_second, lab), "peers come from other addresses"
    applied = by_second.dockmesh("apply", "--yes", "--serial", "100%")
    assert applied.status == 0, applied
    for host in SETUPS:
        reboot(lab, host)
    assert poll(lambda: is_fully_reached(by_second), MENDED_WITHIN_S), by_second.dockmesh("status")
    ways = {f"via {second(lab, host)} dev eth1" for host in SETUPS}
    for host in SETUPS:
        assert f"via {CONTROLLER.ip} dev eth0" in output_of(lab, host, "ip", "route", "show", "default")
        routes = output_of(lab, host, "sh", "-c", "ip route show proto 201").splitlines()
        assert {" ".join(route.split()[1:5]) for route in routes} == ways - {f"via {second(lab, host)} dev eth1"}
    assert three.dockmesh("apply", "--yes", "--serial", "100%").status == 0


def test_destroy_leaves_the_foreign_state_unchanged(
    three: Mesh, lab: Lab, views_before: Mapping[str, host_view.HostView]
) -> None:
    output_of(lab, "host1", "sh", "-c", FORGET)
    assert three.dockmesh("destroy", "--yes", "--serial", "100%").status == 0, "although peers are rejected again"
    poll(lambda: stable_views(lab) == views_before, SETTLES_WITHIN_S)
    assert difference(views_before, stable_views(lab)) == ""
