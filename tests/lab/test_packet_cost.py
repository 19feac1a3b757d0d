"""The rules that a packet meets on a host, counted in traces of the kernel, and what one more host changes."""

import re
from collections import Counter
from collections.abc import Iterator

import labs
import mesh
import pytest
from accidents import container_address, output_of, temporarily
from large_fleet import fleet_with, put, states

from dockmesh.core.addresses import FAMILIES, IPV4, Family, Network
from dockmesh.core.state.nft_table import parse_table
from dockmesh.core.state.resources import nft_family_name
from dockmesh.lab.process import poll
from dockmesh.lab.running import Lab

HOSTS = ("host1", "host2", "host3")
FEW, MANY = 3, 1000
WITHIN_S = 20
# In a chain that a packet meets, before the rule that accepts it.
ONE_MORE = "DOCKER-USER -s 203.0.113.1/32 -j ACCEPT"
_TRACED = """
table ip trace-test {
    chain arrives {
        type filter hook prerouting priority -1000;
        ip daddr ADDRESS icmp type echo-request meta nftrace set 1
        ip saddr ADDRESS icmp type echo-reply meta nftrace set 1
    }
}
"""
_SEEN = re.compile(r"^trace id \w+ ip (\S+) (\S+) ", re.MULTILINE)
_JUMP = re.compile(r"^trace id \w+ ip (\S+) .*\(verdict (?:jump|goto) (\S+)\)", re.MULTILINE)


@pytest.fixture(scope="module")
def joined_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Joined hosts, one of each generation of Docker, whose timer does not restore their rules."""
    with labs.running_lab("own", len(HOSTS)) as lab:
        joined = mesh.write_inventory(lab, tmp_path_factory.mktemp("joined"), {host: {} for host in HOSTS})
        done = joined.dockmesh("apply", "--yes", "--serial", "100%")
        assert done.status == 0, done
        for host in HOSTS:
            output_of(lab, host, "systemctl", "stop", "dockmesh.timer", "dockmesh.service")
        yield lab


def peer_of(host: str) -> str:
    return next(other for other in HOSTS if other != host)


def trace(lab: Lab, host: str) -> str:
    """The trace of pings between the container of the host and that of a peer, at least one of them complete."""
    address = container_address(lab, host)

    def traced() -> bool:
        # A new process each time: its ICMP id makes a new connection, which meets the chains of nat too.
        output_of(lab, peer_of(host), "docker", "exec", "web", "ping", "-c", "1", "-W", "2", address)
        found = output_of(lab, host, "cat", "/run/trace-test")
        return len(re.findall(r" ip filter FORWARD packet: .* echo-reply", found)) > 1

    with temporarily(
        lab,
        host,
        do=[
            f"nft '{_TRACED.replace('ADDRESS', address)}'",
            "setsid nft monitor trace >/run/trace-test 2>&1 & echo $! >/run/trace-test.pid",
        ],
        undo=["nft delete table ip trace-test; kill $(cat /run/trace-test.pid); rm -f /run/trace-test*"],
    ):
        assert poll(traced, WITHIN_S)
        return output_of(lab, host, "cat", "/run/trace-test")


def rules_met(lab: Lab, host: str) -> int:
    """The number of rules in the chains that the pings traverse, both ways."""
    found = trace(lab, host)
    traversed = set(_SEEN.findall(found)) | set(_JUMP.findall(found))
    rules = rules_per_chain(output_of(lab, host, "nft", "-s", "list", "ruleset"))
    traversed = {each for each in traversed if each[0] != "trace-test"}
    assert {("raw", "PREROUTING"), ("filter", "DOCKER-USER"), ("dockmesh", "inbound")} <= traversed
    return sum(rules[each] for each in traversed)


def rules_per_chain(ruleset: str) -> Counter[tuple[str, str]]:
    """The number of rules of each chain of family ip, by table and chain."""
    count: Counter[tuple[str, str]] = Counter()
    family = table = chain = ""
    for line in map(str.strip, ruleset.splitlines()):
        words = line.split()
        match words[:1]:
            case ["table"]:
                family, table = words[1:3]
            case ["chain"]:
                chain = words[1]
            case ["set" | "}"]:
                chain = ""
            case [first] if chain and first != "type" and family == "ip":
                count[table, chain] += 1
    return count


@pytest.mark.parametrize("host", HOSTS)
def test_a_packet_meets_as_many_rules_with_1000_peers_as_with_3(joined_lab: Lab, host: str) -> None:
    inventory = joined_lab.inventory.read_text()
    met = {}
    for peers in (FEW, MANY):
        put(joined_lab, states(joined_lab, fleet_with(inventory, peers)))
        met[peers] = rules_met(joined_lab, host)
    assert met[FEW] == met[MANY]
    # The count would not miss a rule per peer.
    with temporarily(joined_lab, host, do=[f"iptables -I {ONE_MORE}"], undo=[f"iptables -D {ONE_MORE}"]):
        assert rules_met(joined_lab, host) == met[MANY] + 1


def test_one_more_host_changes_two_elements_per_family_and_nothing_else(joined_lab: Lab) -> None:
    # `allow` adds a drop with a counter.
    dual = joined_lab.inventory.with_name("dual.yml").read_text()
    inventory = dual.replace("mesh:\n", "mesh:\n  allow: [tcp/80]\n", 1)
    put(joined_lab, states(joined_lab, fleet_with(inventory, MANY, ipv6=True)))
    for host in HOSTS:
        drop_a_packet(joined_lab, host)
    before = {(host, family): listing(joined_lab, host, family) for host in HOSTS for family in FAMILIES}
    put(joined_lab, states(joined_lab, fleet_with(inventory, MANY + 1, ipv6=True)))
    for (host, family), (elements, rest) in before.items():
        now_elements, now_rest = listing(joined_lab, host, family)
        assert now_rest == rest
        assert elements < now_elements
        assert len(now_elements) - len(elements) == 2
        if family == IPV4:
            assert re.search(r"counter packets [1-9]\d* bytes \d+ drop # handle \d+", rest)


def drop_a_packet(lab: Lab, host: str) -> None:
    """Send a packet that `allow` does not accept from a container of a peer."""
    lab.run(peer_of(host), ("docker", "exec", "web", "nc", "-w", "1", container_address(lab, host), "81"))


def listing(lab: Lab, host: str, family: Family) -> tuple[set[Network], str]:
    """The elements of the sets of the host's table, and all else with counters and handles."""
    command = ("list", "table", nft_family_name(family), "dockmesh")
    elements = parse_table(output_of(lab, host, "nft", "-s", *command).splitlines(), family).networks
    return set(elements), re.sub(r"elements = \{[^}]*\}", "", output_of(lab, host, "nft", "-a", *command))
