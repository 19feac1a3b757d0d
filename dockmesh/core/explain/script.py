"""The scripts that look at the two hosts of a way around one probe, and what their answers say."""

import re
from dataclasses import dataclass
from ipaddress import IPv4Address
from shlex import join

from dockmesh.core.host_output import Sections
from dockmesh.core.model import Host
from dockmesh.core.probes import targets
from dockmesh.core.probes.full_size import FullSizePing, parse_full_size
from dockmesh.core.probes.ping_output import parse_counts, parse_ttl
from dockmesh.core.templates import Templates
from dockmesh.core.trace.model import Endpoint, EndpointAddress
from dockmesh.core.trace.script import parse_endpoint_address
from dockmesh.errors import HostError

# Three pings a fifth of a second apart, one second each; twice, for the large ones.
PROBE_S = 8
_COUNT = 3
_INTERVAL_S = 0.2
_WAIT_S = 1
_PAYLOAD_BYTES = 56
HOLD_S = 60
_SIZE = re.compile(r"^size (\d{1,6})$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class PingResult:
    """What came of the probe. `whole`: of the packets of full size, None where none were sent."""

    received: int
    ttl: int | None = None
    full_size: FullSizePing | None = None


@dataclass(frozen=True, slots=True)
class PreparedEnd:
    """An end before the probe: where it is, or what stands in for it and why; and the rules' counters."""

    address: EndpointAddress
    missing: str | None
    before: Sections


def find_script(end: Endpoint, texts: Templates, *, offset: int) -> str:
    """The script that finds the container of an end, or makes what status probes, and counts the rules."""
    if end.container is not None:
        lines = [f"run_section container {join(('container_addresses', end.container))}"]
    else:
        lines = list(targets.target_lines(end.host, offset=offset, hold_s=HOLD_S))
    return _script(texts, *lines, "read_counters before")


def parse_prepared(end: Endpoint, sections: Sections) -> PreparedEnd:
    """Read the answer of `find_script`."""
    try:
        return PreparedEnd(parse_endpoint_address(end, sections), None, sections)
    except HostError as error:
        return PreparedEnd(EndpointAddress(fallback_address(end.host)), str(error), sections)


def fallback_address(host: Host) -> IPv4Address:
    """What is asked of a host that has nothing to be probed."""
    return host.bridge.ip if host.bridge else host.underlay


def probe_script(here: EndpointAddress, far: IPv4Address, texts: Templates) -> str:
    """The script that pings; with large packets, if small ones are answered."""
    small = join(("ping_from", *map(str, (here.pid, _COUNT, _INTERVAL_S, _WAIT_S, _PAYLOAD_BYTES, here.address, far))))
    large = join(("full_size_ping", *map(str, (here.pid, here.address, far))))
    return _script(texts, f"run_section ping {small}", f"run_section full_size_ping {large}")


def parse_ping(sections: Sections) -> PingResult:
    """Read the answer of `probe_script`."""
    small, large = sections["ping"].text, sections["full_size_ping"].text
    size = _SIZE.search(large)
    received = next((received for _sent, received in parse_counts(small)), 0)
    return PingResult(received, parse_ttl(small), parse_full_size(int(size[1]), large) if received and size else None)


def snapshot_script(host: Host, peer: Host, here: EndpointAddress, far: IPv4Address, texts: Templates) -> str:
    """The script that counts again, looks at everything else, and releases what was made for the probe."""
    words = (here.pid, here.address, host.underlay, peer.underlay, far)
    release = [f"run_section release release_namespace {here.pid}"] if here.held else []
    return _script(texts, join(("read_snapshot", *map(str, words))), *release)


def _script(texts: Templates, *lines: str) -> str:
    own = (texts.output, texts.kernel_settings, texts.probe, texts.trace, texts.explain)
    return "\n".join((*own, *lines, "run_section end true", ""))
