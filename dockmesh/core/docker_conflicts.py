"""What of a host's Docker, and of what has a say in its firewall, speaks against changing the host."""

from collections.abc import Iterator, Mapping, Sequence
from ipaddress import IPv4Network
from typing import Any

from dockmesh.core import daemon, mark, mtu
from dockmesh.core.addresses import IPV4, within
from dockmesh.core.dockerd import DockerFacts
from dockmesh.core.dualstack import overriding
from dockmesh.core.facts import HostFacts
from dockmesh.core.model import Fleet, Host
from dockmesh.core.names import DAEMON_JSON, DOCKER_BRIDGE
from dockmesh.core.path import firewalld
from dockmesh.core.path.flow import Far, Flow, members, union
from dockmesh.core.peers import peers
from dockmesh.core.plan import Conflict
from dockmesh.core.uplinks import Narrowest

_DIRECT = f'{{"{daemon.DIRECT}": true}}'


def against_docker(
    fleet: Fleet, host: Host, facts: HostFacts, docker: DockerFacts, narrow: Narrowest
) -> Iterator[Conflict]:
    """Every conflict of a host that has to do with its Docker, in a stable order."""
    yield from _opened(host, facts, docker)
    yield from _docker(facts, docker, narrow)
    yield from _firewalld(fleet, host, facts)


def _docker(facts: HostFacts, docker: DockerFacts, narrow: Narrowest) -> Iterator[Conflict]:
    if docker.rootless:
        yield Conflict("docker", "is rootless: its networks are no networks of the host; use the system's Docker")
    if docker.swarm:
        yield Conflict("docker", "is in a swarm, which moves containers as Docker restarts: leave it, or docker: false")
    if not docker.nftables and not docker.firewall_backend.startswith("iptables"):
        yield Conflict("docker", f"uses the firewall backend {docker.firewall_backend}, which is not supported")
    if docker.nftables and "nft" not in facts.tools:
        yield Conflict(
            "nft", "is not installed, by which peers are let in where Docker uses nftables: install nftables"
        )
    yield from _flags(docker)
    yield from _daemon_json(facts, docker, narrow)


def _firewalld(fleet: Fleet, host: Host, facts: HostFacts) -> Iterator[Conflict]:
    """Peers that it would keep from containers for sure, whatever iptables accepts."""
    chains = facts.kernel.firewalld
    uplink = next((device for device, address in facts.addresses if address.ip == host.underlay), None)
    if not chains or host.bridge is None or uplink is None:
        return
    others = peers(fleet, host)
    networks = [each for peer in others for each in (IPv4Network(peer.underlay), peer.prefix) if each]
    far = Far({place: int(each.broadcast_address) for place, each in enumerate(networks)})
    flow = Flow(far, int(host.bridge.ip), inbound=True, came_in=uplink, goes_out=DOCKER_BRIDGE)
    refused = union(each.hosts for each in firewalld.refusals(chains, "FORWARD", flow, far.all) if each.sure)
    if refused:
        remedy = firewalld.mending(chains, DOCKER_BRIDGE, map(networks.__getitem__, members(refused)))
        yield Conflict(
            "firewalld",
            f"refuses what peers send in by {uplink} to containers, whatever iptables accepts: {remedy}",
        )


def _opened(host: Host, facts: HostFacts, docker: DockerFacts) -> Iterator[Conflict]:
    """What dockmesh closes again of what that key opens, it closes for the host's prefix."""
    file = facts.file(DAEMON_JSON)
    if not docker.nftables or daemon.agreed(file.text if file else None, _DIRECT, [daemon.DIRECT]):
        return
    for network in docker.networks:
        outside = [each for each in network.prefixes if host.prefix and not within(each, host.prefix)]
        if network.device != DOCKER_BRIDGE and outside:
            yield Conflict(
                f"network {network.name}",
                f"({', '.join(map(str, outside))}) is outside {host.prefix}, and {daemon.DIRECT}, which peers need of "
                "Docker's nftables, would open the ports it publishes to whoever has a route: remove it, join, and "
                "make it anew (with Compose: down, dockmesh apply, up)",
            )


def _flags(docker: DockerFacts) -> Iterator[Conflict]:
    flags = {argument.split("=")[0]: argument for argument in docker.arguments}
    for flag in ("--bip", "--default-address-pool", "--bridge", "-b", "--iptables", *_nftables_flags(docker)):
        if flag in flags and flags[flag] != "--iptables=true":
            yield overriding(flags[flag], docker)
    elsewhere = docker.flag("--config-file")
    if elsewhere not in {None, DAEMON_JSON}:
        yield Conflict(
            "docker", f"reads its configuration from {elsewhere}: take --config-file out, and move it to {DAEMON_JSON}"
        )


def _nftables_flags(docker: DockerFacts) -> Sequence[str]:
    return [f"--{key}" for key in daemon.NFTABLES_KEYS if docker.nftables]


def _nftables_keys(keys: Mapping[str, Any]) -> Iterator[Conflict]:
    """What an admin has said of the two keys that dockmesh needs, and will not say otherwise."""
    named = keys.get(daemon.FWMARK)
    if named is not None and not (isinstance(named, str) and mark.parse(named)):
        yield Conflict(
            DAEMON_JSON,
            f"sets {daemon.FWMARK} to {named!r}, which no packet bears or every one: say {mark.OWN!r}, or take it out",
        )
    if keys.get(daemon.DIRECT) is False:
        yield Conflict(
            DAEMON_JSON, f"sets {daemon.DIRECT} to false: Docker then drops what peers send; take the key out"
        )


def _daemon_json(facts: HostFacts, docker: DockerFacts, narrow: Narrowest) -> Iterator[Conflict]:
    file = facts.file(DAEMON_JSON)
    try:
        keys = daemon.load(file.text if file else None)
    except daemon.DaemonJsonError as error:
        yield Conflict(DAEMON_JSON, f"{error}: mend it, dockmesh keeps what is not its own")
        return
    if "bridge" in keys:
        yield Conflict(DAEMON_JSON, f"sets bridge to {keys['bridge']!r}, which excludes bip: take the key out")
    if docker.nftables:
        yield from _nftables_keys(keys)
    if keys.get("iptables") is False:
        yield Conflict(DAEMON_JSON, "sets iptables to false: Docker then keeps no rules of its own; take the key out")
    elif IPV4 not in facts.docker_user and docker.firewall_backend.startswith("iptables"):
        yield Conflict("DOCKER-USER", "is gone, and Docker's other rules with it: systemctl restart docker")
    yield from mtu.conflicts(facts, docker, narrow)
