"""Simulated outputs of the hosts of a large fleet, made from a recording: `python -m … HOSTS KIND COUNT`.

Writes COUNT outputs to stdout, each after a line with its length. A separate process keeps this work out of the
measurement.
"""

import json
import sys
from base64 import encodebytes
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network

from dockmesh.core.desired.host_state import desired
from dockmesh.core.desired.uplinks import SmallestUplink
from dockmesh.core.facts.host_facts import parse_facts
from dockmesh.core.inventory import parse as parse_inventory
from dockmesh.core.model import Fleet, Host
from dockmesh.core.names import ROUTE_METRIC, ROUTE_PROTOCOL
from dockmesh.core.state.resources import AcceptRules, DockerNetworking, File, HostState, NftTable, Route, Unit
from dockmesh.pipeline import TEMPLATES
from tests.builders import NOW, SectionOutput, nft_listing, recording

FRESH, CONVERGED, JOINED = "fresh", "converged", "joined"
# Large enough for 10,000 hosts on one LAN and a /22 for each.
_FIRST, _LAN, _POOL = IPv4Address("172.20.0.10"), 14, IPv4Address("10.0.0.0")
_RECORDED = "trixie_fresh"


def inventory(hosts: int) -> str:
    """The text of an inventory of that many hosts."""
    lines = (
        f"  host{at}: {{ address: {_FIRST + at}, prefix: {IPv4Network((int(_POOL) + (at << 10), 22))} }}\n"
        for at in range(hosts)
    )
    return "".join(("mesh: {name: big}\nconnection: {user: root}\nhosts:\n", *lines))


def answers(hosts: int, kind: str) -> Iterator[str]:
    """Outputs of the hosts, last host first, so that a host that joins is among the first."""
    whole = parse_inventory(inventory(hosts), file="mesh.yml")
    before = parse_inventory(inventory(hosts - 1), file="mesh.yml") if kind == JOINED else whole
    for host in reversed(whole.hosts):
        new = kind == FRESH or host not in before.hosts
        yield recording(_RECORDED, _fresh(whole, host)) if new else _converged(whole, before, host)


def _fresh(fleet: Fleet, host: Host) -> dict[str, SectionOutput]:
    lan = IPv4Network((int(_FIRST), _LAN), strict=False)
    return {
        "peer_routes": "\n".join(f"{each.underlay} dev eth0 uid 0" for each in fleet.hosts if each != host),
        "addresses": _addresses(host, "172.17.0.1/16"),
        "routes": f"172.17.0.0/16 dev docker0 proto kernel scope link src 172.17.0.1\n{_lan_route(host, lan)}",
    }


def _converged(fleet: Fleet, before: Fleet, host: Host) -> str:
    """The output of a host after an apply to the fleet `before`."""
    found = parse_facts(host, recording(_RECORDED, _fresh(before, host)), NOW)
    wanted = desired(before, host, found, SmallestUplink("host1", "eth0", 1500, complete=True), TEMPLATES)
    assert host.bridge
    lan = IPv4Network((int(_FIRST), _LAN), strict=False)
    own = f"{host.bridge.network} dev docker0 proto kernel scope link src {host.bridge.ip}"
    routes = (
        f"{each.prefix} via {each.next_hop} dev {each.device} proto {ROUTE_PROTOCOL} metric {ROUTE_METRIC}"
        for each in wanted.resources
        if isinstance(each, Route)
    )
    said = _fresh(fleet, host) | dict(_kept(wanted))
    said["addresses"] = _addresses(host, str(host.bridge))
    said["routes"] = "\n".join((_lan_route(host, lan), own, *routes))
    said["unit_states"] = "enabled\nenabled\nactive"
    return _with_docker(recording(_RECORDED, said), host, wanted)


def _kept(wanted: HostState) -> Iterator[tuple[str, SectionOutput]]:
    for each in wanted.resources:
        match each:
            case File():
                yield each.path.rsplit("/", 1)[1], f"{each.mode or '644'}\n{_base64(each.text)}"
            case Unit():
                yield each.name, f"644\n{_base64(each.text)}"
            case AcceptRules():
                rules = "\n".join(f"-A {each.chain} {rule}" for rule in each.rules)
                yield each.table, f":FORWARD DROP\n:DOCKER-USER -\n{rules}"
            case NftTable():
                yield "own_nft", nft_listing(each)


def _with_docker(answer: str, host: Host, wanted: HostState) -> str:
    """Update the output of `docker info` and `docker network inspect` to that after a restart of Docker."""
    assert host.bridge
    bridge = next(each for each in wanted.resources if isinstance(each, DockerNetworking))
    pools = json.dumps([{"Base": str(pool.base), "Size": pool.size} for pool in bridge.pools], separators=(",", ":"))
    updated = answer.replace('"CDISpecDirs"', f'"DefaultAddressPools":{pools},"CDISpecDirs"', 1)
    return updated.replace("172.17.0.0/16", str(host.bridge.network)).replace("172.17.0.1", str(host.bridge.ip))


def _addresses(host: Host, bridge: str) -> str:
    return f"2: eth0    inet {host.underlay}/{_LAN} scope global eth0\n3: docker0    inet {bridge} scope global docker0"


def _lan_route(host: Host, lan: IPv4Network) -> str:
    return f"{lan} dev eth0 proto kernel scope link src {host.underlay}"


def _base64(text: str) -> str:
    return encodebytes(text.encode()).decode().strip()


def main(hosts: int, kind: str, count: int) -> None:
    """Write the outputs to stdout."""
    for _, text in zip(range(count), answers(hosts, kind), strict=False):
        data = text.encode()
        sys.stdout.buffer.write(b"%d\n" % len(data) + data)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
