"""What the chains of iptables do with packets: they pass, they are stopped, or nobody can say."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from dockmesh.core.netfilter.flow import Flow
from dockmesh.core.netfilter.iptables_rules import IptablesRule, compile_rules
from dockmesh.core.netfilter.iptables_save import TABLES, parse_rules
from dockmesh.core.netfilter.verdicts import PacketVerdicts, Reason, ReasonCode
from dockmesh.core.state.resources import Chain

DROPS = frozenset({"DROP", "REJECT"})
_TRANSLATES = frozenset({"MASQUERADE", "SNAT", "DNAT", "REDIRECT", "NETMAP"})
# What happens on the way, and decides nothing.
_PASSES = frozenset({"", "LOG", "NFLOG", "MARK", "CONNMARK", "CHECKSUM", "TCPMSS", "DSCP", "CLASSIFY"})
_DEEPEST = 32
# Chains that call each other twice make a way of any length: what comes after so many rules, nobody says.
MOST_STEPS = 200_000
# Table and chain.
TableChain = tuple[str, str]


@dataclass(frozen=True, slots=True)
class IptablesRuleset:
    """The rules of each chain as text, and the policies of those that the kernel itself calls."""

    chains: Mapping[TableChain, Sequence[str]] = field(default_factory=dict)
    policies: Mapping[TableChain, str] = field(default_factory=dict)


def build_ruleset(lines: Iterable[str], own: Iterable[Chain]) -> IptablesRuleset:
    """The rules as they were saved, with dockmesh's `own` chains, whose rules are not among them."""
    chains: dict[TableChain, list[str]] = {}
    policies: dict[TableChain, str] = {}
    for (table, chain, text), _ in parse_rules(lines):
        rules = chains.setdefault((table, chain), [])
        if not text.startswith("policy "):
            rules.append(text)
        elif text != "policy -":
            policies[table, chain] = text.removeprefix("policy ")
    found = {place: tuple(rules) for place, rules in chains.items()}
    return IptablesRuleset(found | {(each.table, each.name): each.rules for each in own}, policies)


def with_chain(wall: IptablesRuleset, chain: Chain, *, hooked: bool) -> IptablesRuleset:
    """With a chain that a plan makes; unless it is `hooked` already, the one jump to it comes first in its hook."""
    place, hook = (chain.table, chain.name), (chain.table, chain.hook or "")
    if hooked:
        return IptablesRuleset({**wall.chains, place: chain.rules}, wall.policies)
    bare = without_chain(wall, chain)
    jump = (f"-j {chain.name}", *bare.chains.get(hook, ()))
    # A table that was not there is made with what the kernel calls.
    policies = {} if chain.hook == "DOCKER-USER" else {hook: "ACCEPT"}
    return IptablesRuleset({**bare.chains, place: chain.rules, hook: jump}, {**policies, **bare.policies})


def without_chain(wall: IptablesRuleset, chain: Chain) -> IptablesRuleset:
    """Without it and what calls it."""
    jump, place = f"-j {chain.name}", (chain.table, chain.name)
    kept = {
        each: tuple(rule for rule in rules if rule != jump) if each[0] == chain.table else rules
        for each, rules in wall.chains.items()
        if each != place
    }
    return IptablesRuleset(kept, wall.policies)


def filter_packets(wall: IptablesRuleset, hook: str, flow: Flow, sieve: PacketVerdicts, at: str) -> None:
    """Let packets through all tables that have a chain of that name. `at` is the host, for the reasons.

    Where an address would be translated, nobody can say; where answers are, what translated the request does it.
    """
    for table in TABLES:
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


def masqueraded_hosts(wall: IptablesRuleset, flow: Flow, hosts: int) -> tuple[int, int]:
    """Whose packets leave with another source, and of whose nobody can say."""
    walk = _Walk(wall, "nat", flow, _TRANSLATES)
    walk.begin("POSTROUTING", hosts)
    return walk.ended & ~walk.passed, walk.ended & walk.passed


class _Walk:
    """All that may become of packets in the chains of one table.

    A doubtful rule both takes a packet and leaves it where it is; so may a packet end and pass.
    """

    def __init__(self, wall: IptablesRuleset, table: str, flow: Flow, ends: frozenset[str]) -> None:
        self._wall, self._table, self._flow, self._ends = wall, table, flow, ends
        self.taken: list[tuple[int, str]] = []
        self.ended = self.passed = self._steps = 0

    def begin(self, hook: str, hosts: int) -> None:
        """Follow the packets from the chain that the kernel calls to its policy."""
        left = self._chain(hook, hosts, 0)
        policy = self._wall.policies.get((self._table, hook), "ACCEPT")
        self._decide(left, IptablesRule(f"-P {hook} {policy}", policy), "")

    def _chain(self, name: str, here: int, depth: int) -> int:
        """Follow packets through a chain; those that come back from it."""
        back = 0
        for rule in compile_rules(self._wall.chains.get((self._table, name), ())):
            self._steps += 1
            if self._steps > MOST_STEPS:
                self.taken.append((here, f"-A {name}, and too many rules from there on"))
                self.ended |= here
                self.passed |= here
                break
            took = rule.takes(self._flow, here) if here else 0
            if not took or rule.target in _PASSES:
                continue
            comes_on = here if rule.uncertain else here & ~took
            if rule.target == "RETURN":
                back |= took
            elif (self._table, rule.target) in self._wall.chains and depth < _DEEPEST:
                returned = self._chain(rule.target, took, depth + 1)
                back, comes_on = (back | returned, comes_on) if rule.is_goto else (back, comes_on | returned)
            elif not self._decide(took, rule, f"-A {name} "):
                comes_on = here
            here = comes_on
        return back | here

    def _decide(self, hosts: int, rule: IptablesRule, where: str) -> bool:
        """Let a rule decide about packets; whether it is known how it does."""
        known = rule.target in self._ends or rule.target == "ACCEPT"
        if hosts and rule.target != "ACCEPT":
            table = "" if self._table == "filter" else f"-t {self._table} "
            self.ended |= hosts
            self.taken.append((hosts, f"{table}{where}{rule.text}"))
        if not known or rule.target == "ACCEPT":
            self.passed |= hosts
        return known
