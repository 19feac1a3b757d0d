"""One table of nft: its chains and sets, and their effect on pings that a host forwards, receives or sends.

A rule that is not understood both matches a ping and does not, so a ping can be accepted and dropped.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from ipaddress import IPv4Network
from typing import Literal, NamedTuple

from dockmesh.core.addresses import AddressRange, Network, address_range
from dockmesh.core.netfilter.flow import Flow, merge_ranges
from dockmesh.core.netfilter.iptables_tables import MOST_STEPS
from dockmesh.core.state.resources import NftTable, nft_family_name

Hook = Literal["PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"]
_DEEPEST = 32
_RULES_REMEMBERED = 1 << 14
_ALL_BITS = 0xFFFFFFFF
_HANDLE = re.compile(r" # handle \d+$")
_BASE_CHAIN = re.compile(r"type (?P<type>\w+) hook (?P<hook>\w+) [^;]*;(?: policy (?P<policy>\w+);)?")
# A source NAT to the packet's own source only prevents a later one.
_KEEPS_SOURCE = re.compile(r"snat to ip6? saddr")
_VERDICT = re.compile(
    r"(accept|drop|return|(?:jump|goto) \S+|reject(?: with [\w -]{1,64}+)?|" + _KEEPS_SOURCE.pattern + ")$"
)
# The matches and other statements of a rule. Braces enclose a set, and no set contains another one.
_STATEMENTS = re.compile(
    r"(?P<key>[io]ifname|ip [sd]addr|ct state|icmp type|meta l4proto|ip protocol) (?P<negated>!= )?"
    r"(?P<values>\{[^{}]*\}|\S+)"
    r"|meta mark set (?:meta mark (?P<operator>[&|^]) )?(?P<operand>0x[0-9a-f]{1,8}+)(?! [&|^])(?= |$)"
    r"|(?P<unclear_mark>meta mark set)(?= )"
    r"|(?P<never>meta nfproto ipv6|ip6 \w+|icmpv6 \w+|(?:tcp|udp|sctp|dccp|th) \w+|ct status dnat)(?= )"
    r"|(?P<always>meta nfproto ipv4|counter(?: packets \d+ bytes \d+)?|comment \"[^\"]*\"|limit [^\"]*)"
    r"|(?P<unknown>\S+)"
)


@dataclass(frozen=True)
class NftSet:
    """The elements of a set."""

    elements: Sequence[str | Network]

    @cached_property
    def ranges(self) -> tuple[AddressRange, ...] | None:
        """The addresses in the set; None if an element is not understood."""
        try:
            return merge_ranges(map(_range, self.elements))
        except ValueError:
            return None


def _range(element: str | Network) -> AddressRange:
    return address_range(IPv4Network(element, strict=False) if isinstance(element, str) else element)


@dataclass(frozen=True, slots=True)
class NftRuleset:
    """The chains and the sets of a table. `name` includes the family."""

    name: str = ""
    chains: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    sets: Mapping[str, NftSet] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.chains)


@dataclass(frozen=True, slots=True)
class NftDrop:
    """A rule that drops or rejects the pings of `hosts`; unless `sure`, it only may."""

    hosts: int
    table: str
    chain: str
    rule: str
    sure: bool

    def __str__(self) -> str:
        """The rule and its position."""
        return f"{self.table} {self.chain}: {self.rule}"


def table_ruleset(name: str, lines: Iterable[str]) -> NftRuleset:
    """Return the ruleset of one table, from its lines in the output of nft."""
    chains: dict[str, list[str]] = {}
    sets: dict[str, list[str]] = {}
    blocks: Mapping[str, dict[str, list[str]]] = {"chain": chains, "set": sets, "map": {}}
    block: list[str] = []
    for line in lines:
        words = line.split()
        if words[:1] and words[0] in blocks and words[2:3] == ["{"]:
            block = blocks[words[0]].setdefault(words[1], [])
        elif words and words != ["}"]:
            block.append(_HANDLE.sub("", line))
    return NftRuleset(
        name,
        {chain: tuple(rules) for chain, rules in chains.items()},
        {each: NftSet(_elements(text)) for each, text in sets.items()},
    )


def _elements(lines: Iterable[str]) -> tuple[str, ...]:
    _, _, text = " ".join(lines).partition("elements = ")
    return _listed(text) if text else ()


def own_ruleset(table: NftTable) -> NftRuleset:
    """Return the ruleset of dockmesh's table."""
    parsed = table_ruleset(f"{nft_family_name(table.family)} dockmesh", table.chains)
    return replace(parsed, sets={**parsed.sets, **{each.name: NftSet(each.networks) for each in table.sets}})


def apply_hook(table: NftRuleset, hook: Hook, flow: Flow, hosts: int) -> tuple[Flow, tuple[NftDrop, ...]]:
    """Pass pings of `hosts` through the filter chains of a hook.

    Return the flow with the marks of the pings that pass, and the rules that drop pings, or may.
    """
    chains = tuple(_base_chains(table, "filter", hook))
    if not chains:
        return flow, ()
    packets = _Packets(flow.unmarked & hosts, flow.marked & hosts)
    drops: list[NftDrop] = []
    steps = 0
    for chain in chains:
        walk = _Walk(table, flow, steps)
        walk.begin(chain, packets)
        packets, steps = walk.accepted, walk.steps
        for (name, rule), taken in walk.dropped.items():
            for some, sure in ((taken & ~packets.hosts, True), (taken & packets.hosts, False)):
                if some:
                    drops.append(NftDrop(some, table.name, name, rule, sure))
    return replace(flow, unmarked=packets.unmarked, marked=packets.marked), tuple(drops)


def kept_sources(table: NftRuleset, flow: Flow, hosts: int) -> tuple[int, int]:
    """Return the hosts whose pings certainly keep their source in POSTROUTING, and those whose pings may."""
    kept = other = steps = 0
    for chain in _base_chains(table, "nat", "POSTROUTING"):
        walk = _Walk(table, flow, steps)
        walk.begin(chain, _Packets(hosts, 0))
        steps = walk.steps
        kept |= walk.kept
        other |= walk.accepted.hosts & walk.kept
    return kept & ~other, kept & other


def may_match(rule: str, flow: Flow) -> bool:
    """Whether a rule of any nft table may match the packets of a flow. Sets are unknown."""
    return bool(_compiled(rule).matched({}, flow)[0])


def _base_chains(table: NftRuleset, kind: str, hook: Hook) -> Iterator[str]:
    for name, rules in table.chains.items():
        base = _BASE_CHAIN.match(rules[0]) if rules else None
        if base and (base["type"], base["hook"]) == (kind, hook.lower()):
            yield name


# --- rules ------------------------------------------------------------------------------------------------------------


class _MarkChange(NamedTuple):
    """A statement that sets the mark to `(mark & keep) ^ flip`."""

    keep: int
    flip: int


@dataclass(frozen=True, slots=True)
class _Match:
    """A match of a rule; without a `key`, it is not understood. `listed` has the addresses of a match on these."""

    key: str = ""
    values: tuple[str, ...] = ()
    negated: bool = False
    listed: NftSet | None = None

    def takes(self, sets: Mapping[str, NftSet], flow: Flow) -> int | None:
        """Return the hosts whose pings match; None if the match is not understood."""
        hosts = self._addressed(sets, flow) if self.listed else self._others(flow)
        return hosts if hosts is None or not self.negated else flow.far.all & ~hosts

    def _addressed(self, sets: Mapping[str, NftSet], flow: Flow) -> int | None:
        name = self.values[0]
        elements = sets.get(name.removeprefix("@")) if name.startswith("@") else self.listed
        ranges = elements.ranges if elements else None
        if ranges is None:
            return None
        if (self.key == "ip saddr") is flow.inbound:
            return flow.far.among(ranges)
        return flow.far.all * any(first <= flow.near <= last for first, last in ranges)

    def _others(self, flow: Flow) -> int | None:
        holds = None if self.values[:1] and self.values[0].startswith("@") else self._holds(flow)
        return None if holds is None else flow.far.all * holds

    def _holds(self, flow: Flow) -> bool | None:
        match self.key:
            case "iifname" | "oifname":
                device = flow.in_interface if self.key == "iifname" else flow.out_interface
                return any(_is(device, each) for each in self.values)
            case "ct state":
                return ("established" if flow.reply else "new") in self.values
            case "icmp type":
                return ("echo-reply" if flow.reply else "echo-request") in self.values
            case "meta l4proto" | "ip protocol":
                return not {"icmp", "1"}.isdisjoint(self.values)
            case "never":
                return False
        return None


@dataclass(frozen=True, slots=True)
class _Rule:
    """A compiled rule. A mark change of None has an unknown effect."""

    matches: tuple[_Match, ...]
    marks: tuple[_MarkChange | None, ...]
    verdict: str

    def matched(self, sets: Mapping[str, NftSet], flow: Flow) -> tuple[int, bool]:
        """The hosts whose pings may match, and whether these certainly match."""
        hosts, sure = flow.far.all, True
        for each in self.matches:
            if not hosts:
                break
            taken = each.takes(sets, flow)
            if taken is None:
                sure = False
            else:
                hosts &= taken
        return hosts, sure


@lru_cache(maxsize=_RULES_REMEMBERED)
def _compiled(text: str) -> _Rule:
    verdict = _VERDICT.search(text)
    found = list(_STATEMENTS.finditer(text, 0, verdict.start() if verdict else len(text)))
    marks = tuple(_mark_change(each) for each in found if each["operand"] or each["unclear_mark"])
    return _Rule(tuple(filter(None, map(_match, found))), marks, verdict[1] if verdict else "")


def _match(found: re.Match[str]) -> _Match | None:
    """The match of a statement; None if the statement always continues."""
    if found["key"]:
        values = _listed(found["values"])
        addresses = NftSet(values) if found["key"].endswith("addr") else None
        return _Match(found["key"], values, found["negated"] is not None, addresses)
    if found["never"]:
        return _Match("never")
    return _Match() if found["unknown"] else None


def _mark_change(found: re.Match[str]) -> _MarkChange | None:
    if found["unclear_mark"]:
        return None
    operand = int(found["operand"], 16)
    match found["operator"]:
        case "&":
            return _MarkChange(operand, 0)
        case "|":
            return _MarkChange(_ALL_BITS & ~operand, operand)
        case "^":
            return _MarkChange(_ALL_BITS, operand)
    return _MarkChange(0, operand)


def _listed(text: str) -> tuple[str, ...]:
    return tuple(each.strip(' "') for each in text.strip("{ }").split(","))


def _is(device: str | None, name: str) -> bool:
    if device is None:
        return False
    return device.startswith(name[:-1]) if name.endswith("*") else device == name


# --- walks ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Packets:
    """The hosts whose pings lack dockmesh's mark, and those whose pings have it. If it is not known, both."""

    unmarked: int = 0
    marked: int = 0

    @property
    def hosts(self) -> int:
        return self.unmarked | self.marked

    def among(self, hosts: int) -> "_Packets":
        return _Packets(self.unmarked & hosts, self.marked & hosts)

    def __or__(self, other: "_Packets") -> "_Packets":
        return _Packets(self.unmarked | other.unmarked, self.marked | other.marked)

    def after(self, change: _MarkChange | None, bit: int) -> "_Packets":
        """The packets after a change of their marks."""
        if change is None:
            return _Packets(self.hosts, self.hosts)
        swapped = _Packets(self.marked, self.unmarked) if change.flip & bit else self
        if change.keep & bit:
            return swapped
        return _Packets(0, self.hosts) if change.flip & bit else _Packets(self.hosts, 0)


class _Walk:
    """All possible paths of pings in one base chain of a table. `steps` counts the rules in all chains of the hook."""

    def __init__(self, table: NftRuleset, flow: Flow, steps: int) -> None:
        self._table, self._flow, self.steps = table, flow, steps
        self._matched: dict[str, tuple[int, bool]] = {}
        self.kept = 0
        self.accepted = _Packets()
        self.dropped: dict[tuple[str, str], int] = {}

    def begin(self, chain: str, packets: _Packets) -> None:
        """Follow pings from a base chain to its policy."""
        end = self._through(chain, packets, 0)
        head = self._table.chains[chain][0]
        base = _BASE_CHAIN.match(head)
        self._decide(base["policy"] or "accept" if base else "accept", end, (chain, head), 0)

    def _through(self, name: str, here: _Packets, depth: int) -> _Packets:
        """Follow pings through a chain, and return those that may leave it at its end."""
        out = _Packets()
        for text in self._table.chains.get(name, ()):
            if not here.hosts:
                break
            self.steps += 1
            if self.steps > MOST_STEPS:
                self.accepted |= here
                self.dropped[name, "too many rules"] = here.hosts
                break
            rule = _compiled(text)
            hosts, sure = self._match(text, rule)
            took = here.among(hosts)
            if not took.hosts or not (rule.verdict or rule.marks):
                continue
            for change in rule.marks:
                took = took.after(change, self._flow.mark)
            rest = here.among(~hosts) if sure else here
            back = self._decide(rule.verdict, took, (name, text), depth)
            if rule.verdict and not rule.verdict.startswith("jump "):
                out, here = out | back, rest
            else:
                here = rest | back
        return out | here

    def _match(self, text: str, rule: _Rule) -> tuple[int, bool]:
        if text not in self._matched:
            self._matched[text] = rule.matched(self._table.sets, self._flow)
        return self._matched[text]

    def _decide(self, verdict: str, took: _Packets, where: tuple[str, str], depth: int) -> _Packets:
        """Apply a verdict, and return the pings that continue."""
        match verdict.partition(" "):
            case ("jump" | "goto", _, chain):
                return took if depth >= _DEEPEST else self._through(chain, took, depth + 1)
            case ("return" | "", _, _):
                return took
            case ("accept", _, _):
                self.accepted |= took
            case ("snat", _, _):
                self.kept |= took.hosts
            case _ if took.hosts:
                self.dropped[where] = self.dropped.get(where, 0) | took.hosts
        return _Packets()
