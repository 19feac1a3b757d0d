"""One of six hosts answers with text that is slow to parse. The other five finish in time."""

from collections.abc import Iterator
from contextlib import contextmanager

import labs
import pytest
from fault_lab import CONFIRM_WITHIN_S, GRACE_S, Mesh, dockmesh, write_file

HOSTS = tuple(f"host{number}" for number in range(1, 7))
HOSTILE, OTHERS = HOSTS[0], HOSTS[1:]
# Six hosts share the cores of a test machine; with the limits of dockmesh, all runs take about 20 s.
WITHIN_S = 60
FOREIGN_ROUTES = 10_000
# Tools that print far more than 100 KiB, and then do their work.
TOOLS = {
    # Quadratic in a regular expression that searches for the sender of an ICMP error.
    "ping": "yes 'From 1' | head -c 1000000 | tr -d '\\n'",
    "docker": "yes '[' | head -c 200000 | tr -d '\\n'",
    "iptables-save": "echo '*filter'; yes '-A FORWARD -m comment --comment \"x' | head -c 2000000",
    "nft": "echo 'table inet firewalld {'; yes 'chain f { iifname { reject with ' | head -c 200000 | tr -d '\\n'",
}


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesh]:
    """Six joined hosts."""
    with labs.running_lab("own", len(HOSTS), ("trixie",)) as lab:
        mesh = Mesh(lab, HOSTS, tmp_path_factory.mktemp("six"))
        mesh.join()
        mesh.settle(CONFIRM_WITHIN_S + GRACE_S)
        yield mesh


@contextmanager
def hostile_tool(mesh: Mesh, tool: str, said: str) -> Iterator[None]:
    """Replace a tool of the hostile host for the scripts of dockmesh."""
    path = mesh.on(HOSTILE, f"command -v {tool}")
    write_file(mesh, HOSTILE, f"/opt/fake/{tool}", f'#!/bin/sh\n{said}\nexec {path} "$@"\n')
    mesh.on(HOSTILE, f"chmod +x /opt/fake/{tool}; mv /root/.bashrc /root/kept; true")
    write_file(mesh, HOSTILE, "/root/.bashrc", "PATH=/opt/fake:$PATH\n")
    try:
        yield
    finally:
        mesh.on(HOSTILE, "rm -r /opt/fake; mv -f /root/kept /root/.bashrc || rm -f /root/.bashrc")
        mesh.settle(CONFIRM_WITHIN_S + GRACE_S)


@pytest.mark.parametrize("tool", TOOLS)
def test_five_hosts_have_their_reachability_in_time(mesh: Mesh, tool: str) -> None:
    with hostile_tool(mesh, tool, TOOLS[tool]):
        done = dockmesh("status", mesh.inventory(), "--json")
    probes = [row for row in done.document["probes"] if {row["source"], row["target"]} <= set(OTHERS)]
    assert probes
    assert all(row["reached"] for row in probes)
    assert done.took_s < WITHIN_S


@pytest.mark.parametrize("tool", ["docker", "iptables-save", "nft"])
def test_five_hosts_are_confirmed_in_time(mesh: Mesh, tool: str) -> None:
    mesh.join()
    with hostile_tool(mesh, tool, TOOLS[tool]):
        done = dockmesh("apply", mesh.rules(), "--serial", "100%", "--json")
    assert {host: done.outcomes[host] for host in OTHERS} == dict.fromkeys(OTHERS, "confirmed"), done.errors
    assert done.took_s < WITHIN_S


def test_thousands_of_foreign_routes_are_one_conflict_for_each_peer(mesh: Mesh) -> None:
    """Of the 10,000 routes, half are in the prefix of a peer and half around those of all peers."""
    half = FOREIGN_ROUTES // 2
    inside = (
        f"route add 10.128.{16 + at // 256 % 16}.{at % 256}/32 dev eth0 proto static metric {at + 1}"
        for at in range(half)
    )
    around = (f"route add 10.128.0.0/9 dev eth0 proto static metric {at}" for at in range(half))
    mesh.join()
    write_file(mesh, HOSTILE, "/root/routes", "\n".join((*inside, *around, "")))
    mesh.on(HOSTILE, "ip -force -batch /root/routes; rm /root/routes", check=False)
    try:
        done = dockmesh("apply", mesh.rules(), "--serial", "100%", "--json")
    finally:
        mesh.on(HOSTILE, "ip route flush proto static")
    assert done.outcomes == {HOSTILE: "refused"} | dict.fromkeys(OTHERS, "confirmed"), done.errors
    (plan,) = (row for row in done.document["plan"]["hosts"] if row["host"] == HOSTILE)
    assert {each["code"] for each in plan["conflicts"]} == {"foreign-route-wins", "inside-foreign-network"}
    assert len(plan["conflicts"]) <= len(HOSTS)
    assert str(half) in "".join(each["message"] for each in plan["conflicts"])
    assert done.took_s < WITHIN_S
