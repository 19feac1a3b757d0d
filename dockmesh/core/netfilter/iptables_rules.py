"""Rules of iptables, compiled to be asked about many packets at once."""

import shlex
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from ipaddress import IPv4Network
from itertools import chain, groupby

from dockmesh.core.addresses import AddressRange, address_range
from dockmesh.core.netfilter.flow import Flow, merge_ranges
from dockmesh.core.netfilter.iptables_save import ICMP_PROTOCOLS, interface_matches

# dockmesh's own rules are the same on every host but for its own.
_RULES_REMEMBERED, _CHAINS_REMEMBERED = 1 << 16, 1 << 12
# By icmp-type whether a packet answers: 8 asks, 0 does, others are no ping.
_TYPES = {"8": (False,), "8/0": (False,), "0": (True,), "0/0": (True,), "any": (False, True)}
_MODULES = frozenset({"comment", "conntrack", "state", "icmp", "addrtype"})
_LETTING = frozenset({"ACCEPT", "RETURN"})


@dataclass(frozen=True, slots=True)
class RuleMatcher:
    """One thing that a rule asks of a packet; `option` by its first name. Addresses are in `spans`."""

    option: str
    values: tuple[str, ...] = ()
    spans: tuple[AddressRange, ...] = ()
    negated: bool = False

    def takes(self, flow: Flow) -> int:
        """The hosts whose packets are so."""
        found = self._takes(flow)
        return flow.far.all & ~found if self.negated else found

    def _takes(self, flow: Flow) -> int:
        if self.option in {"-s", "-d"} and (self.option == "-s") is flow.inbound:
            return flow.far.among(self.spans)
        return flow.far.all if self._holds(flow) else 0

    def _holds(self, flow: Flow) -> bool:
        match self.option:
            case "-s" | "-d":
                return any(first <= flow.near <= last for first, last in self.spans)
            case "-i":
                return interface_matches(flow.in_interface, self.values[0])
            case "-o":
                return interface_matches(flow.out_interface, self.values[0])
            case "--ctstate":
                return ("ESTABLISHED" if flow.reply else "NEW") in self.values
            case "--icmp-type":
                return flow.reply in _TYPES.get(self.values[0], ())
            case _:
                # Whether an address is the host's own: the near one may be, the far one is not.
                return flow.local and (self.option == "--dst-type") is flow.inbound


@dataclass(frozen=True, slots=True)
class IptablesRule:
    """`goes`: it does not come back from the chain it names. `doubtful`: it asks something not understood here."""

    text: str
    target: str = ""
    is_goto: bool = False
    matches: tuple[RuleMatcher, ...] = ()
    uncertain: bool = False

    def takes(self, flow: Flow, here: int) -> int:
        """Of the packets of these hosts, those the rule is about, or may be where it is doubtful."""
        for match in self.matches:
            if not here:
                break
            here &= match.takes(flow)
        return here


@lru_cache(maxsize=_CHAINS_REMEMBERED)
def compile_rules(lines: tuple[str, ...]) -> tuple[IptablesRule, ...]:
    """The rules of a chain that may be about probes, from their lines without `-A CHAIN`.

    Rules in a row that let pass and differ in their source are one: a mesh has two for each peer.
    """
    alike = groupby(filter(None, map(parse_rule, lines)), key=_shape)
    return tuple(chain.from_iterable(_one(list(rules)) if shape else rules for shape, rules in alike))


def _shape(rule: IptablesRule) -> tuple[object, ...] | None:
    plain = rule.matches and rule.matches[0].option == "-s" and not rule.matches[0].negated
    return (rule.target, rule.matches[1:]) if plain and rule.target in _LETTING and not rule.uncertain else None


def _one(rules: Sequence[IptablesRule]) -> tuple[IptablesRule, ...]:
    first = rules[0]
    sources = replace(first.matches[0], spans=merge_ranges(span for rule in rules for span in rule.matches[0].spans))
    return (replace(first, matches=(sources, *first.matches[1:])),)


@lru_cache(maxsize=_RULES_REMEMBERED)
def parse_rule(text: str) -> IptablesRule | None:
    """A rule; None where it is never about ICMP."""
    rule = IptablesRule(text)
    for name, values, negated in _options(shlex.split(text) if '"' in text else text.split()):
        if name in {"-j", "-g"} and values:
            return replace(rule, target=values[0], is_goto=name == "-g")
        if name == "-p" and ICMP_PROTOCOLS.issuperset(values) is negated:
            return None
        if name not in {"-p", "--comment"} and not (name == "-m" and _MODULES.issuperset(values)):
            found = _match(name, values, negated=negated)
            more = (found,) if found else ()
            rule = replace(rule, matches=(*rule.matches, *more), uncertain=rule.uncertain or not found)
    return rule


def _options(words: Sequence[str]) -> Iterator[tuple[str, list[str], bool]]:
    at, negated = 0, False
    while at < len(words):
        name, at = words[at], at + 1
        if name == "!":
            negated = True
            continue
        begin = at
        # What people write may begin like an option.
        at += name == "--comment"
        while at < len(words) and not words[at].startswith("-") and words[at] != "!":
            at += 1
        yield name, list(words[begin:at]), negated
        negated = False


def _match(name: str, values: Sequence[str], *, negated: bool) -> RuleMatcher | None:
    """None where it is not understood."""
    match name, values:
        case (("-s" | "-d"), [network]):
            # A mask with a gap, which iptables takes, is none of a network.
            with suppress(ValueError):
                return RuleMatcher(name, spans=(address_range(IPv4Network(network)),), negated=negated)
        case (("-i" | "-o"), [_]):
            return RuleMatcher(name, tuple(values), negated=negated)
        case (("--ctstate" | "--state"), [states]):
            return RuleMatcher("--ctstate", tuple(states.split(",")), negated=negated)
        case "--icmp-type", [kind] if kind in _TYPES or kind.partition("/")[0].isdecimal():
            return RuleMatcher(name, (kind,), negated=negated)
        case (("--dst-type" | "--src-type"), ["LOCAL"]):
            return RuleMatcher(name, negated=negated)
    return None
