"""The effect of iptables chains on packets: they pass, are dropped, or the effect is uncertain."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from dockmesh.core.host_output import sanitize
from dockmesh.core.names import COMMENT
from dockmesh.core.netfilter.flow import Flow
from dockmesh.core.netfilter.iptables_rules import IptablesRule, compile_rules
from dockmesh.core.netfilter.iptables_save import TABLES, parse_rules
from dockmesh.core.netfilter.verdicts import PacketVerdicts, Reason, ReasonCode

DROPS = frozenset({"DROP", "REJECT"})
_TRANSLATES = frozenset({"MASQUERADE", "SNAT", "DNAT", "REDIRECT", "NETMAP"})
# Targets after which the packet continues with the next rule.
_PASSES = frozenset({"", "LOG", "NFLOG", "MARK", "CONNMARK", "CHECKSUM", "TCPMSS", "DSCP", "CLASSIFY"})
_DEEPEST = 32
# Chains that call each other twice make paths of exponential length; beyond this the effect is uncertain. facts.sh
# prints at most 20,000 rules.
MOST_STEPS = 50_000
# Table and chain.
TableChain = tuple[str, str]


@dataclass(frozen=True, slots=True)
class IptablesRuleset:
    """The rules of each chain as text, and the policies of the built-in chains."""

    chains: Mapping[TableChain, Sequence[str]] = field(default_factory=dict)
    policies: Mapping[TableChain, str] = field(default_factory=dict)


def build_ruleset(lines: Iterable[str]) -> IptablesRuleset:
    """Build the ruleset from the lines of iptables-save."""
    chains: dict[TableChain, list[str]] = {}
    policies: dict[TableChain, str] = {}
    for (table, chain, text), _ in parse_rules(lines):
        rules = chains.setdefault((table, chain), [])
        if not text.startswith("policy "):
            rules.append(text)
        elif text != "policy -":
            policies[table, chain] = text.removeprefix("policy ")
    return IptablesRuleset({place: tuple(rules) for place, rules in chains.items()}, policies)


def with_accept_rules(wall: IptablesRuleset, place: TableChain, wanted: tuple[str, ...]) -> IptablesRuleset:
    """Return the ruleset with these rules of dockmesh as the first of a chain."""
    others = (rule for rule in wall.chains.get(place, ()) if not _is_own(rule))
    return IptablesRuleset({**wall.chains, place: (*wanted, *others)}, wall.policies)


def _is_own(rule: str) -> bool:
    return f" --comment {COMMENT} " in f" {rule} "


def filter_packets(
    wall: IptablesRuleset, hook: str, flow: Flow, sieve: PacketVerdicts, at: str, *, tables: Sequence[str] = TABLES
) -> None:
    """Pass packets through the `tables` with a chain of that name. `at` is the host, for the reasons.

    A translated address makes the result uncertain. Replies skip nat, since the kernel translates them by connection.
    """
    for table in tables:
        nat = table == "nat"
        if (table, hook) not in wall.policies or not sieve.left or (nat and (flow.reply or hook == "POSTROUTING")):
            continue
        walk = _Walk(wall, table, flow, _TRANSLATES if nat else DROPS)
        walk.begin(hook, sieve.left)
        for hosts, rule in walk.taken:
            if nat:
                sieve.mark_uncertain(hosts, Reason(ReasonCode.TRANSLATED, f"{at} may translate it: iptables {rule}"))
            else:
                drop = ReasonCode.FIREWALL_DROP
                sieve.block(hosts & ~walk.passed, Reason(drop, f"{at} drops it: iptables {rule}"))
                sieve.mark_uncertain(hosts & walk.passed, Reason(drop, f"{at} may drop it: iptables {rule}"))


def dropping_rules(wall: IptablesRuleset, hook: str, flow: Flow) -> Iterator[tuple[str, bool]]:
    """Yield the rules of a hook that drop a packet, or may drop it, each with whether it certainly does."""
    for table in TABLES:
        if (table, hook) in wall.policies and table != "nat":
            walk = _Walk(wall, table, flow, DROPS)
            walk.begin(hook, flow.far.all)
            for _, rule in walk.taken:
                yield rule, not walk.passed and len(walk.taken) == 1


def masqueraded_hosts(wall: IptablesRuleset, flow: Flow, hosts: int) -> tuple[int, int]:
    """Return the hosts whose packets get another source, and the hosts whose packets may get one."""
    walk = _Walk(wall, "nat", flow, _TRANSLATES)
    walk.begin("POSTROUTING", hosts)
    return walk.ended & ~walk.passed, walk.ended & walk.passed


class _Walk:
    """All possible paths of packets in the chains of one table.

    An uncertain rule both matches a packet and does not, so a packet can both end and pass.
    """

    def __init__(self, wall: IptablesRuleset, table: str, flow: Flow, ends: frozenset[str]) -> None:
        self._wall, self._table, self._flow, self._ends = wall, table, flow, ends
        self.taken: list[tuple[int, str]] = []
        self.ended = self.passed = self._steps = 0

    def begin(self, hook: str, hosts: int) -> None:
        """Follow the packets from a built-in chain to its policy."""
        left = self._chain(hook, hosts, 0)
        policy = self._wall.policies.get((self._table, hook), "ACCEPT")
        self._decide(left, IptablesRule(f"-P {hook} {policy}", policy), "")

    def _chain(self, name: str, here: int, depth: int) -> int:
        """Follow packets through a chain, and return those that return from it."""
        back = 0
        for rule in compile_rules(self._wall.chains.get((self._table, name), ())):
            self._steps += 1
            if self._steps > MOST_STEPS:
                self.taken.append((here, f"-A {name}, and more rules than dockmesh follows"))
                self.ended |= here
                self.passed |= here
                break
            took, certain = rule.takes(self._flow, here) if here else (0, 0)
            if not took or rule.target in _PASSES:
                continue
            remaining = here & ~certain
            if rule.target == "RETURN":
                back |= took
            elif (self._table, rule.target) in self._wall.chains and depth < _DEEPEST:
                returned = self._chain(rule.target, took, depth + 1)
                back, remaining = (back | returned, remaining) if rule.is_goto else (back, remaining | returned)
            elif not self._decide(took, rule, f"-A {name} "):
                remaining = here
            here = remaining
        return back | here

    def _decide(self, hosts: int, rule: IptablesRule, where: str) -> bool:
        """Apply a target to packets. Return whether its effect is known."""
        known = rule.target in self._ends or rule.target == "ACCEPT"
        if hosts and rule.target != "ACCEPT":
            table = "" if self._table == "filter" else f"-t {self._table} "
            self.ended |= hosts
            self.taken.append((hosts, f"{table}{where}{sanitize(rule.text)}"))
        if not known or rule.target == "ACCEPT":
            self.passed |= hosts
        return known
