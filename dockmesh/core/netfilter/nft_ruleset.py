"""Native nft tables: rules that may drop a packet, and the rules with which dockmesh marks packets."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv4Network

from dockmesh.core.addresses import address_range
from dockmesh.core.host_output import Section, parsing, printable
from dockmesh.core.names import FORWARD_CHAIN
from dockmesh.core.netfilter import firewalld
from dockmesh.core.netfilter.counters import CountedRule, Packet
from dockmesh.core.netfilter.flow import AddressBits, union

DOCKERS = "ip docker-bridges"
OWN = "ip dockmesh"
# Tables of iptables-nft, whose rules are read with iptables-save.
_IPTABLES = frozenset({"ip filter", "ip nat", "ip raw", "ip mangle", "ip security"})
_HOOK = re.compile(r"type filter hook (\w+)\b.*?(?:policy (\w+))?;?")
_COUNTER = re.compile(r"counter packets (\d+) bytes \d+ ?")
_VERDICT = re.compile(r"\b(drop|reject)\b")
_MARKS = re.compile(r'iifname "([^"]+)" ip saddr ([\d./]+) .*\bcounter packets (\d+) .* accept\b')
_ABOUT = re.compile(r"\bip ([sd])addr (!= )?([\d./]+)(?= )")
_ALWAYS = {"prerouting", "postrouting"}
_ADDRESS = re.compile(r"\bip [sd]addr ([\d./]+) ")
_PORTS = re.compile(r"\b(?:tcp|udp|th) [sd]port\b")
_QUOTED = re.compile(r'"[^"]*"')


@dataclass(frozen=True, slots=True)
class DropRule:
    """A rule that drops or rejects, or a policy if `text` is empty. `packets` is None without a counter.

    nft deletes the rule by its `handle`.
    """

    table: str
    chain: str
    text: str
    packets: int | None
    handle: int | None = None


def mark_rules(before: Section, after: Section) -> tuple[CountedRule, ...]:
    """Return the mark rules of dockmesh's table, as the equivalent accepts of iptables.

    Raises:
        HostError: a rule is unreadable.
    """
    old: dict[str, int] = dict(_marks(before))
    return tuple(
        CountedRule("filter", FORWARD_CHAIN, text, "ACCEPT", max(0, packets - old.get(text, 0)))
        for text, packets in _marks(after)
    )


def _marks(section: Section) -> Iterator[tuple[str, int]]:
    for line in _tables(section).get(OWN, {}).get("forward", []):
        if found := _MARKS.match(line):
            with parsing("table ip dockmesh"):
                yield f"-s {IPv4Network(found[2])} -i {found[1]}", int(found[3])


def foreign_drops(before: Section, after: Section, packet: Packet) -> tuple[DropRule, ...]:
    """Return the foreign rules that may drop such a packet; those without a counter come last."""
    drops = _drops(before, after, packet, lambda table: table not in {*_IPTABLES, OWN, DOCKERS, firewalld.TABLE})
    return tuple(sorted(drops, key=lambda each: each.packets is None))


def drops_in(table: str, before: Section, after: Section, packet: Packet) -> tuple[DropRule, ...]:
    """Return the rules of a table that counted such packets and dropped them."""
    return tuple(each for each in _drops(before, after, packet, table.__eq__) if each.packets)


def hosts_named(rule: str, roles: Iterable[AddressBits]) -> int | None:
    """Return the hosts whose address a rule names; None if it may match any packet, 0 if it matches no ping."""
    if _PORTS.search(_QUOTED.sub("", rule)):
        return 0
    found = _ADDRESS.search(rule)
    if found is None:
        return None
    try:
        network = address_range(IPv4Network(found[1], strict=False))
    except ValueError:
        return None
    return union(far[network] for far in roles)


def _drops(before: Section, after: Section, packet: Packet, in_scope: Callable[[str], bool]) -> Iterator[DropRule]:
    old = {(each.table, each.chain, each.text): each.packets for each in _all(before, packet, in_scope)}
    for each in _all(after, packet, in_scope):
        count = None if each.packets is None else each.packets - (old.get((each.table, each.chain, each.text)) or 0)
        if count is None or count > 0:
            yield replace(each, packets=count)


def _all(section: Section, packet: Packet, in_scope: Callable[[str], bool]) -> Iterator[DropRule]:
    """The drops of all chains. A chain without hook counts if any chain of its table has the packet's hook."""
    for table, chains in _tables(section).items():
        if not in_scope(table):
            continue
        hooks = {hook for lines in chains.values() for hook in _hooks(lines)}
        if not hooks & {packet.hook.lower(), *_ALWAYS}:
            continue
        for chain, lines in chains.items():
            own = set(_hooks(lines))
            if not own or own & {packet.hook.lower(), *_ALWAYS}:
                yield from _in(table, chain, lines, packet)


def _in(table: str, chain: str, lines: list[str], packet: Packet) -> Iterator[DropRule]:
    for line in lines:
        if line.startswith("type "):
            if "policy drop" in line:
                yield DropRule(table, chain, "", None)
        elif _VERDICT.search(line) and all(_about(found, packet) for found in _ABOUT.finditer(line)):
            counter = _COUNTER.search(line)
            text, _, handle = _COUNTER.sub("", line).partition(" # handle ")
            yield DropRule(table, chain, text, int(counter[1]) if counter else None, int(handle) if handle else None)


def _about(found: re.Match[str], packet: Packet) -> bool:
    address: IPv4Address = packet.source if found[1] == "s" else packet.destination
    try:
        return (address in IPv4Network(found[3], strict=False)) is not bool(found[2])
    except ValueError:
        return True


def _hooks(lines: list[str]) -> Iterator[str]:
    for line in lines:
        if found := _HOOK.match(line):
            yield found[1]


def _tables(section: Section) -> Mapping[str, Mapping[str, list[str]]]:
    """The lines by table and chain, without sets and other objects."""
    tables: dict[str, dict[str, list[str]]] = {}
    chains: dict[str, list[str]] | None = None
    chain: list[str] | None = None
    for line in map(printable, section.lines()):
        # The first line of a block has its handle after the brace.
        match line.split(" # handle ")[0].split() if "{ # handle " in line else line.split():
            case ["table", family, name, "{"]:
                chains = tables.setdefault(f"{family} {name}", {}) if family in {"ip", "inet"} else None
                chain = None
            case ["chain", name, "{"] if chains is not None:
                chain = chains.setdefault(name, [])
            case [_, _, "{"] | ["}"]:
                chain = None
            case _ if chain is not None and line:
                chain.append(line)
    return tables
