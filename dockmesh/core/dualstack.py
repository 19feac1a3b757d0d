"""What speaks against IPv6 on a host that shall have a part in the mesh of it."""

from collections.abc import Iterator
from ipaddress import IPv6Interface

from dockmesh.core.addresses import IPV6
from dockmesh.core.daemon import BIP6, IPV6_KEYS, first_of
from dockmesh.core.dockerd import DockerFacts
from dockmesh.core.facts import HostFacts
from dockmesh.core.firewall import iptables
from dockmesh.core.model import Host
from dockmesh.core.plan import Conflict
from dockmesh.core.state import FORWARDING

_ROUTER_ADVERTISEMENT = "ra"


def against_ipv6(host: Host, facts: HostFacts) -> Iterator[Conflict]:
    """Every conflict of `host` with what the inventory says of its IPv6; none where it says nothing."""
    if host.ipv6 is None:
        return
    switch = facts.actual.forwarding(IPV6)
    if switch is None:
        yield Conflict("ipv6", "is not in the kernel of the host: take underlay6 and prefix6 out of the inventory")
    elif host.ipv6.prefix and not host.docker and not switch.on:
        key = FORWARDING[IPV6]
        yield Conflict(key, f"is 0, so {host.ipv6.prefix} cannot be reached: sysctl -w {key}=1")
    if isinstance(host.ipv6.bridge, IPv6Interface) and facts.docker:
        yield from _docker0(host.ipv6.bridge, facts, facts.docker)
        if switch and not switch.on:
            yield from _router_advertisements(facts)


def overriding(argument: str, docker: DockerFacts) -> Conflict:
    """Dockerd is started with an argument about what daemon.json shall say."""
    return Conflict(
        "docker",
        f"dockerd is started with {argument}, which daemon.json cannot override: take the flag out of "
        f"{docker.fragment or 'its unit'} or its drop-ins",
    )


def _docker0(bridge: IPv6Interface, facts: HostFacts, docker: DockerFacts) -> Iterator[Conflict]:
    for argument in docker.arguments:
        if argument.split("=")[0].removeprefix("--") in IPV6_KEYS:
            yield overriding(argument, docker)
    if docker.nftables:
        yield Conflict("docker", "writes its rules with nftables, with which dockmesh joins hosts by IPv4 alone so far")
    first = first_of(bridge.network)
    if docker.major < BIP6 and bridge != first:
        yield Conflict(
            str(bridge),
            f"cannot be docker0's: before version {BIP6}, Docker gives it the first address of its network: "
            f"set bridge6 to {first}",
        )
    if iptables(IPV6) not in facts.tools:
        yield Conflict(iptables(IPV6), "is not installed, and nothing would keep others out: install iptables")


def _router_advertisements(facts: HostFacts) -> Iterator[Conflict]:
    """A host that forwards passes router advertisements over, and so loses its way out (kernel, accept_ra)."""
    for route in facts.foreign_routes:
        out = route.prefix.version == IPV6 and route.prefix.prefixlen == 0
        if out and route.protocol == _ROUTER_ADVERTISEMENT and route.device in facts.takes_ra:
            # With slashes, since the name of a VLAN's interface has a dot in it.
            key = f"net/ipv6/conf/{route.device}/accept_ra"
            yield Conflict(
                key,
                "is 1: as soon as Docker forwards IPv6, the host would lose its default route, which comes by router "
                f"advertisements: sysctl -w {key}=2, and the same in /etc/sysctl.d",
            )
