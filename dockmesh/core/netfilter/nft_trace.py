"""The path of a probe through the rules of a host, from the output of `nft monitor trace`."""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import NamedTuple

from dockmesh.core.host_output import printable

_EVENT = re.compile(r"trace id (\w+) (\w+) (\S+) (\S+) (.*)")
# Each search goes to the first match only, for linear time.
_PACKET = re.compile(
    r"packet: (?>.*?\bip saddr )(?P<source>\S+) ip daddr (?P<destination>\S+) (?>.*?\bip length )(?P<length>\S+) "
    r"(?>.*?\bicmp type echo-)(?P<type>request|reply)\b"
)
# A rule that was added after the trace began is listed by its handle only. Comments of rules come before the handle.
_RULE = re.compile(r".*\bhandle (?P<handle>\d{1,20}) \(verdict (?P<verdict>\w++)[^()]*+\)")
_POLICY = re.compile(r"policy (?P<verdict>\w+)")
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


@dataclass(frozen=True, slots=True)
class ProbeTrace:
    """The packets of a probe on one host.

    `matched` and `dropped` count them by rule. `arrived` has False if a request arrived at the host or began there, and
    True if a reply did; `left` likewise for packets that left the host.
    """

    matched: Counter[TracedRule]
    dropped: Counter[TracedRule]
    arrived: frozenset[bool]
    left: frozenset[bool]


def parse_trace(lines: Iterable[str], target: IPv4Address, length: int) -> ProbeTrace | None:
    """Parse the trace of pings to `target` whose packets have that length; None if it lacks events.

    Before the probe, the host traces a ping of that length to itself. Without its events, the host cannot trace.
    """
    matched, dropped = Counter[TracedRule](), Counter[TracedRule]()
    arrived, left = set[bool](), set[bool]()
    # The kernel may give several packets the same number, one after another.
    replies: dict[str, bool | None] = {}
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
            replies[number] = _reply(probe, target) if probe else None
        reply = replies.get(number)
        if reply is None:
            continue
        if own:
            (left if chain == _LAST_CHAIN else arrived).add(reply)
        elif decision := _RULE.fullmatch(text) or _POLICY.fullmatch(text):
            handle = int(decision["handle"]) if "handle" in decision.re.groupindex else None
            key = TracedRule(reply, f"{family} {table}", chain, handle)
            matched[key] += 1
            if decision["verdict"] == "drop":
                dropped[key] += 1
    return ProbeTrace(matched, dropped, frozenset(arrived), frozenset(left)) if traces else None


def _reply(packet: re.Match[str], target: IPv4Address) -> bool | None:
    """Whether the packet is a reply of the target; None if it is neither that nor a request to it."""
    reply = packet["type"] == "reply"
    return reply if packet["source" if reply else "destination"] == str(target) else None
