"""The reply to each probe of a row, as templates/probe.pl or ping prints it."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import NamedTuple

from dockmesh.core.addresses import IPV4, IPV6, Address
from dockmesh.core.host_output import Section, sanitize
from dockmesh.core.probes.full_size import FullSizePing, parse_full_size
from dockmesh.core.probes.ping_output import parse_counts, parse_rtts, parse_ttl

# The texts of a few pings have less than 1000 characters.
_MAX_CHARACTERS = 1 << 12

_LINE = re.compile(r"(\d{1,6}) (?:([.+]) )?(.*)")
_NUMBER = r"(\d{1,9}|-)"
_PROBER = re.compile(
    rf"(\d{{1,6}}) (\d{{1,6}}) (\d{{1,3}}|-) {_NUMBER} {_NUMBER} {_NUMBER} (passed|lost|local|-) (\d{{1,6}}|-) (.*)"
)
_ICMP = re.compile(r"icmp ([\da-f.:]{2,45}) (\d{1,3}) (\d{1,3})")
# The address is possessive, so that no two parts of the expression can share characters.
_PING_ERROR = re.compile(
    r"From (\S++) .*?"
    r"(Destination [A-Za-z ]+(?:: Address unreachable)?|Time to live exceeded|Packet filtered|Frag[a-z]+ needed)"
)
_FROM = re.compile(r"\bbytes from (\S{1,50})")
# The source itself reports these, for IPv4 and IPv6, if ARP or neighbour discovery for the next hop gets no reply.
_NEXT_HOP_DEAD = ("Destination Host Unreachable", "Destination unreachable: Address unreachable")
# The messages of ping, by family, type and code.
_MESSAGES: Mapping[tuple[int, int, int], str] = {
    (IPV4, 3, 0): "Destination Net Unreachable",
    (IPV4, 3, 1): _NEXT_HOP_DEAD[0],
    (IPV4, 3, 2): "Destination Protocol Unreachable",
    (IPV4, 3, 3): "Destination Port Unreachable",
    (IPV4, 3, 9): "Destination Net Prohibited",
    (IPV4, 3, 10): "Destination Host Prohibited",
    (IPV4, 3, 13): "Packet filtered",
    (IPV4, 11, 0): "Time to live exceeded",
    (IPV6, 1, 0): "Destination unreachable: No route",
    (IPV6, 1, 1): "Destination unreachable: Administratively prohibited",
    (IPV6, 1, 3): _NEXT_HOP_DEAD[1],
    (IPV6, 1, 4): "Destination unreachable: Port unreachable",
    (IPV6, 3, 0): "Time to live exceeded",
}


class SentPacket(NamedTuple):
    """The destination of a probe, and the length in bytes of its full-size packet, if it has one."""

    to: Address
    size: int | None = None


class IcmpError(NamedTuple):
    """An ICMP error about a probe. `address`: None if the text of ping has no valid address."""

    address: Address | None
    message: str

    @property
    def next_hop_dead(self) -> bool:
        """Whether the next hop is dead if the source of the probe is the sender of the error."""
        return self.message in _NEXT_HOP_DEAD


@dataclass(frozen=True, slots=True)
class Reply:
    """The packets of one probe, and the replies.

    `rtts_ms`: minimum, mean and maximum of the round trips. `full_size`: None if there was no full-size packet.
    `problem`: why the source could not send.
    """

    sent: int
    received: int
    ttl: int | None = None
    rtts_ms: tuple[float, float, float] | None = None
    full_size: FullSizePing | None = None
    error: IcmpError | None = None
    problem: str | None = None


def parse_replies(section: Section, sent: Mapping[int, SentPacket]) -> dict[int, Reply]:
    """Parse the replies to `sent` by the index of the probe. Skips lines that it cannot parse."""
    replies: dict[int, Reply] = {}
    pings: dict[int, dict[str, str]] = {}
    for line in section.lines():
        match = _LINE.fullmatch(line)
        packet = sent.get(int(match[1])) if match else None
        if match and packet:
            index, mark, text = int(match[1]), match[2], match[3]
            if mark:
                pings.setdefault(index, {})[mark] = text[:_MAX_CHARACTERS]
            elif fields := _PROBER.fullmatch(text):
                replies[index] = _prober_reply(fields.groups(), packet.size)
    return replies | {index: _ping_reply(texts, sent[index]) for index, texts in pings.items()}


def _prober_reply(fields: tuple[str, ...], size: int | None) -> Reply:
    sent, received, ttl, least, mean, most, full, path_mtu, error = fields
    trips = [int(each) / 1000 for each in (least, mean, most) if each != "-"]
    kind, _, text = error.partition(" ")
    return Reply(
        int(sent),
        int(received),
        None if ttl == "-" else int(ttl),
        (trips[0], trips[1], trips[2]) if len(trips) == len(("min", "mean", "max")) else None,
        _full_size(size, full, path_mtu),
        _icmp_error(error),
        sanitize(text) if kind == "send" else None,
    )


def _full_size(size: int | None, full: str, path_mtu: str) -> FullSizePing | None:
    if size is None or full == "-":
        return None
    return FullSizePing(size, int(full == "passed"), None if path_mtu == "-" else int(path_mtu) or None)


def _icmp_error(text: str) -> IcmpError | None:
    match = _ICMP.fullmatch(text)
    address = _address(match[1]) if match else None
    if match is None or address is None:
        return None
    kind, code = int(match[2]), int(match[3])
    return IcmpError(address, _MESSAGES.get((address.version, kind, code), f"ICMP type {kind} code {code}"))


def _ping_reply(texts: Mapping[str, str], packet: SentPacket) -> Reply:
    """The reply to the full-size ping (`+`) if there is one, otherwise to the small one (`.`)."""
    large, small = texts.get("+", ""), texts.get(".", "")
    full_size = parse_full_size(packet.size, large) if packet.size else None
    text = large if full_size and full_size.received else small or large
    counts = parse_counts(text)
    if not counts:
        return Reply(0, 0, problem=sanitize(text.replace("|", " ")))
    sent, received = counts[0]
    if any(_address(each.rstrip(":")) != packet.to for each in _FROM.findall(text)):
        # Ping also counts the replies to another ping with its id.
        return Reply(sent, 0)
    error = next(_ping_errors(text), None)
    return Reply(sent, received, parse_ttl(text), parse_rtts(text), full_size, error)


def _ping_errors(text: str) -> Iterator[IcmpError]:
    for match in filter(None, map(_PING_ERROR.match, text.split("|"))):
        yield IcmpError(_address(match[1].rstrip(":")), sanitize(match[2]))


def _address(text: str) -> Address | None:
    try:
        return ip_address(text)
    except ValueError:
        return None
