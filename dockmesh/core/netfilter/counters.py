"""Firewall rules with their counters, and the rules that dropped packets of a probe."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Literal

from dockmesh.core.host_output import Section, parsing
from dockmesh.core.netfilter.flow import AddressBits, Flow
from dockmesh.core.netfilter.iptables_save import TABLES, Key, parse_rules, rule_words
from dockmesh.core.netfilter.iptables_tables import DROPS, IptablesRuleset, dropping_rules


@dataclass(frozen=True, slots=True)
class Packet:
    """A ping of the probe on one host, or its `reply`. Without an interface, the host itself sends or receives it.

    `mark` is the bit of dockmesh's mark, 0 if it is not known; `marked`: the packet has it.
    """

    source: IPv4Address
    destination: IPv4Address
    came_in: str | None
    goes_out: str | None
    reply: bool = False
    mark: int = 0
    marked: bool = False

    @property
    def hook(self) -> Literal["INPUT", "FORWARD", "OUTPUT"]:
        """The chain of the table filter that the packet traverses."""
        return "INPUT" if self.goes_out is None else "OUTPUT" if self.came_in is None else "FORWARD"

    @property
    def hooks(self) -> tuple[str, ...]:
        """All hooks that the packet traverses, in their order."""
        before = ("PREROUTING",) if self.came_in else ()
        return (*before, self.hook, *(("POSTROUTING",) if self.goes_out else ()))

    @property
    def flow(self) -> Flow:
        """The packet as the only one of a flow."""
        inbound = self.hook != "OUTPUT"
        far, near = (self.source, self.destination) if inbound else (self.destination, self.source)
        local = self.hook != "FORWARD"
        return Flow(
            AddressBits({0: int(far)}),
            int(near),
            inbound,
            self.came_in,
            self.goes_out,
            reply=self.reply,
            local=local,
            mark=self.mark,
            marked=int(self.marked),
            unmarked=int(not self.marked),
        )


@dataclass(frozen=True, slots=True)
class CountedRule:
    """A rule, or a chain's policy if `text` is empty, and the packets that it matched during the probe.

    `traced` are the requests and the replies of the probe among them. It is None if they were not traced; then
    `packets` includes other traffic.
    """

    table: str
    chain: str
    text: str
    target: str
    packets: int
    traced: tuple[int, int] | None = None

    @property
    def dockers(self) -> bool:
        """Whether it is a rule of Docker that runs after dockmesh's accepts."""
        own = self.chain.startswith("DOCKER") and self.chain != "DOCKER-USER"
        per_container = self.table == "raw" and re.fullmatch(r"-d \S+ ! -i \S+ -j DROP", self.text) is not None
        return own or per_container or (self.chain == "FORWARD" and not self.text)

    def __str__(self) -> str:
        """The rule in the syntax of iptables."""
        table = "" if self.table == "filter" else f"-t {self.table} "
        return f"{table}-A {self.chain} {self.text}" if self.text else f"{table}-P {self.chain} {self.target}"


def counted(before: Section, after: Section) -> tuple[CountedRule, ...]:
    """Return the rules of two outputs of `iptables-save -c`, with the packets counted in between.

    Raises:
        HostError: an output is unreadable.
    """
    with parsing("firewall"):
        old = Counter[Key]()
        for key, packets in parse_rules(before.lines()):
            old[key] += packets
        new = Counter[Key]()
        for key, packets in parse_rules(after.lines()):
            new[key] += packets
        return tuple(_rule(key, max(0, packets - old[key])) for key, packets in new.items())


def refusing(rules: Sequence[CountedRule], packet: Packet, probes: int) -> Iterator[tuple[CountedRule, bool]]:
    """Yield the rules that may have dropped the packets of a probe, each with whether this is certain.

    It is certain of a traced rule. Another rule must have counted all `probes`, and no rule before it may decide.
    """
    others = [rule for rule in rules if rule.traced is None]
    certain = {
        name: sure for hook in packet.hooks for name, sure in dropping_rules(_ruleset(others), hook, packet.flow)
    }
    for table in TABLES:
        for rule in rules:
            if rule.table == table and rule.target in DROPS:
                if rule.traced is not None:
                    if rule.traced[packet.reply]:
                        yield rule, True
                elif rule.packets >= probes and str(rule) in certain:
                    yield rule, certain[str(rule)]


def _ruleset(rules: Sequence[CountedRule]) -> IptablesRuleset:
    chains: dict[tuple[str, str], list[str]] = {}
    for rule in rules:
        chains.setdefault((rule.table, rule.chain), []).extend([rule.text] if rule.text else [])
    policies = {(rule.table, rule.chain): rule.target for rule in rules if not rule.text and rule.target != "-"}
    return IptablesRuleset({place: tuple(texts) for place, texts in chains.items()}, policies)


def in_chain(rules: Sequence[CountedRule], table: str, chain: str) -> list[CountedRule]:
    """Return the rules of a chain."""
    return [rule for rule in rules if rule.text and (rule.table, rule.chain) == (table, chain)]


def _rule(key: Key, packets: int) -> CountedRule:
    table, chain, text = key
    if text.startswith("policy "):
        return CountedRule(table, chain, "", text.removeprefix("policy "), packets)
    words = rule_words(text)
    target = next((words[at + 1] for at, word in enumerate(words[:-1]) if word in {"-j", "-g"}), "")
    return CountedRule(table, chain, text, target, packets)
