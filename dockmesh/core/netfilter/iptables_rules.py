"""Rules of iptables, compiled to match many packets at once."""

from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Network

from dockmesh.core.addresses import AddressRange, address_range
from dockmesh.core.fwmark import FirewallMark
from dockmesh.core.netfilter.flow import Flow
from dockmesh.core.netfilter.iptables_save import ICMP_PROTOCOLS, interface_matches, rule_words

# Hosts of a mesh have almost equal rules, so a cache saves most of the parsing.
_RULES_REMEMBERED, _CHAINS_REMEMBERED = 1 << 16, 1 << 12
# By icmp-type, whether it matches requests (False), replies (True) or both; other types are not pings.
_TYPES = {"8": (False,), "8/0": (False,), "0": (True,), "0/0": (True,), "any": (False, True)}
_ALL_BITS = 0xFFFFFFFF
_MODULES = frozenset({"comment", "conntrack", "state", "icmp", "addrtype", "mark"})


@dataclass(frozen=True, slots=True)
class RuleMatcher:
    """One match of a rule. `span` has the addresses of -s or -d, `mark` the mark, `values` other arguments."""

    option: str
    values: tuple[str, ...] = ()
    span: AddressRange = (0, 0)
    mark: FirewallMark | None = None
    negated: bool = False

    def takes(self, flow: Flow) -> tuple[int, int]:
        """Return the hosts whose packets may match, and those whose packets certainly match."""
        possible, certain = self._takes(flow)
        return (flow.far.all & ~certain, flow.far.all & ~possible) if self.negated else (possible, certain)

    def _takes(self, flow: Flow) -> tuple[int, int]:
        if self.mark:
            return _marked(self.mark, flow)
        if self.option in {"-s", "-d"} and (self.option == "-s") is flow.inbound:
            hosts = flow.far[self.span]
        else:
            hosts = flow.far.all if self._holds(flow) else 0
        return hosts, hosts

    def _holds(self, flow: Flow) -> bool:
        match self.option:
            case "-s" | "-d":
                return self.span[0] <= flow.near <= self.span[1]
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

    def takes(self, flow: Flow, here: int) -> tuple[int, int]:
        """Return the hosts, out of `here`, whose packets may match, and those whose packets certainly match."""
        possible = certain = here
        for match in self.matches:
            if not possible:
                break
            may, must = match.takes(flow)
            possible, certain = possible & may, certain & must
        return possible, 0 if self.uncertain else certain


def _marked(mark: FirewallMark, flow: Flow) -> tuple[int, int]:
    """The hosts whose packets may have `mark`, and certainly have it. Only dockmesh's bit of a packet is known."""
    if mark.value & ~mark.mask:
        return 0, 0
    if not mark.mask & flow.mark:
        return flow.far.all, 0
    wanted, other = (flow.marked, flow.unmarked) if mark.value & flow.mark else (flow.unmarked, flow.marked)
    certain = wanted & ~other if mark.mask == flow.mark else 0
    return flow.far.all & wanted, flow.far.all & certain


@lru_cache(maxsize=_CHAINS_REMEMBERED)
def compile_rules(lines: tuple[str, ...]) -> tuple[IptablesRule, ...]:
    """Return the rules of a chain that may match probes, from their lines without `-A CHAIN`."""
    return tuple(filter(None, map(parse_rule, lines)))


@lru_cache(maxsize=_RULES_REMEMBERED)
def parse_rule(text: str) -> IptablesRule | None:
    """Parse a rule; None if it never matches ICMP. A rule that cannot be parsed is uncertain."""
    try:
        words = rule_words(text)
    except ValueError:
        return IptablesRule(text, "unreadable", uncertain=True)
    matches: list[RuleMatcher | None] = []
    modules: list[str] = []
    for name, values, negated in _options(words):
        if name in {"-j", "-g"} and values:
            return _rule(text, matches, values[0], is_goto=name == "-g")
        if name == "-p" and ICMP_PROTOCOLS.issuperset(values) is negated:
            return None
        if name == "-m":
            modules = values
        # The module connmark has an option of the same name.
        if name == "--mark" and modules != ["mark"]:
            matches.append(None)
        elif name not in {"-p", "--comment"} and not (name == "-m" and _MODULES.issuperset(values)):
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
                return RuleMatcher(name, span=address_range(IPv4Network(network)), negated=negated)
        case (("-i" | "-o"), [_]):
            return RuleMatcher(name, tuple(values), negated=negated)
        case (("--ctstate" | "--state"), [states]):
            return RuleMatcher("--ctstate", tuple(states.split(",")), negated=negated)
        case "--icmp-type", [kind] if kind in _TYPES or kind.partition("/")[0].isdecimal():
            return RuleMatcher(name, (kind,), negated=negated)
        case "--mark", [text]:
            value, _, mask = text.partition("/")
            with suppress(ValueError):
                mark = FirewallMark(int(value, 0), int(mask, 0) if mask else _ALL_BITS)
                return RuleMatcher(name, mark=mark, negated=negated)
        case (("--dst-type" | "--src-type"), ["LOCAL"]):
            return RuleMatcher(name, negated=negated)
    return None
