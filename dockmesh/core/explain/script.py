"""Generates the scripts of an explanation and parses their output."""

import re
from dataclasses import dataclass
from ipaddress import IPv4Address
from shlex import join

from dockmesh.core.addresses import IPV4
from dockmesh.core.host_output import Sections
from dockmesh.core.model import Host
from dockmesh.core.netfilter.nft_trace import ProbeTrace, parse_trace
from dockmesh.core.probes import targets
from dockmesh.core.probes.full_size import HEADERS_BYTES, FullSizePing, parse_full_size
from dockmesh.core.probes.ping_output import parse_counts, parse_ttl
from dockmesh.core.templates import Templates
from dockmesh.core.trace.model import Endpoint, EndpointAddress
from dockmesh.core.trace.script import parse_endpoint_address
from dockmesh.errors import HostError

# The time limit of two series of pings, small and full-size.
PROBE_S = 8
COUNT = 3
_INTERVAL_S = 0.2
_WAIT_S = 1
HOLD_S = 60
_SIZE = re.compile(r"^size (\d{1,6})$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class PingResult:
    """Result of the probe. `full_size` is None if no full-size packets were sent."""

    received: int
    ttl: int | None = None
    full_size: FullSizePing | None = None


@dataclass(frozen=True, slots=True)
class PreparedEnd:
    """An end before the probe. `missing` is the reason if the end is missing and `address` is the fallback address.

    `before` has the counters of the firewall rules.
    """

    address: EndpointAddress
    missing: str | None
    before: Sections


def held_script(end: Endpoint, size: int, texts: Templates, *, offset: int) -> str:
    """Script for `Session.hold` that finds the container of an end, or creates the probe target.

    It reads the firewall counters, then traces pings of that size until it is released, and prints the trace.
    """
    if end.container is not None:
        lines = [f"run_section container {join(('container_addresses', end.container))}"]
    else:
        lines = list(targets.target_lines(end.host, offset=offset, hold_s=HOLD_S))
    # A function, so that a truncated copy does nothing.
    trace = f"hold_trace {HOLD_S} {size + HEADERS_BYTES[IPV4]}"
    return _text(texts, "hold_end() {", *lines, "read_counters before", trace, "}", "hold_end", "")


def parse_prepared(end: Endpoint, sections: Sections) -> PreparedEnd:
    """Parse the output of `held_script` before its release."""
    try:
        return PreparedEnd(parse_endpoint_address(end, sections), None, sections)
    except HostError as error:
        return PreparedEnd(EndpointAddress(fallback_address(end.host)), str(error), sections)


def fallback_address(host: Host) -> IPv4Address:
    """The address to probe on a host without a probe target."""
    return host.bridge.ip if host.bridge else host.underlay


def parse_probe_trace(sections: Sections, target: IPv4Address, size: int) -> ProbeTrace | None:
    """Parse the output of `held_script` of that size after its release. The probe went to the address `target`."""
    return parse_trace(sections["probe_trace"].lines(), target, size + HEADERS_BYTES[IPV4])


def probe_script(here: EndpointAddress, far: IPv4Address, size: int, texts: Templates) -> str:
    """Script that sends pings of that size, then full-size pings."""
    small = join(("ping_from", *map(str, (here.pid, COUNT, _INTERVAL_S, _WAIT_S, size, here.address, far))))
    large = join(("full_size_ping", *map(str, (here.pid, here.address, far))))
    return _script(texts, f"run_section ping {small}", f"run_section full_size_ping {large}")


def parse_ping(sections: Sections) -> PingResult:
    """Parse the output of `probe_script`."""
    small, large = sections["ping"].text, sections["full_size_ping"].text
    size = _SIZE.search(large)
    received = next((received for _sent, received in parse_counts(small)), 0)
    return PingResult(received, parse_ttl(small), parse_full_size(int(size[1]), large) if received and size else None)


def snapshot_script(host: Host, peer: Host, here: EndpointAddress, far: IPv4Address, texts: Templates) -> str:
    """Script that reads the counters again and all other state, then removes the namespace of the probe target."""
    words = (here.pid, here.address, host.underlay, peer.underlay, far)
    release = [f"run_section release release_namespace {here.pid}"] if here.held else []
    return _script(texts, join(("read_snapshot", *map(str, words))), *release)


def _script(texts: Templates, *lines: str) -> str:
    return _text(texts, *lines, "run_section end true", "")


def _text(texts: Templates, *lines: str) -> str:
    return "\n".join((texts.output, texts.kernel_settings, texts.probe, texts.trace, texts.explain, *lines))
