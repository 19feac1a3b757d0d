"""Reads the pings in a pcap file."""

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
# Enough for an error and the echo that it quotes. Each level of IP in IP takes a call.
_FRAME_BYTES = 1 << 11
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
# The headers before the IP packet, by link type. A tunnel interface has none, and Linux reports it as 12.
_LINKS: Mapping[int, Callable[[bytes], Any]] = {
    DLT_EN10MB: Ethernet,
    DLT_LINUX_SLL: SLL,
    DLT_RAW: IP,
    12: IP,
}


@dataclass(frozen=True, slots=True)
class CapturedEcho:
    """A captured ICMP echo, or an ICMP error about one.

    For an error, `identifier` and `sequence` are those of the quoted echo. `sender` and `recipient` are the MAC
    addresses of the frame, None on a link without them.
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
    """Read the echoes and ICMP errors of a capture in their order. An incomplete packet at the end is ignored.

    Raises:
        HostError: the text is not a capture.
    """
    try:
        with parsing("capture"):
            return tuple(_echoes(pcap))
    except DpktError as error:
        raise HostError(
            f"capture: the host sent no valid pcap file ({type(error).__name__})", code=HostErrorCode.ANSWER_UNREADABLE
        ) from error


def _echoes(pcap: bytes) -> Iterator[CapturedEcho]:
    reader = Reader(BytesIO(pcap))
    link = _LINKS[reader.datalink()]
    for frame in islice(_frames(reader), _PACKETS):
        outer = link(frame[:_FRAME_BYTES])
        packet = outer if isinstance(outer, IP) else outer.data
        if isinstance(packet, IP) and isinstance(packet.data, ICMP) and (echo := _parse_icmp(packet, packet.data)):
            yield _with_macs(echo, outer) if isinstance(outer, Ethernet) else echo


def _frames(reader: Reader) -> Iterator[bytes]:
    try:
        for _time, frame in reader:
            yield frame
    except NeedData:
        return


def _parse_icmp(packet: IP, icmp: ICMP) -> CapturedEcho | None:
    quoted = getattr(icmp.data, "data", None)
    if icmp.type in _KINDS:
        return _echo(packet, icmp, _KINDS[icmp.type], None)
    if icmp.type in {ICMP_UNREACH, ICMP_TIMEXCEED} and isinstance(quoted, IP) and isinstance(quoted.data, ICMP):
        error = TTL_EXCEEDED if icmp.type == ICMP_TIMEXCEED else _REASONS.get(icmp.code, "unreachable")
        return _echo(packet, quoted.data, "error", error)
    return None


def _echo(packet: IP, echo: ICMP, kind: EchoKind, error: str | None) -> CapturedEcho | None:
    if not isinstance(echo.data, ICMP.Echo):
        return None
    ends = IPv4Address(packet.src), IPv4Address(packet.dst)
    return CapturedEcho(kind, echo.data.id, echo.data.seq, *ends, packet.ttl, icmp_error=error)


def _with_macs(echo: CapturedEcho, frame: Ethernet) -> CapturedEcho:
    return replace(echo, sender=frame.src.hex(":"), recipient=frame.dst.hex(":"))
