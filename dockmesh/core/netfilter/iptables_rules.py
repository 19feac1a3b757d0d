"""Rules of iptables, compiled to be asked about many packets at once."""

import shlex
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from ipaddress import IPv4Network
from itertools import chain, groupby

from dockmesh.core.netfilter.flow import Flow, Span, merged, span
from dockmesh.core.netfilter.iptables_save import is_named

# dockmesh's own rules are the same on every host but for its own.
_RULES_REMEMBERED, _CHAINS_REMEMBERED = 1 << 16, 1 << 12
_ICMP = frozenset({"icmp", "1", "all", "0"})
# By icmp-type whether a packet answers: 8 asks, 0 does, others are no ping.
_TYPES = {"8": (False,), "8/0": (False,), "0": (True,), "0/0": (True,), "any": (False, True)}
_MODULES = frozenset({"comment", "conntrack", "state", "icmp", "addrtype"})
_LETTING = frozenset({"ACCEPT", "RETURN"})


@dataclass(frozen=True, slots=True)
class Match:
    """One thing that a rule asks of a packet; `option` by its first name. Addresses are in `spans`."""

    option: str
    values: tuple[str, ...] = ()
    spans: tuple[Span, ...] = ()
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
                return is_named(flow.came_in, self.values[0])
            case "-o":
                return is_named(flow.goes_out, self.values[0])
            case "--ctstate":
                return ("ESTABLISHED" if flow.reply else "NEW") in self.values
            case "--icmp-type":
                return flow.reply in _TYPES.get(self.values[0], ())
            case _:
                # Whether an address is the host's own: the near one may be, the far one is not.
                return flow.local and (self.option == "--dst-type") is flow.inbound


@dataclass(frozen=True, slots=True)
class Rule:
    """`goes`: it does not come back from the chain it names. `doubtful`: it asks something not understood here."""

    text: str
    target: str = ""
    goes: bool = False
    matches: tuple[Match, ...] = ()
    doubtful: bool = False

    def takes(self, flow: Flow, here: int) -> int:
        """Of the packets of these hosts, those the rule is about, or may be where it is doubtful."""
        for match in self.matches:
            if not here:
                break
            here &= match.takes(flow)
        return here


@lru_cache(maxsize=_CHAINS_REMEMBERED)
def compiled(lines: tuple[str, ...]) -> tuple[Rule, ...]:
    """The rules of a chain that may be about probes, from their lines without `-A CHAIN`.

    Rules in a row that let pass and differ in their source are one: a mesh has two for each peer.
    """
    alike = groupby(filter(None, map(parsed, lines)), key=_shape)
    return tuple(chain.from_iterable(_one(list(rules)) if shape else rules for shape, rules in alike))


def _shape(rule: Rule) -> tuple[object, ...] | None:
    plain = rule.matches and rule.matches[0].option == "-s" and not rule.matches[0].negated
    return (rule.target, rule.matches[1:]) if plain and rule.target in _LETTING and not rule.doubtful else None


def _one(rules: Sequence[Rule]) -> tuple[Rule, ...]:
    first = rules[0]
    sources = replace(first.matches[0], spans=merged(span for rule in rules for span in rule.matches[0].spans))
    return (replace(first, matches=(sources, *first.matches[1:])),)


@lru_cache(maxsize=_RULES_REMEMBERED)
def parsed(text: str) -> Rule | None:
    """A rule; None where it is never about ICMP."""
    rule = Rule(text)
    for name, values, negated in _options(shlex.split(text) if '"' in text else text.split()):
        if name in {"-j", "-g"} and values:
            return replace(rule, target=values[0], goes=name == "-g")
        if name == "-p" and _ICMP.issuperset(values) is negated:
            return None
        if name not in {"-p", "--comment"} and not (name == "-m" and _MODULES.issuperset(values)):
            found = _match(name, values, negated=negated)
            more = (found,) if found else ()
            rule = replace(rule, matches=(*rule.matches, *more), doubtful=rule.doubtful or not found)
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


def _match(name: str, values: Sequence[str], *, negated: bool) -> Match | None:
    """None where it is not understood."""
    match name, values:
        case (("-s" | "-d"), [network]):
            # A mask with a gap, which iptables takes, is none of a network.
            with suppress(ValueError):
                return Match(name, spans=(span(IPv4Network(network)),), negated=negated)
        case (("-i" | "-o"), [_]):
            return Match(name, tuple(values), negated=negated)
        case (("--ctstate" | "--state"), [states]):
            return Match("--ctstate", tuple(states.split(",")), negated=negated)
        case "--icmp-type", [kind] if kind in _TYPES or kind.partition("/")[0].isdecimal():
            return Match(name, (kind,), negated=negated)
        case (("--dst-type" | "--src-type"), ["LOCAL"]):
            return Match(name, negated=negated)
    return None
