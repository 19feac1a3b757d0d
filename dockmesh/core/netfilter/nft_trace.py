"""The path of a probe through the rules of a host, from the output of `nft monitor trace`."""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import NamedTuple

from dockmesh.core.host_output import parsing, printable

# The kernel reports the connection before its packet, when the number may still be that of another packet.
_EVENT = re.compile(r"trace id (\w+) (\w+) (\S+) (\S+) (?!conntrack: )(.*)")
# Each search goes to the first match only, for linear time.
_PACKET = re.compile(
    r"packet: (?>.*?\bip saddr )(?P<source>\S+) ip daddr (?P<destination>\S+) (?>.*?\bip length )(?P<length>\S+) "
    r"(?>.*?\bicmp type echo-)(?P<type>request|reply)\b"
)
# A rule that was added after the trace began is listed by its handle only. Comments of rules come before the handle.
_RULE = re.compile(r".*\bhandle (?P<handle>\d{1,20}) \(verdict (?P<verdict>\w++)[^()]*+\)")
# nft adds the mark of a packet that has one.
_POLICY = re.compile(r"policy (?P<verdict>\w+)(?: meta mark 0x[0-9a-f]{1,8})?")
TABLE = "dockmesh-explain-"
_LAST_CHAIN = "leaves"
# nft reports so that it did not receive all events, and templates/explain.sh that nft ended early.
_ERROR = "# ERROR: "


class TracedRule(NamedTuple):
    """A rule that a request or a `reply` of the probe matched. `table` has the family; a policy has no handle."""

    reply: bool
    table: str
    chain: str
    handle: int | None


class _Probe(NamedTuple):
    """A request or a `reply` of the probe."""

    reply: bool
    source: IPv4Address


@dataclass(frozen=True, slots=True)
class ProbeTrace:
    """The packets of a probe on one host.

    `matched` and `dropped` count them by rule. `arrived` has False if a request arrived at the host or began there, and
    True if a reply did; `left` likewise for packets that left the host. `sources` are the source addresses of requests
    when they arrived or began.
    """

    matched: Counter[TracedRule]
    dropped: Counter[TracedRule]
    arrived: frozenset[bool]
    left: frozenset[bool]
    sources: frozenset[IPv4Address] = frozenset()


def parse_trace(lines: Iterable[str], target: IPv4Address, length: int) -> ProbeTrace | None:
    """Parse the trace of pings to `target` whose packets have that length; None if it lacks events.

    Before the probe, the host traces a ping of that length to itself. Without its events, the host cannot trace.

    Raises:
        HostError: a source address is unreadable.
    """
    matched, dropped = Counter[TracedRule](), Counter[TracedRule]()
    arrived, left, sources = set[bool](), set[bool](), set[IPv4Address]()
    # The kernel may give several packets the same number, one after another.
    packets: dict[str, _Probe | None] = {}
    traces = False
    for line in map(printable, lines):
        if line.startswith(_ERROR):
            return None
        event = _EVENT.fullmatch(line)
        if event is None:
            continue
        number, family, table, chain, text = event.groups()
        own = table.startswith(TABLE)
        if text.startswith("packet: "):
            packet = _PACKET.match(text)
            probe = packet if packet and packet["length"] == str(length) else None
            traces |= own and probe is not None
            packets[number] = _probe(probe, target) if probe else None
        current = packets.get(number)
        if current is None:
            continue
        reply, source = current
        if own:
            (left if chain == _LAST_CHAIN else arrived).add(reply)
            if chain != _LAST_CHAIN and not reply:
                sources.add(source)
        elif decision := _RULE.fullmatch(text) or _POLICY.fullmatch(text):
            handle = int(decision["handle"]) if "handle" in decision.re.groupindex else None
            key = TracedRule(reply, f"{family} {table}", chain, handle)
            matched[key] += 1
            if decision["verdict"] == "drop":
                dropped[key] += 1
    return ProbeTrace(matched, dropped, frozenset(arrived), frozenset(left), frozenset(sources)) if traces else None


def _probe(packet: re.Match[str], target: IPv4Address) -> _Probe | None:
    """The packet if it is a request to the target or a reply of it."""
    reply = packet["type"] == "reply"
    if packet["source" if reply else "destination"] != str(target):
        return None
    with parsing("trace"):
        return _Probe(reply, IPv4Address(packet["source"]))
