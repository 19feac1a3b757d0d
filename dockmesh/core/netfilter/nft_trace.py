"""The path of a probe through the rules of a host, from the output of `nft monitor trace`."""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import NamedTuple

from dockmesh.core.host_output import printable

_EVENT = re.compile(r"trace id (\w+) (\w+) (\S+) (\S+) (.*)")
_PACKET = re.compile(r"packet: .*\bip saddr ([\d.]+) ip daddr ([\d.]+) .*\bicmp type echo-(request|reply)\b")
# A rule that was added after the trace began is listed by its handle only. Comments of rules come before the handle.
_RULE = re.compile(r".*\bhandle (?P<handle>\d+) \(verdict (?P<verdict>\w+)[^()]*\)")
_POLICY = re.compile(r"policy (?P<verdict>\w+)")
TABLE = "dockmesh-explain-"
_LAST_CHAIN = "leaves"


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


def parse_trace(lines: Iterable[str], target: IPv4Address) -> ProbeTrace | None:
    """Parse the trace of pings to `target`; None if the host cannot trace.

    Before the probe, the host traces a ping to itself. An output without events therefore means that it cannot.
    """
    matched, dropped = Counter[TracedRule](), Counter[TracedRule]()
    arrived, left = set[bool](), set[bool]()
    # The kernel may give several packets the same number, one after another.
    replies: dict[str, bool | None] = {}
    events = [found for line in lines if (found := _EVENT.fullmatch(printable(line)))]
    for number, family, table, chain, text in (found.groups() for found in events):
        if text.startswith("packet: "):
            replies[number] = _reply(text, target)
        reply = replies.get(number)
        if reply is None:
            continue
        if table.startswith(TABLE):
            (left if chain == _LAST_CHAIN else arrived).add(reply)
        elif decision := _RULE.fullmatch(text) or _POLICY.fullmatch(text):
            handle = int(decision["handle"]) if "handle" in decision.re.groupindex else None
            key = TracedRule(reply, f"{family} {table}", chain, handle)
            matched[key] += 1
            if decision["verdict"] == "drop":
                dropped[key] += 1
    return ProbeTrace(matched, dropped, frozenset(arrived), frozenset(left)) if events else None


def _reply(text: str, target: IPv4Address) -> bool | None:
    """Whether the packet is a reply of the target; None if it is no packet of the probe."""
    found = _PACKET.match(text)
    if found is None:
        return None
    reply = found[3] == "reply"
    return reply if found[1 if reply else 2] == str(target) else None
