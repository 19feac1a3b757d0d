"""IPv6 conflicts of a host."""

from collections.abc import Iterator
from ipaddress import IPv6Interface
from shlex import quote

from dockmesh.core.addresses import IPV6
from dockmesh.core.facts.docker import DockerFacts
from dockmesh.core.facts.host_facts import HostFacts
from dockmesh.core.model import Host
from dockmesh.core.planning.conflicts.docker_flags import flag_conflict
from dockmesh.core.planning.findings import Conflict, ConflictCode
from dockmesh.core.state.daemon_json import BIP6_SINCE, IPV6_KEYS, first_address
from dockmesh.core.state.resources import FORWARDING, iptables_command

_ROUTER_ADVERTISEMENT = "ra"


def ipv6_conflicts(host: Host, facts: HostFacts) -> Iterator[Conflict]:
    """Yield every IPv6 conflict of `host`; none if the inventory gives it no IPv6."""
    if host.ipv6 is None:
        return
    forwarding = facts.actual.forwarding(IPV6)
    if forwarding is None:
        yield Conflict(
            ConflictCode.IPV6_MISSING,
            "ipv6",
            "the kernel of the host has no IPv6",
            "remove underlay6 and prefix6 of the host from the inventory",
        )
    elif host.ipv6.prefix and not host.docker and not forwarding.on:
        key = FORWARDING[IPV6]
        yield Conflict(
            ConflictCode.IPV6_FORWARDING_OFF,
            key,
            f"the host does not forward IPv6, so peers cannot reach {host.ipv6.prefix}",
            f"sysctl -w {key}=1",
        )
    if isinstance(host.ipv6.bridge, IPv6Interface) and facts.docker:
        yield from _docker0(host.ipv6.bridge, facts, facts.docker)
        if forwarding and not forwarding.on:
            yield from _router_advertisements(facts)


def _docker0(bridge: IPv6Interface, facts: HostFacts, docker: DockerFacts) -> Iterator[Conflict]:
    for argument in docker.arguments:
        if argument.split("=")[0].removeprefix("--") in IPV6_KEYS:
            yield flag_conflict(argument, docker)
    if docker.uses_nftables:
        yield Conflict(
            ConflictCode.IPV6_WITH_NFTABLES,
            "docker",
            "Docker uses nftables, with which dockmesh joins hosts by IPv4 only",
            "remove underlay6 and prefix6 of the host from the inventory",
        )
    first = first_address(bridge.network)
    if docker.major < BIP6_SINCE and bridge != first:
        yield Conflict(
            ConflictCode.BRIDGE6_NOT_FIRST,
            str(bridge),
            f"docker0 cannot have this address, since Docker before {BIP6_SINCE} uses the first of the network",
            f"set bridge6 to {first}",
        )
    if iptables_command(IPV6) not in facts.tools:
        yield Conflict(
            ConflictCode.IP6TABLES_MISSING,
            iptables_command(IPV6),
            "it is not installed, so dockmesh cannot drop packets from hosts outside the mesh",
            "install iptables",
        )


def _router_advertisements(facts: HostFacts) -> Iterator[Conflict]:
    """Default routes that the kernel drops: with accept_ra 1, a host that forwards ignores router advertisements."""
    for route in facts.foreign_routes:
        default = route.prefix.version == IPV6 and route.prefix.prefixlen == 0
        if default and route.protocol == _ROUTER_ADVERTISEMENT and route.device in facts.accepts_ra:
            # With slashes, since a VLAN interface has a dot in its name.
            key = f"net/ipv6/conf/{route.device}/accept_ra"
            yield Conflict(
                ConflictCode.ACCEPT_RA_TOO_LOW,
                key,
                "it is 1, so the host loses its default route, which it learns from router advertisements, as soon as "
                "Docker enables IPv6 forwarding",
                f"sysctl -w {quote(f'{key}=2')}, and the same in /etc/sysctl.d",
            )
