"""Conflicts with a host's Docker and firewall."""

from collections.abc import Iterator, Mapping, Sequence
from ipaddress import IPv4Network
from typing import Any

from dockmesh.core import fwmark
from dockmesh.core.addresses import IPV4, is_inside
from dockmesh.core.desired import docker_nftables, original
from dockmesh.core.desired.uplinks import SmallestUplink
from dockmesh.core.facts.docker import DockerFacts
from dockmesh.core.facts.host_facts import HostFacts
from dockmesh.core.facts.iproute import device_with
from dockmesh.core.host_output import sanitize
from dockmesh.core.model import Fleet, Host
from dockmesh.core.names import DAEMON_JSON, DOCKER_BRIDGE
from dockmesh.core.netfilter import firewalld
from dockmesh.core.netfilter.flow import AddressBits, Flow, host_positions, union
from dockmesh.core.peers import peers
from dockmesh.core.planning.conflicts.docker_flags import flag_conflict
from dockmesh.core.planning.conflicts.mtu import mtu_conflicts
from dockmesh.core.planning.findings import Conflict, ConflictCode
from dockmesh.core.state import daemon_json

_DIRECT = f'{{"{daemon_json.DIRECT_ROUTING_KEY}": true}}'


def docker_conflicts(
    fleet: Fleet, host: Host, facts: HostFacts, docker: DockerFacts, smallest: SmallestUplink
) -> Iterator[Conflict]:
    """Yield every conflict with the host's Docker and firewall, in a stable order."""
    yield from _exposed(host, facts, docker)
    yield from _docker(facts, docker, smallest, fleet.settings.mark)
    yield from _firewalld(fleet, host, facts)


def invalid_daemon_json(error: daemon_json.DaemonJsonError) -> Conflict:
    """Return the conflict of a daemon.json that dockmesh cannot edit; such a host has no plan."""
    return Conflict(
        ConflictCode.DAEMON_JSON_INVALID,
        DAEMON_JSON,
        f"the file is {error}",
        "correct the file; dockmesh keeps the keys that are not its own",
    )


def _docker(facts: HostFacts, docker: DockerFacts, smallest: SmallestUplink, mark: int) -> Iterator[Conflict]:
    if docker.rootless:
        yield Conflict(
            ConflictCode.DOCKER_ROOTLESS,
            "docker",
            "Docker is rootless, so its networks are not networks of the host",
            "install and start the system's Docker daemon (docker.service)",
        )
    if docker.swarm:
        yield Conflict(
            ConflictCode.DOCKER_SWARM,
            "docker",
            "Docker is in a swarm, which moves containers when Docker restarts",
            "docker swarm leave, or set docker: false in the inventory",
        )
    if not docker.uses_nftables and not docker.firewall_backend.startswith("iptables"):
        yield Conflict(
            ConflictCode.FIREWALL_BACKEND_UNKNOWN,
            "docker",
            f"Docker uses the firewall backend {docker.firewall_backend}, which dockmesh does not support",
            f"set firewall-backend to iptables or nftables in {DAEMON_JSON}",
        )
    yield from _flags(docker)
    yield from _daemon_json(facts, docker, smallest, mark)


def _firewalld(fleet: Fleet, host: Host, facts: HostFacts) -> Iterator[Conflict]:
    """A conflict if firewalld certainly rejects packets from peers to containers."""
    chains = facts.settings.firewalld
    uplink = device_with(facts.addresses, host.underlay)
    if not chains or host.bridge is None or uplink is None:
        return
    others = peers(fleet, host)
    networks = [each for peer in others for each in (IPv4Network(peer.underlay), peer.prefix) if each]
    far = AddressBits({place: int(each.broadcast_address) for place, each in enumerate(networks)})
    flow = Flow(far, int(host.bridge.ip), inbound=True, in_interface=uplink, out_interface=DOCKER_BRIDGE)
    refused = union(each.hosts for each in firewalld.rejections(chains, "FORWARD", flow, far.all) if each.sure)
    if refused:
        remedy = firewalld.remedy(chains, DOCKER_BRIDGE, map(networks.__getitem__, host_positions(refused)))
        yield Conflict(
            ConflictCode.FIREWALLD_REJECTS,
            "firewalld",
            f"it rejects packets from peers that arrive on {uplink} for containers, even if iptables accepts them",
            remedy,
        )


def _exposed(host: Host, facts: HostFacts, docker: DockerFacts) -> Iterator[Conflict]:
    """Networks outside the host's prefix; dockmesh cannot close the ports that direct routing opens there."""
    if not docker.uses_nftables or daemon_json.same_values(
        facts.daemon_json, _DIRECT, [daemon_json.DIRECT_ROUTING_KEY]
    ):
        return
    for network in facts.user_networks:
        outside = [each for each in network.prefixes if host.prefix and not is_inside(each, host.prefix)]
        if outside:
            yield Conflict(
                ConflictCode.NETWORK_EXPOSED,
                f"network {network.name}",
                f"{', '.join(map(str, outside))} is outside {host.prefix}, and {daemon_json.DIRECT_ROUTING_KEY}, which "
                "peers need where Docker uses nftables, opens its published ports to everyone who has a route",
                "remove the network, dockmesh apply, and create it again (with Compose: down, dockmesh apply, up)",
            )


def _flags(docker: DockerFacts) -> Iterator[Conflict]:
    flags = {argument.split("=")[0]: argument for argument in docker.arguments}
    for flag in ("--bip", "--default-address-pool", "--bridge", "-b", "--iptables", *_nftables_flags(docker)):
        if flag in flags and flags[flag] != "--iptables=true":
            yield flag_conflict(flags[flag], docker)
    config_file = docker.flag("--config-file")
    if config_file not in {None, DAEMON_JSON}:
        yield Conflict(
            ConflictCode.DOCKER_CONFIG_FILE,
            "docker",
            f"dockerd reads its configuration from {config_file}",
            f"remove --config-file, and move the file to {DAEMON_JSON}",
        )


def _nftables_flags(docker: DockerFacts) -> Sequence[str]:
    return [f"--{key}" for key in daemon_json.NFTABLES_KEYS if docker.uses_nftables]


def _nftables_keys(keys: Mapping[str, Any], facts: HostFacts, mark: int) -> Iterator[Conflict]:
    """Values of the operator that conflict with the two keys that dockmesh needs."""
    ours = docker_nftables.set_keys(original.load_original(facts.actual))
    named = None if daemon_json.FWMARK_KEY in ours else keys.get(daemon_json.FWMARK_KEY)
    if named is not None and not (isinstance(named, str) and fwmark.parse(named) == fwmark.bit(mark)):
        yield Conflict(
            ConflictCode.DAEMON_JSON_FWMARK,
            DAEMON_JSON,
            f"{daemon_json.FWMARK_KEY} is {sanitize(repr(named))}, but the mark of the mesh is {fwmark.bit(mark)}",
            f"set it to {str(fwmark.bit(mark))!r}, or set mark in the inventory to the bit that Docker accepts",
        )
    if keys.get(daemon_json.DIRECT_ROUTING_KEY) is False:
        yield Conflict(
            ConflictCode.DAEMON_JSON_DIRECT_ROUTING,
            DAEMON_JSON,
            f"{daemon_json.DIRECT_ROUTING_KEY} is false, so Docker drops what peers send",
            "remove the key",
        )


def _daemon_json(facts: HostFacts, docker: DockerFacts, smallest: SmallestUplink, mark: int) -> Iterator[Conflict]:
    try:
        keys = daemon_json.load(facts.daemon_json)
    except daemon_json.DaemonJsonError as error:
        yield invalid_daemon_json(error)
        return
    if "bridge" in keys:
        yield Conflict(
            ConflictCode.DAEMON_JSON_BRIDGE,
            DAEMON_JSON,
            f"bridge is {sanitize(repr(keys['bridge']))}, which excludes bip",
            "remove the key",
        )
    if docker.uses_nftables:
        yield from _nftables_keys(keys, facts, mark)
    if keys.get("iptables") is False:
        yield Conflict(
            ConflictCode.DAEMON_JSON_IPTABLES,
            DAEMON_JSON,
            "iptables is false, so Docker keeps no rules of its own",
            "remove the key",
        )
    elif IPV4 not in facts.docker_user and docker.firewall_backend.startswith("iptables"):
        yield Conflict(
            ConflictCode.DOCKER_USER_MISSING,
            "DOCKER-USER",
            "this chain is missing, so Docker's other rules are probably missing too",
            "systemctl restart docker",
        )
    yield from mtu_conflicts(facts, docker, smallest)
