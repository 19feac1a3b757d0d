"""The script that finds or creates the probe target of a host, and the parser of its output."""

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

# The shortest limit of a namespace in seconds, which matters if the shell that holds it is killed.
_NAMESPACE_S = 120
_CANDIDATES = 16
_NONE = "-"


def target_script(host: Host, texts: Templates, *, offset: int, hold_s: int) -> str:
    """The script that finds the probe target of `host`, or creates one for at most `hold_s` seconds.

    `offset` makes concurrent runs choose different addresses.
    """
    lines = target_lines(host, offset=offset, hold_s=hold_s)
    return "\n".join((texts.output, texts.probe, *lines, "run_section end true", ""))


def held_target_script(host: Host, texts: Templates, *, offset: int, hold_s: int, observe: bool) -> str:
    """Variant of `target_script` for `Session.hold` that prints the observed pings and cleans up when it ends.

    It waits at most `hold_s` seconds for a further script. The script is one function, so a truncated copy does
    nothing. It also cleans up after the session is lost.
    """
    lines = ["emit_unconfirmed", *target_lines(host, offset=offset, hold_s=max(hold_s, _NAMESPACE_S))]
    if host.bridge:
        lines.append("TARGET=$section_text")
    if observe and host.prefix:
        prefix6 = host.ipv6.prefix if host.ipv6 else None
        lines = [f"start_observation {host.prefix} {prefix6 or _NONE} &", *lines, "wait $!"]
    traps = ("trap '' PIPE", "trap : HUP INT TERM", "trap finish_target EXIT")
    function = ("hold_target() {", f"TARGET= HOLD_S={hold_s}", *traps, *lines, "hold", "}", "hold_target", "")
    return "\n".join((texts.output, texts.probe, texts.observe, *function))


def continued_script(*parts: str) -> str:
    """A further script for the shell of a held target. A truncated copy does nothing."""
    return "\n".join(("{", *parts, "hold", "}", ""))


def target_lines(host: Host, *, offset: int, hold_s: int) -> Iterator[str]:
    """The lines of `target_script` after output.sh and probe.sh."""
    yield SCRIPT
    if host.bridge:
        bridge6 = host.ipv6.bridge if host.ipv6 else None
        free = _candidates(host.bridge, offset)
        free6 = map(str, _candidates(bridge6, offset)) if bridge6 else repeat(_NONE)
        candidates = (f"{address}/{address6}" for address, address6 in zip(free, free6, strict=False))
        arguments = (str(hold_s), str(host.bridge), str(bridge6 or _NONE), *candidates)
        yield f"run_section target container_target {' '.join(arguments)}"


def _candidates(bridge: Interface, offset: int) -> Iterator[Address]:
    """Addresses of docker0's network that are probably free, from the top, because Docker assigns from the bottom."""
    network = bridge.network
    count = network.num_addresses - 2
    downwards = (network[1 + (count - 1 - offset - at) % count] for at in range(min(count, 2 * _CANDIDATES)))
    return islice((address for address in downwards if address != bridge.ip), _CANDIDATES)


def parse_target(host: Host, sections: Mapping[str, Section]) -> ProbeTarget:
    """Parse the output of `target_script`.

    Raises:
        HostError: the section `target` has another form.
    """
    host_only = ProbeTarget(
        join_state=parse_join_state(sections),
        uplink=_uplink(host, sections),
        addresses=frozenset(_addresses(sections)),
    )
    if not host.docker:
        return _without_docker(host, host_only)
    bridges = _with_bridges(host, host_only)
    section = sections["target"]
    if section.status != 0:
        return replace(bridges, error=_no_container(host, section))
    with parsing("target"):
        address, address6, pid, kind, mtu = section.text.split()
        return replace(
            bridges,
            container=IPv4Address(address),
            container6=None if address6 == _NONE else IPv6Address(address6),
            pid=int(pid),
            held=kind == "namespace",
            mtu=None if mtu == _NONE else int(mtu),
        )


def unreachable_target(host: Host) -> ProbeTarget:
    """The target of a host that could not be asked: only the bridge from the inventory."""
    error = Failure(FailureCode.NOT_ASKED, f"{host.name} could not be asked for its container", host.name)
    return replace(_with_bridges(host, ProbeTarget()), error=error)


def _with_bridges(host: Host, target: ProbeTarget) -> ProbeTarget:
    bridge6 = host.ipv6.bridge if host.ipv6 else None
    own6 = bridge6.ip if isinstance(bridge6, IPv6Interface) else None
    return replace(target, bridge=host.bridge.ip if host.bridge else None, bridge6=own6)


def _no_container(host: Host, section: Section) -> Failure:
    if section.text == "docker.service is not active":
        reason = f"Docker is not running on {host.name}. Fix: systemctl start docker"
        return Failure(FailureCode.DOCKER_STOPPED, reason, host.name)
    reason = f"{host.name} has no container to probe: {sanitize(section.text)}"
    return Failure(FailureCode.NO_CONTAINER, reason, host.name)


def _without_docker(host: Host, target: ProbeTarget) -> ProbeTarget:
    """The target with the host's lowest addresses in its prefixes, on any interface."""
    addresses = sorted(target.addresses, key=int)
    own = (each for each in addresses if isinstance(each, IPv4Address) and host.prefix and each in host.prefix)
    prefix6 = host.ipv6.prefix if host.ipv6 else None
    own6 = (each for each in addresses if isinstance(each, IPv6Address) and prefix6 and each in prefix6)
    return replace(target, bridge=next(own, None), bridge6=next(own6, None))


def _uplink(host: Host, sections: Mapping[str, Section]) -> Link | None:
    """The interface with the host's underlay address; None if the sections cannot be parsed."""
    for device, address in readable_addresses(sections["addresses"].lines()):
        if address.ip == host.underlay:
            with suppress(ValueError, IndexError):
                return parse_links(sections["links"].lines()).get(device)
    return None


def _addresses(sections: Mapping[str, Section]) -> Iterator[Address]:
    lines = (*sections["addresses"].lines(), *sections["addresses6"].lines())
    return (address.ip for _device, address in readable_addresses(lines))
