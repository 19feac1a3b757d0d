"""Full-size probes: pings with DF set and the MTU of both ends."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from dockmesh.core.addresses import IPV4, IPV6, Family
from dockmesh.core.probes.ping_output import parse_counts
from dockmesh.core.results.model import Failure, FailureCode

# The IP header and the ICMP header.
HEADERS_BYTES: Mapping[Family, int] = {IPV4: 28, IPV6: 48}

_REFUSED = re.compile("Frag needed|Packet too big")
_MTU = re.compile(r"mtu ?= ?(\d{1,6})")


class Uplink(NamedTuple):
    """A host's interface to its peers, with its MTU in bytes. The smallest MTU sorts first."""

    mtu: int
    host: str
    device: str


@dataclass(frozen=True, slots=True)
class FullSizePing:
    """The result of pings with packets of `size` bytes; `received` is the number of replies.

    `path_mtu`: the MTU in bytes that an ICMP error reported. `cached_pmtu`: the kernel of the source rejected the
    packets because of a path MTU that it had cached, so no packet was sent.
    """

    size: int
    received: int
    path_mtu: int | None = None
    cached_pmtu: bool = False


def parse_full_size(size: int, output: str) -> FullSizePing | None:
    """Parse ping output. None if ping did not run, for example a ping without the option -M."""
    counts, mtu = parse_counts(output), _MTU.search(output)
    if not counts:
        return None
    cached = "local error" in output and not _REFUSED.search(output)
    return FullSizePing(size, sum(received for _sent, received in counts), int(mtu[1]) if mtu else None, cached)


def loss_failure(ping: FullSizePing, uplink: Uplink | None) -> Failure:
    """The failure of a pair that loses full-size packets only. `uplink`: the smaller uplink of its two hosts."""
    if uplink and uplink.mtu < ping.size:
        return Failure(
            FailureCode.UPLINK_TOO_SMALL,
            f"packets of {ping.size} bytes are lost at {uplink.host}: the MTU of {uplink.device} is {uplink.mtu}. "
            "Fix: dockmesh apply, which sets the MTU of docker0",
            about=uplink.host,
        )
    limit = f" (the path MTU is {ping.path_mtu})" if ping.path_mtu else ""
    remedy = f"set an MTU of at least {ping.size} on all devices between the hosts"
    return Failure(FailureCode.MTU, f"packets of {ping.size} bytes are lost between the hosts{limit}. Fix: {remedy}")
