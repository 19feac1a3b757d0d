"""The rules of firewalld's nft table, and their effect on pings that a host forwards, receives or sends.

Packets that iptables accepts also traverse this table, which may reject them. Docker adds its bridges to the zone
`docker`. firewalld 1.0 and later rejects packets from other zones to that zone unless a policy accepts them. Docker 27
and later adds such a policy, `docker-forwarding`. With older versions the operator must add one, only for the peers,
since otherwise only the policy of iptables protects the containers.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import reduce
from ipaddress import IPv4Network
from operator import and_
from shlex import quote
from typing import Literal

from dockmesh.core.addresses import address_range, short_text
from dockmesh.core.host_output import printable
from dockmesh.core.netfilter.flow import Flow
from dockmesh.core.netfilter.iptables_tables import MOST_STEPS

Hook = Literal["PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"]
# The rules by chain name, and the elements by `@` and set name.
FirewalldRuleset = Mapping[str, tuple[str, ...]]

TABLE = "inet firewalld"
# Docker adds its bridges to their zone at its start, if firewalld already runs.
_ADD_TO_ZONE = "systemctl restart docker"
_IPSET = "firewall-cmd --permanent --new-ipset dockmesh --type hash:net; firewall-cmd --permanent --ipset dockmesh"
_POLICY = "firewall-cmd --permanent --policy dockmesh"
_ACCEPT_RULE = quote("rule family=ipv4 source ipset=dockmesh accept")
_DEEPEST = 32
_HANDLE = re.compile(r" # handle \d+$")
_VERDICT = re.compile(r"(accept|drop|return|(?:jump|goto) \S+|reject(?: with [\w -]{1,64}+)?)$")
# The matches and other statements of a rule. Braces enclose a set, and no set contains another one.
_ASKS = re.compile(
    r"(?P<device>[io]ifname) (?P<not_device>!= )?(?P<devices>\{[^{}]*\}|\S+)"
    r"|ip (?P<end>[sd]addr) (?P<not_address>!= )?(?P<addresses>\{[^{}]*\}|\S+)"
    r"|ct state (?P<states>\{[^{}]*\}|\S+)"
    r"|icmp type (?P<types>\{[^{}]*\}|\S+)"
    r"|(?:meta l4proto|ip protocol) (?P<protocols>\{[^{}]*\}|\S+)"
    r"|(?P<never>meta nfproto ipv6|ip6 \w+|icmpv6 \w+|(?:tcp|udp|sctp|dccp|th) \w+|ct status dnat)(?= )"
    r"|(?P<always>meta nfproto ipv4|counter(?: packets \d+ bytes \d+)?|comment \"[^\"]*\"|limit [^\"]*)"
    r"|(?P<unknown>\S+)"
)


@dataclass(frozen=True, slots=True)
class FirewalldRejection:
    """A rule that rejects the pings of `hosts`; unless `sure`, it only may."""

    hosts: int
    chain: str
    rule: str
    sure: bool

    def __str__(self) -> str:
        """The rule and its position."""
        return f"{TABLE} {self.chain}: {self.rule}"


def parse_ruleset(lines: Iterable[str]) -> FirewalldRuleset:
    """Return the chains and sets of firewalld's table in the output of `nft list ruleset`."""
    found: dict[str, list[str]] = {}
    block: list[str] = []
    for line in firewalld_lines(lines):
        words = line.split()
        if words[:1] in (["chain"], ["set"]) and words[2:3] == ["{"]:
            block = found.setdefault(f"{'@' * (words[0] == 'set')}{words[1]}", [])
        elif line and line != "}":
            block.append(_HANDLE.sub("", line))
    return {name: _elements(text) if name.startswith("@") else tuple(text) for name, text in found.items()}


def _elements(lines: Iterable[str]) -> tuple[str, ...]:
    _, _, text = " ".join(lines).partition("elements = ")
    return tuple(_listed(text)) if text else ()


def firewalld_lines(lines: Iterable[str], *, others: bool = False) -> Iterator[str]:
    """Yield the lines of firewalld's table, or all `others`."""
    inside = False
    for line in map(printable, lines):
        if line.startswith("table "):
            inside = line.startswith(f"table {TABLE} ")
        if inside is not others:
            yield line


def rejections(chains: FirewalldRuleset, hook: Hook, flow: Flow, hosts: int) -> Iterator[FirewalldRejection]:
    """Yield the rules that reject, or may reject, pings of these hosts."""
    for name, rules in chains.items():
        if rules and rules[0].startswith(f"type filter hook {hook.lower()} "):
            walk = _Walk(chains, flow)
            # firewalld's base chains have the policy accept.
            passed = walk.through(name, hosts, 0) | walk.accepted
            for (chain, rule), taken in walk.refused.items():
                for some, sure in ((taken & ~passed, True), (taken & passed, False)):
                    if some:
                        yield FirewalldRejection(some, chain, rule, sure)


def may_match(rule: str, flow: Flow) -> bool:
    """Whether a rule of any nft table may match the packets of a flow. Sets are unknown."""
    return bool(_Walk({}, flow).matched(rule, len(rule))[0] & flow.far.all)


def remedy(chains: FirewalldRuleset, bridge: str, peers: Iterable[IPv4Network]) -> str:
    """Return the commands that make firewalld accept packets from peers to the bridge."""
    if not any(f'"{bridge}"' in rule for rules in chains.values() for rule in rules):
        return _ADD_TO_ZONE
    entries = " ".join(f"--add-entry {short_text(each)}" for each in peers)
    return (
        f"{_IPSET} {entries}; firewall-cmd --permanent --new-policy dockmesh; {_POLICY} --add-ingress-zone ANY; "
        f"{_POLICY} --add-egress-zone docker; {_POLICY} --add-rich-rule {_ACCEPT_RULE}; firewall-cmd --reload"
    )


class _Walk:
    """All possible paths of pings. A rule that is not understood both matches a ping and does not."""

    def __init__(self, chains: FirewalldRuleset, flow: Flow) -> None:
        self._chains, self._flow = chains, flow
        self._effects: dict[str, tuple[str, int, bool]] = {}
        self.accepted = self._steps = 0
        self.refused: dict[tuple[str, str], int] = {}

    def through(self, name: str, here: int, depth: int) -> int:
        """Follow pings through a chain, and return those that may leave it at its end."""
        out = 0
        for rule in self._chains.get(name, ()):
            self._steps += 1
            if self._steps > MOST_STEPS:
                self.accepted |= here
                self.refused[name, "too many rules"] = here
                break
            if rule not in self._effects:
                self._effects[rule] = self._effect(rule)
            verdict, matching, sure = self._effects[rule]
            took = here & matching
            if not took:
                continue
            back = self._decide(verdict.partition(" "), took, (name, rule), depth)
            if sure:
                here &= ~took
            if verdict.startswith("jump "):
                here |= back
            else:
                out |= back
        return out | here

    def _decide(self, verdict: tuple[str, str, str], took: int, where: tuple[str, str], depth: int) -> int:
        """Apply a verdict, and return the pings that continue in the calling chain."""
        match verdict:
            case ("jump" | "goto", _, chain):
                return took if depth >= _DEEPEST else self.through(chain, took, depth + 1)
            case ("return", _, _):
                return took
            case ("accept", _, _):
                self.accepted |= took
            case _:
                self.refused[where] = self.refused.get(where, 0) | took
        return 0

    def matched(self, rule: str, end: int) -> tuple[int, bool]:
        """The pings that a rule may match by its text before `end`, and whether it certainly matches these."""
        hosts = [self._about(found) for found in _ASKS.finditer(rule, 0, end)]
        known = [each for each in hosts if each is not None]
        return reduce(and_, known, -1), len(known) == len(hosts)

    def _effect(self, rule: str) -> tuple[str, int, bool]:
        """The verdict of a rule, and what `matched` returns for it."""
        verdict = _VERDICT.search(rule)
        return (verdict[1], *self.matched(rule, verdict.start())) if verdict else ("", 0, True)

    def _about(self, found: re.Match[str]) -> int | None:
        """The hosts whose pings match; None if the match is not understood."""
        if found.lastgroup == "addresses":
            hosts = self._between(found)
            return None if hosts is None else self._flow.far.all & ~hosts if found["not_address"] else hosts
        holds = _holds(found, self._flow)
        return None if holds is None else self._flow.far.all * holds

    def _between(self, found: re.Match[str]) -> int | None:
        flow, text = self._flow, found["addresses"]
        listed = self._chains.get(text) if text.startswith("@") else _listed(text)
        try:
            spans = [address_range(IPv4Network(each, strict=False)) for each in listed or ()]
        except ValueError:
            return None
        if listed is None:
            return None
        if (found["end"] == "saddr") is flow.inbound:
            return flow.far.among(spans)
        return flow.far.all * any(first <= flow.near <= last for first, last in spans)


def _holds(found: re.Match[str], flow: Flow) -> bool | None:
    match found.lastgroup:
        case "devices":
            device = flow.in_interface if found["device"] == "iifname" else flow.out_interface
            return any(_is(device, each) for each in _listed(found["devices"])) is not bool(found["not_device"])
        case "states":
            return ("established" if flow.reply else "new") in _listed(found["states"])
        case "types":
            return ("echo-reply" if flow.reply else "echo-request") in _listed(found["types"])
        case "protocols":
            return not {"icmp", "1"}.isdisjoint(_listed(found["protocols"]))
        case "never":
            return False
        case "always":
            return True
    return None


def _listed(text: str) -> list[str]:
    return [each.strip(' "') for each in text.strip("{ }").split(",")]


def _is(device: str | None, name: str) -> bool:
    if device is None:
        return False
    return device.startswith(name[:-1]) if name.endswith("*") else device == name
