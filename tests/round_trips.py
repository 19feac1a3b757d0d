"""Count of the TCP round trips between the controller and each host, from their frames.

A round trip is a step of the longest chain in which each segment waits for the one before. An end waits for data, or
its kernel keeps data back until an acknowledgement arrives, such as by the algorithm of Nagle.
"""

from collections import Counter
from dataclasses import dataclass, field
from ipaddress import IPv4Address

_ETHERNET, _IPV4, _TCP = 14, b"\x08\x00", 6
_SYN = 0x02
# A kernel sends what it kept back when the acknowledgement arrives, so later segments do not wait for that.
_PROMPT_S = 0.02


@dataclass(frozen=True, slots=True)
class Segment:
    """A TCP segment between the controller and a host. A `loaded` one has data or starts a connection."""

    host: bytes
    to_host: bool
    starts: bool
    loaded: bool


def segment(frame: bytes, *, to_host: bool) -> Segment | None:
    """The TCP segment of an IPv4 frame; None for every other frame."""
    packet = frame[_ETHERNET:]
    if frame[12:_ETHERNET] != _IPV4 or packet[9] != _TCP:
        return None
    head = (packet[0] & 0x0F) * 4
    data = int.from_bytes(packet[2:4], "big") - head - (packet[head + 12] >> 4) * 4
    starts = bool(packet[head + 13] & _SYN)
    return Segment(packet[16:20] if to_host else packet[12:16], to_host, starts, starts or data > 0)


@dataclass(slots=True)
class End:
    """The longest chain that has arrived at one end, and that of the last acknowledgement with the time of arrival."""

    chain: int = 0
    acknowledged: int = 0
    at: float = float("-inf")

    def arrived(self, sent: Segment, chain: int, now: float) -> None:
        """A segment with this chain arrives."""
        if sent.loaded:
            self.chain = max(self.chain, chain)
        else:
            self.acknowledged, self.at = chain, now

    def reached(self, now: float) -> int:
        """The chain for which a segment waited that this end sends."""
        return max(self.chain, self.acknowledged) if now - self.at <= _PROMPT_S else self.chain


@dataclass(slots=True)
class Tally:
    """Round trips and connections of each host. A segment counts on arrival."""

    ends: dict[tuple[bytes, bool], End] = field(default_factory=dict)
    connections: Counter[bytes] = field(default_factory=Counter)

    def depart(self, sent: Segment, now: float) -> int:
        """The chain of a segment that an end sends. A request of the controller starts a round trip."""
        if sent.to_host:
            self.connections[sent.host] += sent.starts
        return self._end(sent.host, on_host=not sent.to_host).reached(now) + sent.to_host

    def arrive(self, sent: Segment, chain: int, now: float) -> None:
        """A segment with this chain arrives."""
        self._end(sent.host, on_host=sent.to_host).arrived(sent, chain, now)

    def document(self) -> dict[str, dict[str, int]]:
        """Figures by host address."""
        return {
            str(IPv4Address(host)): {"round_trips": self._end(host, on_host=False).chain, "connections": started}
            for host, started in self.connections.items()
        }

    def _end(self, host: bytes, *, on_host: bool) -> End:
        return self.ends.setdefault((host, on_host), End())
