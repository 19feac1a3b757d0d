"""nft tables: rules that may drop a packet, and the rules of a trace."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from ipaddress import IPv4Network

from dockmesh.core.addresses import address_range
from dockmesh.core.host_output import Section, printable
from dockmesh.core.netfilter import firewalld
from dockmesh.core.netfilter.counters import CountedRule, Packet
from dockmesh.core.netfilter.flow import AddressBits, union
from dockmesh.core.netfilter.iptables_save import parse_rules
from dockmesh.core.netfilter.nft_matcher import may_match
from dockmesh.core.netfilter.nft_trace import ProbeTrace, TracedRule

DOCKERS = "ip docker-bridges"
OWN = "ip dockmesh"
# Tables of iptables-nft, whose rules are read with iptables-save.
_IPTABLES = frozenset({"ip filter", "ip nat", "ip raw", "ip mangle", "ip security"})
_HOOK = re.compile(r"type filter hook (\w+)\b.*?(?:policy (\w+))?;?")
_COUNTER = re.compile(r"counter packets (\d{1,20}) bytes \d+ ?")
_VERDICT = re.compile(r"\b(drop|reject)\b")
_ALWAYS = {"prerouting", "postrouting"}
_ADDRESS = re.compile(r"\bip [sd]addr ([\d./]+) ")
_PORTS = re.compile(r"\b(?:tcp|udp|th) [sd]port\b")
_QUOTED = re.compile(r'"[^"]*"')
# The output of `nft -a list ruleset` before and after the probe.
Rulesets = tuple[Section, Section]
_HANDLE = re.compile(r"# handle (\d{1,20})$")


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


def _traced(trace: ProbeTrace, table: str, chain: str, handle: int | None) -> tuple[int, int]:
    """The requests and the replies that matched a rule."""
    requests, replies = (trace.matched[TracedRule(reply, table, chain, handle)] for reply in (False, True))
    return requests, replies


def traced_rules(
    rules: Sequence[CountedRule], iptables: Section, ruleset: Section, trace: ProbeTrace
) -> tuple[CountedRule, ...]:
    """Replace the counters of iptables rules by the packets of the probe.

    A rule has the same position in iptables-save and nft. Chains of iptables-legacy keep their counters, as do chains
    that changed between the two outputs.
    """
    tables = _tables(ruleset)
    texts: dict[tuple[str, str], list[str]] = {}
    for (table, chain, text), _ in parse_rules(iptables.lines()):
        texts.setdefault((table, chain), []).extend([] if text.startswith("policy ") else [text])
    traced: dict[tuple[str, str, str], tuple[int, int]] = {}
    for (table, chain), names in texts.items():
        lines = tables.get(f"ip {table}", {}).get(chain, ["of another backend"])
        handles = [handle for handle in map(_handle, lines) if handle is not None]
        if len(handles) == len(names) and f"ip {table}" in tables:
            for name, handle in zip(("", *names), (None, *handles), strict=True):
                # Equal rules are one rule here, and a packet matches the first.
                found = _traced(trace, f"ip {table}", chain, handle)
                traced[table, chain, name] = max(found, traced.get((table, chain, name), found))
    found_rules = ((rule, traced.get((rule.table, rule.chain, rule.text))) for rule in rules)
    return tuple(replace(rule, packets=sum(hits), traced=hits) if hits else rule for rule, hits in found_rules)


def foreign_drops(rulesets: Rulesets, packet: Packet, probes: int, trace: ProbeTrace | None) -> tuple[DropRule, ...]:
    """Return the foreign rules that dropped such packets, those without a counter last.

    Without a trace they only may have dropped them: a rule must have counted all `probes`, or have no counter.
    """
    foreign = {*_IPTABLES, OWN, DOCKERS, firewalld.TABLE}
    drops = _drops(rulesets, packet, lambda table: table not in foreign, probes, trace)
    return tuple(sorted(drops, key=lambda each: each.packets is None))


def drops_in(
    table: str, rulesets: Rulesets, packet: Packet, probes: int, trace: ProbeTrace | None
) -> tuple[DropRule, ...]:
    """Return the rules of a table that counted such packets and dropped them, as `foreign_drops`."""
    return tuple(each for each in _drops(rulesets, packet, table.__eq__, probes, trace) if each.packets)


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


def _drops(
    rulesets: Rulesets,
    packet: Packet,
    in_scope: Callable[[str], bool],
    probes: int,
    trace: ProbeTrace | None,
) -> Iterator[DropRule]:
    old = {(each.table, each.chain, each.text): each.packets for each in _all(rulesets[0], packet, in_scope)}
    for each in _all(rulesets[1], packet, in_scope):
        if trace is not None:
            if count := trace.dropped[TracedRule(packet.reply, each.table, each.chain, each.handle)]:
                yield replace(each, packets=count)
        elif may_match(each.text, packet.flow):
            before = old.get((each.table, each.chain, each.text)) or 0
            if each.packets is None or each.packets - before >= probes:
                yield replace(each, packets=each.packets and each.packets - before)


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
                yield from _in(table, chain, lines)


def _in(table: str, chain: str, lines: list[str]) -> Iterator[DropRule]:
    for line in lines:
        if line.startswith("type "):
            if "policy drop" in line:
                yield DropRule(table, chain, "", None)
        elif _VERDICT.search(line):
            counter = _COUNTER.search(line)
            text = _COUNTER.sub("", line).removesuffix(f" # handle {_handle(line)}")
            yield DropRule(table, chain, text, int(counter[1]) if counter else None, _handle(line))


def _handle(line: str) -> int | None:
    found = _HANDLE.search(line)
    return int(found[1]) if found else None


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
