"""What a host offers to be probed: the script that finds it, or makes it, and what its answer says."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address, IPv6Interface
from itertools import islice, repeat

from dockmesh.core.addresses import Address, Interface
from dockmesh.core.facts.iproute import readable_addresses
from dockmesh.core.facts.links import Link, parse_links
from dockmesh.core.host_output import Section, parsing, sanitize
from dockmesh.core.model import Host
from dockmesh.core.probes.join_state import SCRIPT, parse_join_state
from dockmesh.core.probes.model import ProbeTarget
from dockmesh.core.results.model import Failure, FailureCode
from dockmesh.core.templates import Templates

HOLD_S = 120
_CANDIDATES = 16
_NONE = "-"


def target_script(host: Host, texts: Templates, *, offset: int, hold_s: int) -> str:
    """The script that finds, or makes, what `host` offers to be probed, for at most `hold_s` seconds.

    `offset` spreads concurrent runs' choices.
    """
    lines = target_lines(host, offset=offset, hold_s=hold_s)
    return "\n".join((texts.output, texts.probe, *lines, "run_section end true", ""))


def held_target_script(host: Host, texts: Templates, *, offset: int, hold_s: int, observe: bool) -> str:
    """As `target_script`, for `Session.hold`: when it is let go, it ends what it made, and tells what it observed.

    It runs whole or not at all, and to its end also where nobody listens any more.
    """
    made = "$section_text" if host.bridge else ""
    lines = (*target_lines(host, offset=offset, hold_s=hold_s), f"hold {hold_s} {made}")
    if observe and host.prefix:
        prefix6 = host.ipv6.prefix if host.ipv6 else None
        lines = (f"start_observation {host.prefix} {prefix6 or _NONE} &", *lines[:-1], "wait $!", lines[-1])
    function = ("hold_target() {", "trap '' PIPE", "trap : HUP INT TERM", *lines, "}", "hold_target", "")
    return "\n".join((texts.output, texts.probe, texts.observe, *function))


def target_lines(host: Host, *, offset: int, hold_s: int) -> Iterator[str]:
    """What of `target_script` follows output.sh and probe.sh."""
    yield SCRIPT
    if host.bridge:
        bridge6 = host.ipv6.bridge if host.ipv6 else None
        free = _candidates(host.bridge, offset)
        free6 = map(str, _candidates(bridge6, offset)) if bridge6 else repeat(_NONE)
        candidates = (f"{address}/{address6}" for address, address6 in zip(free, free6, strict=False))
        words = (str(hold_s), str(host.bridge), str(bridge6 or _NONE), *candidates)
        yield f"run_section target container_target {' '.join(words)}"


def _candidates(bridge: Interface, offset: int) -> Iterator[Address]:
    """Addresses of docker0's network that are likely to be free: Docker gives its own out from below."""
    network = bridge.network
    count = network.num_addresses - 2
    downwards = (network[1 + (count - 1 - offset - at) % count] for at in range(min(count, 2 * _CANDIDATES)))
    return islice((address for address in downwards if address != bridge.ip), _CANDIDATES)


def parse_target(host: Host, sections: Mapping[str, Section]) -> ProbeTarget:
    """Read the answer of `target_script`.

    Raises:
        HostError: it is not what the script writes.
    """
    itself = ProbeTarget(
        join_state=parse_join_state(sections),
        uplink=_uplink(host, sections),
        addresses=frozenset(_addresses(sections)),
    )
    if not host.docker:
        return _without_docker(host, itself)
    bridges = _bridges(host, itself)
    section = sections["target"]
    if section.status != 0:
        return replace(bridges, error=_no_container(host, section))
    with parsing("target"):
        address, address6, pid, what, mtu = section.text.split()
        return replace(
            bridges,
            container=IPv4Address(address),
            container6=None if address6 == _NONE else IPv6Address(address6),
            pid=int(pid),
            held=what == "namespace",
            mtu=None if mtu == _NONE else int(mtu),
        )


def unreachable_target(host: Host) -> ProbeTarget:
    """What a host that could not be asked offers all the same: the bridge that the inventory gives it."""
    error = Failure(FailureCode.NOT_ASKED, f"{host.name} could not be asked for it")
    return replace(_bridges(host, ProbeTarget()), error=error)


def _bridges(host: Host, itself: ProbeTarget) -> ProbeTarget:
    bridge6 = host.ipv6.bridge if host.ipv6 else None
    own6 = bridge6.ip if isinstance(bridge6, IPv6Interface) else None
    return replace(itself, bridge=host.bridge.ip if host.bridge else None, bridge6=own6)


def _no_container(host: Host, section: Section) -> Failure:
    if section.text == "docker.service is not active":
        reason = f"Docker is not running on {host.name}: systemctl start docker"
        return Failure(FailureCode.DOCKER_STOPPED, reason)
    return Failure(FailureCode.NO_CONTAINER, f"{host.name} has no container to probe: {sanitize(section.text)}")


def _without_docker(host: Host, itself: ProbeTarget) -> ProbeTarget:
    """The addresses such a host has in its prefixes, on whichever bridge."""
    addresses = sorted(itself.addresses, key=int)
    own = (each for each in addresses if isinstance(each, IPv4Address) and host.prefix and each in host.prefix)
    prefix6 = host.ipv6.prefix if host.ipv6 else None
    own6 = (each for each in addresses if isinstance(each, IPv6Address) and prefix6 and each in prefix6)
    return replace(itself, bridge=next(own, None), bridge6=next(own6, None))


def _uplink(host: Host, sections: Mapping[str, Section]) -> Link | None:
    """The interface with the address that peers have as next hop. What is unreadable is passed over."""
    for device, address in readable_addresses(sections["addresses"].lines()):
        if address.ip == host.underlay:
            with suppress(ValueError, IndexError):
                return parse_links(sections["links"].lines()).get(device)
    return None


def _addresses(sections: Mapping[str, Section]) -> Iterator[Address]:
    lines = (*sections["addresses"].lines(), *sections["addresses6"].lines())
    return (address.ip for _device, address in readable_addresses(lines))
