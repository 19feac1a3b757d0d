"""Rules of iptables, compiled to match many packets at once."""

from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from ipaddress import IPv4Network
from itertools import chain, groupby

from dockmesh.core.addresses import AddressRange, address_range
from dockmesh.core.netfilter.flow import Flow, merge_ranges
from dockmesh.core.netfilter.iptables_save import ICMP_PROTOCOLS, interface_matches, rule_words

# Hosts of a mesh have almost equal rules, so a cache saves most of the parsing.
_RULES_REMEMBERED, _CHAINS_REMEMBERED = 1 << 16, 1 << 12
# By icmp-type, whether it matches requests (False), replies (True) or both; other types are not pings.
_TYPES = {"8": (False,), "8/0": (False,), "0": (True,), "0/0": (True,), "any": (False, True)}
_MODULES = frozenset({"comment", "conntrack", "state", "icmp", "addrtype"})
_ACCEPTING = frozenset({"ACCEPT", "RETURN"})


@dataclass(frozen=True, slots=True)
class RuleMatcher:
    """One match of a rule. `spans` are the addresses of -s and -d, `values` the arguments of other options."""

    option: str
    values: tuple[str, ...] = ()
    spans: tuple[AddressRange, ...] = ()
    negated: bool = False

    def takes(self, flow: Flow) -> int:
        """Return the hosts whose packets match."""
        hosts = self._takes(flow)
        return flow.far.all & ~hosts if self.negated else hosts

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
                # LOCAL addresses: only the near one can be the host's own.
                return flow.local and (self.option == "--dst-type") is flow.inbound


@dataclass(frozen=True, slots=True)
class IptablesRule:
    """A compiled rule. `uncertain`: it has a match that dockmesh does not evaluate."""

    text: str
    target: str = ""
    is_goto: bool = False
    matches: tuple[RuleMatcher, ...] = ()
    uncertain: bool = False

    def takes(self, flow: Flow, here: int) -> int:
        """Return the hosts, out of `here`, whose packets the rule matches, or may match if it is uncertain."""
        for match in self.matches:
            if not here:
                break
            here &= match.takes(flow)
        return here


@lru_cache(maxsize=_CHAINS_REMEMBERED)
def compile_rules(lines: tuple[str, ...]) -> tuple[IptablesRule, ...]:
    """Return the rules of a chain that may match probes, from their lines without `-A CHAIN`.

    Consecutive accepts that differ only in their source become one rule, since a mesh has two per peer.
    """
    groups = groupby(filter(None, map(parse_rule, lines)), key=_shape)
    return tuple(chain.from_iterable(_merged(list(rules)) if shape else rules for shape, rules in groups))


def _shape(rule: IptablesRule) -> tuple[object, ...] | None:
    plain = rule.matches and rule.matches[0].option == "-s" and not rule.matches[0].negated
    return (rule.target, rule.matches[1:]) if plain and rule.target in _ACCEPTING and not rule.uncertain else None


def _merged(rules: Sequence[IptablesRule]) -> tuple[IptablesRule, ...]:
    first = rules[0]
    sources = replace(first.matches[0], spans=merge_ranges(span for rule in rules for span in rule.matches[0].spans))
    return (replace(first, matches=(sources, *first.matches[1:])),)


@lru_cache(maxsize=_RULES_REMEMBERED)
def parse_rule(text: str) -> IptablesRule | None:
    """Parse a rule; None if it never matches ICMP. A rule that cannot be parsed is uncertain."""
    try:
        words = rule_words(text)
    except ValueError:
        return IptablesRule(text, "unreadable", uncertain=True)
    matches: list[RuleMatcher | None] = []
    for name, values, negated in _options(words):
        if name in {"-j", "-g"} and values:
            return _rule(text, matches, values[0], is_goto=name == "-g")
        if name == "-p" and ICMP_PROTOCOLS.issuperset(values) is negated:
            return None
        if name not in {"-p", "--comment"} and not (name == "-m" and _MODULES.issuperset(values)):
            matches.append(_match(name, values, negated=negated))
    return _rule(text, matches)


def _rule(
    text: str, matches: Collection[RuleMatcher | None], target: str = "", *, is_goto: bool = False
) -> IptablesRule:
    known = tuple(match for match in matches if match)
    return IptablesRule(text, target, is_goto, known, uncertain=None in matches)


def _options(words: Sequence[str]) -> Iterator[tuple[str, list[str], bool]]:
    at, negated = 0, False
    while at < len(words):
        name, at = words[at], at + 1
        if name == "!":
            negated = True
            continue
        begin = at
        # A comment may start like an option.
        at += name == "--comment"
        while at < len(words) and not words[at].startswith("-") and words[at] != "!":
            at += 1
        yield name, list(words[begin:at]), negated
        negated = False


def _match(name: str, values: Sequence[str], *, negated: bool) -> RuleMatcher | None:
    """Compile a match; None if dockmesh does not evaluate it."""
    match name, values:
        case (("-s" | "-d"), [network]):
            # iptables accepts a non-contiguous mask, IPv4Network does not.
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
