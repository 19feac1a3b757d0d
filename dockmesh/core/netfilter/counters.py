"""Firewall rules with their counters, and the rules that dropped packets of a probe."""

import re
import shlex
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from typing import Literal

from dockmesh.core.host_output import Section, parsing
from dockmesh.core.netfilter.iptables_save import ICMP_PROTOCOLS, TABLES, Key, interface_matches, parse_rules

_REFUSE = frozenset({"DROP", "REJECT"})


@dataclass(frozen=True, slots=True)
class Packet:
    """A packet of the probe on one host. Without an interface, the host itself sends or receives it."""

    source: IPv4Address
    destination: IPv4Address
    came_in: str | None
    goes_out: str | None

    @property
    def hook(self) -> Literal["INPUT", "FORWARD", "OUTPUT"]:
        """The chain of the table filter that the packet traverses."""
        return "INPUT" if self.goes_out is None else "OUTPUT" if self.came_in is None else "FORWARD"


@dataclass(frozen=True, slots=True)
class CountedRule:
    """A rule, or a chain's policy if `text` is empty, and the packets that it matched during the probe."""

    table: str
    chain: str
    text: str
    target: str
    packets: int

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


def refusing(rules: Sequence[CountedRule], packet: Packet) -> Iterator[CountedRule]:
    """Yield the rules that drop such a packet and counted some, in the order in which a packet meets their tables."""
    for table in TABLES:
        for rule in rules:
            if rule.table == table and rule.target in _REFUSE and rule.packets and _takes(rule, packet):
                yield rule


def jumps(rules: Sequence[CountedRule], table: str, hook: str, chain: str) -> bool:
    """Whether `hook` jumps to the chain."""
    return any((rule.table, rule.chain, rule.text) == (table, hook, f"-j {chain}") for rule in rules)


def in_chain(rules: Sequence[CountedRule], table: str, chain: str) -> list[CountedRule]:
    """Return the rules of a chain."""
    return [rule for rule in rules if rule.text and (rule.table, rule.chain) == (table, chain)]


def packets_from(rules: Sequence[CountedRule], source: IPv4Network) -> int:
    """Return the number of packets that matched the rules for exactly this source."""
    return sum(rule.packets for rule in rules if f"-s {source} " in f"{rule.text} ")


def _rule(key: Key, packets: int) -> CountedRule:
    table, chain, text = key
    if text.startswith("policy "):
        return CountedRule(table, chain, "", text.removeprefix("policy "), packets)
    words = shlex.split(text)
    target = next((words[at + 1] for at, word in enumerate(words[:-1]) if word in {"-j", "-g"}), "")
    return CountedRule(table, chain, text, target, packets)


def _takes(rule: CountedRule, packet: Packet) -> bool:
    """Whether the rule may match such a packet. Its counter decides about the matches not evaluated here."""
    if not rule.text:
        return rule.chain in {packet.hook, "PREROUTING", "POSTROUTING"}
    words = shlex.split(rule.text)
    for at, word in enumerate(words[:-1]):
        negated = at > 0 and words[at - 1] == "!"
        if (fits := _fits(word, words[at + 1], packet)) is not None and fits is negated:
            return False
    return True


def _fits(flag: str, value: str, packet: Packet) -> bool | None:
    match flag:
        case "-s":
            return packet.source in IPv4Network(value)
        case "-d":
            return packet.destination in IPv4Network(value)
        case "-i":
            return interface_matches(packet.came_in, value)
        case "-o":
            return interface_matches(packet.goes_out, value)
        case "-p":
            return value in ICMP_PROTOCOLS
    return None
