"""The probes that decide about a change: also between it and hosts outside --limit, and compared with before."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from fault_lab import Mesh, assert_same, dockmesh, rules_changed

# Drops probes of peers. The forecast does not evaluate tables of others, so it does not call the pairs unreachable.
DROP = (
    "table inet fault { chain forward { type filter hook forward priority 10; "
    "iifname eth0 icmp type echo-request drop; }; }"
)
LEFTOVERS = "nft list tables | grep dockmesh-status; ip -o link show type veth | grep dmp; true"


@contextmanager
def deaf(mesh: Mesh, host: str) -> Iterator[None]:
    """Drop the probes that the host receives for its containers, for the block."""
    mesh.on(host, f"nft '{DROP}'")
    try:
        yield
    finally:
        mesh.on(host, "nft delete table inet fault")


@contextmanager
def without_route(mesh: Mesh, host: str, prefix: str) -> Iterator[None]:
    """Remove a route of dockmesh for the block, and disable the units that would restore it."""
    mesh.on(host, "systemctl disable --now dockmesh.timer dockmesh.service")
    mesh.on(host, f"ip route del {prefix} proto 201 metric 4201")
    try:
        yield
    finally:
        mesh.on(host, "systemctl enable dockmesh.timer dockmesh.service")
        mesh.on(host, "systemctl start dockmesh.service dockmesh.timer")


def test_a_limited_change_that_peers_cannot_reach_reverts(mesh: Mesh) -> None:
    with deaf(mesh, "host1"), without_route(mesh, "host1", "10.128.16.0/20"):
        before = mesh.states()
        done = dockmesh("apply", mesh.inventory(), "--limit", "host1", "--json").expect(3)
        assert done.outcomes == {"host1": "reverted"}
        assert done.codes == {"host1": "probes-failed"}
        assert "host2" in done.errors["host1"], "the pair that the change gains, and not the one that was broken before"
        assert_same(mesh.states(), before)
        assert [mesh.on(host, LEFTOVERS) for host in mesh.hosts] == ["", "", ""]


def test_a_pair_that_was_broken_before_does_not_revert_a_change(mesh: Mesh) -> None:
    with deaf(mesh, "host1"):
        done = dockmesh("apply", mesh.rules(), "--json").expect(3)
    assert set(done.outcomes.values()) == {"confirmed"}, done.errors
    assert all(rules_changed(mesh, host) for host in mesh.hosts)
    broken = {frozenset((row["source"], row["target"])) for row in done.document["broken_before"]}
    assert broken == {frozenset(("host1", "host2")), frozenset(("host1", "host3"))}
    mesh.join()


def test_a_new_host_joins_alone_and_the_exit_code_reflects_the_request(mesh: Mesh) -> None:
    four = mesh.inventory("four", hosts=("host1", "host2", "host3", "host4"))
    done = dockmesh("apply", four, "--limit", "host4", "--json").expect(0)
    assert done.outcomes == {"host4": "confirmed"}
    assert {probe["target"] for probe in done.document["status"]["probes"]} == {"host4"}
    dockmesh("destroy", four, "--limit", "host4").expect(0)


@pytest.mark.parametrize("limit", [("--limit", "host1"), ()], ids=["limited", "all"])
def test_a_moved_prefix_and_the_peers_that_follow_it_stand_together(mesh: Mesh, limit: tuple[str, ...]) -> None:
    moved = mesh.inventory("moved", (r"10\.128\.0\.0/20", "10.129.0.0/20"), confirm_within=60)
    done = dockmesh("apply", moved, *limit, "--json").expect(3 if limit else 0)
    if limit:
        assert done.outcomes == {"host1": "reverted"}, "its peers keep the route to the old prefix"
        assert "dockmesh apply" in done.errors["host1"]
    else:
        assert done.outcomes == dict.fromkeys(mesh.hosts, "confirmed")
        mesh.join()
