"""The forecast matches the probes on hosts of three Docker generations, with faults and plans."""

from collections.abc import Mapping

import pytest
from accidents import container_stopped, docker_stopped, temporarily
from forecast_check import failing_as_predicted, mismatches, probes_with
from lab_state import ApplyRecord
from mesh import Mesh
from printed import mark
from test_explain import HOSTS, repair_paused, two_homed

from dockmesh.lab.running import Lab

OWN = "proto 201 metric 4201"
KEEP = "iptables-save >/root/rules-before"
RESTORE = "iptables-restore </root/rules-before; rm /root/rules-before"
NFT = "nft add table inet fw; nft add chain inet fw f '{ type filter hook forward priority 10; }'"

# By host: the fault, its undo, how many of 21 probes fail, and how many have no forecast.
REPAIR = "systemctl start dockmesh.service"
RAW_ACCEPT = "-d 10.128.32.0/20 -m mark --mark 0x1000/0x1000 -m comment --comment dockmesh -j ACCEPT"
BROKEN: Mapping[str, tuple[Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]], int, int]] = {
    "DOCKER-USER flushed on all": (
        dict.fromkeys(HOSTS, ((KEEP, "iptables -F DOCKER-USER"), (RESTORE,))),
        12,
        0,
    ),
    "FORWARD flushed": ({"host1": ((KEEP, "iptables -F FORWARD"), (RESTORE,))}, 6, 0),
    "FORWARD flushed and open": (
        {"host2": ((KEEP, "iptables -F FORWARD; iptables -P FORWARD ACCEPT"), (RESTORE,))},
        0,
        0,
    ),
    "raw accepts missing on all": (
        dict.fromkeys(("host1", "host2"), ((KEEP, "iptables -t raw -F PREROUTING"), (RESTORE,)))
        | {"host3": ((f"iptables -t raw -D PREROUTING {RAW_ACCEPT}",), (REPAIR,))},
        6,
        0,
    ),
    "a peer missing from the set": (
        {"host3": (("nft delete element ip dockmesh peers { 10.128.0.0/20 }",), (REPAIR,))},
        1,
        0,
    ),
    "foreign routes": (
        {
            "host1": (("ip route add 10.128.32.0/24 via 192.168.18.129 metric 5",), ("ip route del 10.128.32.0/24",)),
            "host2": (
                ("ip route add unreachable 10.128.0.0/20 metric 5",),
                ("ip route del unreachable 10.128.0.0/20",),
            ),
            "host3": (("ip route add 10.128.16.0/24 dev eth0",), ("ip route del 10.128.16.0/24 dev eth0",)),
        },
        11,
        3,
    ),
    "routes missing": (
        {
            "host1": ((f"ip route del 10.128.32.0/20 {OWN}",), ("systemctl start dockmesh.service",)),
            "host3": (
                (f"ip route replace 10.128.16.0/20 via 192.168.18.128 dev eth0 {OWN}",),
                ("systemctl start dockmesh.service",),
            ),
        },
        8,
        3,
    ),
    "ip_forward off": (
        {"host2": (("sysctl -w net.ipv4.ip_forward=0",), ("sysctl -w net.ipv4.ip_forward=1",))},
        6,
        0,
    ),
    "forwarding off on one card": (
        {
            "host3": (
                ("sysctl -w net.ipv4.conf.docker0.forwarding=0",),
                ("sysctl -w net.ipv4.conf.docker0.forwarding=1",),
            )
        },
        6,
        0,
    ),
    "docker0 down": ({"host3": (("ip link set docker0 down",), ("ip link set docker0 up",))}, 7, 0),
    "docker0 on another address": (
        {
            "host3": (
                ("ip addr add 10.200.0.1/24 dev docker0", "ip addr del 10.128.32.1/24 dev docker0"),
                (
                    "ip addr del 10.200.0.1/24 dev docker0; ip addr add 10.128.32.1/24 brd + dev docker0",
                    "ip addr flush dev docker0; ip addr add 10.128.32.1/24 brd + dev docker0",
                ),
            )
        },
        9,
        0,
    ),
    "drops of others": (
        {
            "host1": (
                ("iptables -I DOCKER-USER -o eth0 -p icmp -j DROP",),
                ("iptables -D DOCKER-USER -o eth0 -p icmp -j DROP",),
            ),
            "host2": (
                ("iptables -I INPUT -p icmp -m icmp --icmp-type 8 -s 192.168.18.130 -j REJECT",),
                ("iptables -D INPUT -p icmp -m icmp --icmp-type 8 -s 192.168.18.130 -j REJECT",),
            ),
            "host3": ((NFT, "nft add rule inet fw f ip saddr 10.128.16.0/20 drop"), ("nft delete table inet fw",)),
        },
        9,
        5,
    ),
    "drops of others in raw": (
        {
            "host1": (
                ("iptables -t raw -I PREROUTING -s 192.168.18.129/32 -d 10.128.0.0/20 -j DROP",),
                ("iptables -t raw -D PREROUTING -s 192.168.18.129/32 -d 10.128.0.0/20 -j DROP",),
            ),
            "host2": (
                ("iptables -t mangle -I FORWARD -d 10.128.0.0/20 -j DROP",),
                ("nft delete table ip mangle",),
            ),
        },
        4,
        0,
    ),
    "masqueraded": ({"host1": (("nft delete chain ip dockmesh source",), ("systemctl start dockmesh.service",))}, 0, 0),
    "masqueraded, with no way back": (
        {
            "host1": (("nft delete chain ip dockmesh source",), ("systemctl start dockmesh.service",)),
            "host3": ((f"ip route del 10.128.0.0/20 {OWN}",), ("systemctl start dockmesh.service",)),
        },
        3,
        0,
    ),
}


@pytest.mark.parametrize(("broken", "failing", "unknown"), BROKEN.values(), ids=BROKEN)
def test_the_forecast_of_broken_hosts_matches_every_probe(
    joined: Mesh, lab: Lab, broken: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]], failing: int, unknown: int
) -> None:
    with repair_paused(lab):
        try:
            for host, (do, _) in broken.items():
                for command in do:
                    lab.run(host, ("sh", "-c", command), check=True)
            found = failing_as_predicted(joined, unknown)
        finally:
            for host, (_, undo) in broken.items():
                for command in undo:
                    lab.run(host, ("sh", "-c", command))
    assert len(found) == failing, found


def test_the_forecast_of_a_complete_mesh_has_no_failure(joined: Mesh, apply_record: ApplyRecord, lab: Lab) -> None:
    with repair_paused(lab):
        assert failing_as_predicted(joined) == set()
    document = apply_record.done.document["plan"]["forecast"]
    assert list(mismatches(document, "after", apply_record.done.document["status"])) == []
    assert (document["before"]["reached"], document["after"]["reached"]) == (3, 21)


def test_the_forecast_of_hosts_that_have_not_joined_matches(fresh: Mesh, lab: Lab) -> None:
    assert len(failing_as_predicted(fresh)) == 18
    with container_stopped(lab, "host1"), container_stopped(lab, "host3"):
        assert len(failing_as_predicted(fresh)) == 20


def test_the_forecast_covers_the_namespace_without_a_container(joined: Mesh, lab: Lab) -> None:
    bare = f"iptables -t raw -D PREROUTING {RAW_ACCEPT}"
    with container_stopped(lab, "host3"), repair_paused(lab):
        assert failing_as_predicted(joined) == set()
        # Docker 28 drops packets for its containers, but not for a namespace.
        with temporarily(lab, "host3", do=(bare,), undo=()):
            assert failing_as_predicted(joined) == set()


def test_the_forecast_leaves_out_a_host_with_a_stopped_docker(joined: Mesh, lab: Lab) -> None:
    with docker_stopped(lab, "host2"), repair_paused(lab):
        found = failing_as_predicted(joined, 13)
    assert {kind for _, _, kind in found} == {"host-container", "container-container"}
    assert len(found) == 7


# Probes of the host itself have no forecast, because they have the address of the other interface.
@pytest.mark.parametrize(("rp_filter", "failing"), [(0, 1), (1, 3), (2, 1)])
def test_the_forecast_of_a_host_with_two_interfaces_matches(
    joined: Mesh, lab: Lab, rp_filter: int, failing: int
) -> None:
    setting = "net.ipv4.conf.eth0.rp_filter"
    with (
        repair_paused(lab),
        two_homed(lab),
        temporarily(lab, "host2", do=(f"sysctl -w {setting}={rp_filter}",), undo=(f"sysctl -w {setting}=0",)),
    ):
        assert len(failing_as_predicted(joined, 2)) == failing


@pytest.mark.parametrize("verb", ["destroy", "rollback"])
def test_the_forecast_has_the_pairs_lost_and_gained_by_a_host(fresh: Mesh, verb: str) -> None:
    assert fresh.dockmesh("apply", "--yes").status == 0
    left = fresh.dockmesh(verb, "--yes", "--json", "--limit", "host3")
    assert left.status == 0
    document = left.document["plan"]["forecast"]
    # Its earlier reachability is unknown, because the other hosts were not read.
    assert document["before"] == {"reached": 1, "failing": 0, "unknown": 12}
    assert document["after"] == {"reached": 1, "failing": 12, "unknown": 0}
    probed = probes_with("host3", fresh.dockmesh("status", "--json").document)
    assert list(mismatches(document, "after", probed)) == []
    assert sum(len(row["targets"]) for row in document["lost"]) == 12
    assert len(failing_as_predicted(fresh)) == 12
    back = fresh.dockmesh("apply", "--yes", "--json")
    assert (back.status, back.document["mispredictions"]) == (0, [])
    assert sum(len(row["targets"]) for row in back.document["plan"]["forecast"]["gained"]) == 12


# The fault, its undo, the number of probes that fail and of those without a forecast, and the code of the reason.
UNPLANNED: Mapping[str, tuple[str, str, tuple[int, int], str]] = {
    "ip_forward off": ("sysctl -w net.ipv4.ip_forward=0", "sysctl -w net.ipv4.ip_forward=1", (6, 0), "ip-forward-off"),
    "a drop before the own rule": (
        "iptables -I FORWARD -i eth0 -j DROP",
        "iptables -D FORWARD -i eth0 -j DROP",
        (6, 0),
        "firewall-drop",
    ),
    "a routing rule": (
        "ip rule add from all lookup 100 pref 99",
        "ip rule del from all lookup 100 pref 99",
        (0, 13),
        "unpredictable",
    ),
}


@pytest.mark.parametrize("fault", UNPLANNED.values(), ids=UNPLANNED)
def test_a_plan_without_changes_reports_the_pairs_that_fail(
    joined: Mesh, lab: Lab, fault: tuple[str, str, tuple[int, int], str]
) -> None:
    do, undo, (failing, unknown), code = fault
    with temporarily(lab, "host3", do=(do,), undo=(undo,)):
        planned = joined.dockmesh("plan", "--json")
        found = failing_as_predicted(joined, unknown)
        printed = joined.dockmesh("plan").stdout.splitlines()
    assert len(found) == failing
    document = planned.document
    assert planned.status == (3 if failing else 0)
    assert not any(host["changes"] for host in document["hosts"])
    rows = [*document["forecast"]["failing"], *document["forecast"]["unknown"]]
    assert {row["code"] for row in rows} == {code}
    named = [line for line in printed if mark(line) == ("✗" if failing else "?")]
    assert named
    assert all("host3" in line for line in named)
    assert joined.dockmesh("plan").status == 0


def test_the_forecast_of_a_reverted_host_is_that_of_its_old_state(fresh: Mesh, lab: Lab) -> None:
    block = "iptables -I INPUT -p icmp -m icmp --icmp-type 8 -m u32 --u32 '0>>22&0x3C@4&0=0' -j DROP"
    with temporarily(lab, "host3", do=(block,), undo=(block.replace("-I", "-D"),)):
        ended = fresh.dockmesh("apply", "--yes", "--json", "--serial", "100%", "--max-fail", "3")
        assert {(row["source"], row["code"]) for row in ended.document["plan"]["forecast"]["unknown"]} == {
            ("host1", "firewall-drop"),
            ("host2", "firewall-drop"),
        }
        assert ended.document["mispredictions"] == []
    assert fresh.dockmesh("destroy", "--yes", "--serial", "100%").status == 0
