"""What a capture says of pings: a pcap file, read by dpkt."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from io import BytesIO
from ipaddress import IPv4Address
from itertools import islice
from typing import Any, Literal

from dpkt import Error as DpktError
from dpkt import NeedData
from dpkt.ethernet import Ethernet
from dpkt.icmp import (
    ICMP,
    ICMP_ECHO,
    ICMP_ECHOREPLY,
    ICMP_TIMEXCEED,
    ICMP_UNREACH,
    ICMP_UNREACH_FILTER_PROHIB,
    ICMP_UNREACH_HOST,
    ICMP_UNREACH_HOST_PROHIB,
    ICMP_UNREACH_NEEDFRAG,
    ICMP_UNREACH_NET,
    ICMP_UNREACH_NET_PROHIB,
    ICMP_UNREACH_PORT,
)
from dpkt.ip import IP
from dpkt.pcap import DLT_EN10MB, DLT_LINUX_SLL, DLT_RAW, Reader
from dpkt.sll import SLL

from dockmesh.core.host_output import parsing
from dockmesh.error_codes import HostErrorCode
from dockmesh.errors import HostError

EchoKind = Literal["request", "reply", "error"]

_PACKETS = 1000
_KINDS: Mapping[int, EchoKind] = {ICMP_ECHO: "request", ICMP_ECHOREPLY: "reply"}
TTL_EXCEEDED = "time to live exceeded"
_REASONS = {
    ICMP_UNREACH_NET: "network unreachable",
    ICMP_UNREACH_HOST: "host unreachable",
    ICMP_UNREACH_PORT: "port unreachable",
    ICMP_UNREACH_NEEDFRAG: "packet too large",
    ICMP_UNREACH_NET_PROHIB: "prohibited",
    ICMP_UNREACH_HOST_PROHIB: "prohibited",
    ICMP_UNREACH_FILTER_PROHIB: "prohibited",
}
# What stands before the IP packet. A tunnel's interface has nothing there, and Linux' own 12 for that as well.
_LINKS: Mapping[int, Callable[[bytes], Any]] = {
    DLT_EN10MB: Ethernet,
    DLT_LINUX_SLL: SLL,
    DLT_RAW: IP,
    12: IP,
}


@dataclass(frozen=True, slots=True)
class CapturedEcho:
    """An echo that passed, or an error about one: then `identifier` and `sequence` are those of the echo it quotes.

    `sender` and `recipient` are the frame's, None where the link has no such thing. `says` is the error.
    """

    kind: EchoKind
    identifier: int
    sequence: int
    source: IPv4Address
    destination: IPv4Address
    ttl: int
    sender: str | None = None
    recipient: str | None = None
    icmp_error: str | None = None


def parse_capture(pcap: bytes) -> tuple[CapturedEcho, ...]:
    """The pings in a capture, in its order. A packet that was still being written is left out.

    Raises:
        HostError: that is no capture.
    """
    try:
        with parsing("capture"):
            return tuple(_sightings(pcap))
    except DpktError as error:
        raise HostError(
            f"capture: the host answered what is none ({type(error).__name__})", code=HostErrorCode.ANSWER_UNREADABLE
        ) from error


def _sightings(pcap: bytes) -> Iterator[CapturedEcho]:
    reader = Reader(BytesIO(pcap))
    link = _LINKS[reader.datalink()]
    for frame in islice(_frames(reader), _PACKETS):
        outer = link(frame)
        packet = outer if isinstance(outer, IP) else outer.data
        if isinstance(packet, IP) and isinstance(packet.data, ICMP) and (seen := _sighting(packet, packet.data)):
            yield seen if not isinstance(outer, Ethernet) else _with_macs(seen, outer)


def _frames(reader: Reader) -> Iterator[bytes]:
    try:
        for _when, frame in reader:
            yield frame
    except NeedData:
        return


def _sighting(packet: IP, icmp: ICMP) -> CapturedEcho | None:
    quoted = getattr(icmp.data, "data", None)
    if icmp.type in _KINDS:
        return _echo(packet, icmp, _KINDS[icmp.type], None)
    if icmp.type in {ICMP_UNREACH, ICMP_TIMEXCEED} and isinstance(quoted, IP) and isinstance(quoted.data, ICMP):
        says = TTL_EXCEEDED if icmp.type == ICMP_TIMEXCEED else _REASONS.get(icmp.code, "unreachable")
        return _echo(packet, quoted.data, "error", says)
    return None


def _echo(packet: IP, echo: ICMP, kind: EchoKind, says: str | None) -> CapturedEcho | None:
    if not isinstance(echo.data, ICMP.Echo):
        return None
    ends = IPv4Address(packet.src), IPv4Address(packet.dst)
    return CapturedEcho(kind, echo.data.id, echo.data.seq, *ends, packet.ttl, icmp_error=says)


def _with_macs(seen: CapturedEcho, frame: Ethernet) -> CapturedEcho:
    return replace(seen, sender=frame.src.hex(":"), recipient=frame.dst.hex(":"))
