"""Generates the scripts of a trace and parses their output."""

import re
from base64 import b64decode
from collections.abc import Iterator, Mapping, Sequence
from ipaddress import IPv4Address
from shlex import join

from dockmesh.core.addresses import IPV4
from dockmesh.core.host_output import Section, Sections, parsing, sanitize
from dockmesh.core.model import Host
from dockmesh.core.probes import targets
from dockmesh.core.probes.full_size import HEADERS_BYTES
from dockmesh.core.templates import Templates
from dockmesh.core.trace.model import Capture, CapturePlace, Endpoint, EndpointAddress, Point, TraceQuery
from dockmesh.error_codes import HostErrorCode
from dockmesh.errors import HostError

# The report shows one of these pings. The first may be lost while the kernel resolves a neighbour.
COUNT = 3
PING_S = 5
# A host ends its captures and their namespace after this time, even if the controller is gone.
CAPTURE_S = 30
# A looping packet passes a point about 60 times.
_PACKETS = 200
_INTERVAL_S = 0.2
# The kernel reports an unresolved neighbour after three seconds.
_WAIT_S = 3
# A host has a container, a bridge and few uplinks.
_MAX_POINTS = 64
_INTERFACE = re.compile(r"[^\s/\x00-\x1f\x7f]{1,15}")
_NO_MAC = "-"
_MAC = re.compile(rf"[0-9a-f]{{2}}(:[0-9a-f]{{2}}){{5}}|{_NO_MAC}")
_PLACES: Mapping[str, CapturePlace] = {"container": "container", "bridge": "bridge", "uplink": "uplink"}


def find_script(end: Endpoint, texts: Templates, *, offset: int) -> str:
    """Script that finds the container of an end, or creates the probe target of the host."""
    if end.container is None:
        return targets.target_script(end.host, texts, offset=offset, hold_s=CAPTURE_S)
    return _script(texts, f"run_section container {join(('container_addresses', end.container))}")


def parse_endpoint_address(end: Endpoint, sections: Sections) -> EndpointAddress:
    """Parse the output of `find_script`. A container in the host's network namespace has the host's address.

    Raises:
        HostError: the end does not exist or has no address.
    """
    if end.container is not None:
        return _container(end, sections["container"])
    offered = targets.parse_target(end.host, sections)
    if not end.host.docker:
        return EndpointAddress(offered.bridge or end.host.underlay)
    if offered.container is None or offered.pid is None:
        why = offered.error.reason if offered.error else "the inventory has no bridge for this host"
        raise HostError(why, code=HostErrorCode.NO_CONTAINER)
    return EndpointAddress(offered.container, offered.pid, offered.held)


def begin_script(question: TraceQuery, found: Mapping[str, EndpointAddress], host: Host, texts: Templates) -> str:
    """Script that starts the captures on one of the two hosts and ends when they receive packets."""
    there = next(end.host for end in question.ends if end.host != host)
    here, far = found[host.name], found[there.name]
    words = (question.run, str(CAPTURE_S), str(_PACKETS), packet_filter(question.size), str(here.pid))
    addresses = (str(here.address), str(there.underlay), str(far.address))
    return _script(texts, f"run_section points {join(('start_captures', *words, *addresses))}")


def parse_points(host: Host, sections: Sections) -> tuple[Point, ...]:
    """Parse the output of `begin_script`: the points of a host, from its container to its uplinks.

    Raises:
        HostError: the host cannot capture on any of them.
    """
    section = _done(sections["points"], "it cannot capture", HostErrorCode.CAPTURE_FAILED)
    with parsing("points"):
        lines = section.lines()
        if not 0 < len(lines) <= _MAX_POINTS:
            raise ValueError(f"{len(lines)} points")
        points = tuple(_point(host, *line.split(maxsplit=3)) for line in lines)
    if all(point.error for point in points):
        raise HostError(f"it cannot capture: {points[0].error}", code=HostErrorCode.CAPTURE_FAILED)
    return points


def ping_script(question: TraceQuery, found: Mapping[str, EndpointAddress], texts: Templates) -> str:
    """Script that sends the pings from the source."""
    here, far = (found[end.host.name] for end in question.ends)
    words = map(str, (here.pid, COUNT, _INTERVAL_S, _WAIT_S, question.size, here.address, far.address))
    return _script(texts, f"run_section ping ping_from {join(words)}")


def collect_script(question: TraceQuery, found: EndpointAddress, texts: Templates) -> str:
    """Script that ends the captures of a host, prints them and removes the namespace that was created for them."""
    release = f"run_section release release_namespace {found.pid}\n" if found.held else ""
    return _script(texts, f"{release}collect_captures {question.run}")


def parse_captures(points: Sequence[Point], sections: Sections) -> Iterator[Capture]:
    """Parse the output of `collect_script`.

    Raises:
        HostError: a capture is missing, because the time limit ended it.
    """
    for number, point in enumerate(points, 1):
        if point.error:
            yield Capture(point, b"")
            continue
        name = f"capture.{number}"
        if name not in sections:
            raise HostError(
                f"the captures ended at their limit of {CAPTURE_S} s. Fix: trace again",
                code=HostErrorCode.CAPTURE_ENDED,
            )
        with parsing(name):
            yield Capture(point, b64decode("".join(sections[name].lines()), validate=True))


def packet_filter(size: int) -> str:
    """The tcpdump filter for echoes with `size` bytes of payload and for ICMP errors that quote one."""
    length = size + HEADERS_BYTES[IPV4]
    echo = f"ip[2:2] = {length} and (icmp[0] = 8 or icmp[0] = 0)"
    error = f"icmp[10:2] = {length} and (icmp[0] = 3 or icmp[0] = 11)"
    return f"icmp and (({echo}) or ({error}))"


def _script(texts: Templates, line: str) -> str:
    return f"{texts.output}\n{texts.probe}\n{texts.trace}\n{line}\nrun_section end true\n"


def _done(section: Section, what: str, code: HostErrorCode) -> Section:
    if section.status != 0:
        raise HostError(f"{what}: {sanitize(section.text) or f'status {section.status}'}", code=code)
    return section


def _container(end: Endpoint, section: Section) -> EndpointAddress:
    _done(section, "nothing to trace", HostErrorCode.NO_CONTAINER)
    with parsing("container"):
        pid, *listed = section.lines()
        if int(pid) == 0:
            return EndpointAddress(end.host.underlay)
        addresses = [IPv4Address(address) for address in listed]
    if not addresses:
        raise HostError(f"container {end.container} has no address", code=HostErrorCode.NO_CONTAINER_ADDRESS)
    prefix = end.host.prefix
    return EndpointAddress(next((each for each in addresses if prefix and each in prefix), addresses[0]), int(pid))


def _point(host: Host, place: str, interface: str, mac: str, error: str = "") -> Point:
    if not _INTERFACE.fullmatch(interface) or not _MAC.fullmatch(mac):
        raise ValueError(f"{interface} {mac}")
    return Point(host.name, _PLACES[place], interface, None if mac == _NO_MAC else mac, sanitize(error) or None)
