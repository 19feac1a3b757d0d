"""Packets of full size that nobody may cut: whether they get through."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from dockmesh.core.addresses import IPV4, IPV6, Family
from dockmesh.core.probes.ping_output import parse_counts
from dockmesh.core.results.model import Failure, FailureCode

# That of IP and that of ICMP.
HEADERS_BYTES: Mapping[Family, int] = {IPV4: 28, IPV6: 48}

_REFUSED = re.compile("Frag needed|Packet too big")
_MTU = re.compile(r"mtu ?= ?(\d{1,6})")


class Uplink(NamedTuple):
    """The MTU of a host's interface for its peers, the host, and the interface. The smallest MTU sorts first."""

    mtu: int
    host: str
    device: str


@dataclass(frozen=True, slots=True)
class FullSizePing:
    """What came of packets of `size` bytes. `told_mtu`: how large they may be, by a host that could not hand them on.

    `remembered`: they were not sent, as the sender had been told so some minutes ago.
    """

    size: int
    received: int
    path_mtu: int | None = None
    cached_pmtu: bool = False


def parse_full_size(size: int, said: str) -> FullSizePing | None:
    """Read what ping said of them; None where it did not send any, as one that knows no `-M`."""
    counts, told = parse_counts(said), _MTU.search(said)
    if not counts:
        return None
    remembered = "local error" in said and not _REFUSED.search(said)
    return FullSizePing(size, sum(received for _sent, received in counts), int(told[1]) if told else None, remembered)


def loss_failure(found: FullSizePing, uplink: Uplink | None) -> Failure:
    """Why a pair fails where small packets arrive and these do not. `uplink`: the smallest of its hosts."""
    if uplink and uplink.mtu < found.size:
        return Failure(
            FailureCode.UPLINK_TOO_SMALL,
            f"packets of {found.size} bytes do not get to and from {uplink.host}, whose {uplink.device} takes "
            f"{uplink.mtu}: dockmesh apply, which gives docker0 that MTU",
            about=uplink.host,
        )
    most = f", {found.path_mtu} at most" if found.path_mtu else ""
    remedy = f"ask for an MTU of {found.size} on all that is between the hosts"
    return Failure(FailureCode.MTU, f"packets of {found.size} bytes do not get there{most}: {remedy}")
