"""firewalld's table of nft, walked: what becomes there of pings that a host forwards, takes in or sends.

What iptables accepts goes through this table as well, and may be refused there. Docker puts its bridges into a zone
`docker`. What comes in by another zone and is for that one firewalld refuses, from its 1.0 on, unless a policy lets it
through. Docker 27 and later make one, `docker-forwarding`; with older ones it takes an admin to make it.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from typing import Literal

from dockmesh.core.sections import printable

Hook = Literal["PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"]
# By chain, its rules.
Ruleset = Mapping[str, tuple[str, ...]]

TABLE = "inet firewalld"
# Docker puts its bridges into their zone as it starts, if firewalld runs by then.
_INTO_ZONE = "systemctl restart docker"
_POLICY = "firewall-cmd --permanent --policy docker-forwarding"
# What Docker 27 does itself. Docker's own rules and dockmesh's still decide what of it gets through.
_LET_THROUGH = (
    "firewall-cmd --permanent --new-policy docker-forwarding; "
    f"{_POLICY} --add-ingress-zone ANY; {_POLICY} --add-egress-zone docker; {_POLICY} --set-target ACCEPT; "
    "firewall-cmd --reload"
)
_DEEPEST = 32
_HANDLE = re.compile(r" # handle \d+$")
_VERDICT = re.compile(r"(accept|drop|return|(?:jump|goto) \S+|reject(?: with [\w -]+)?)$")
# What a rule asks of a packet, and what is said of it besides. A set stands in braces.
_ASKS = re.compile(
    r"(?P<device>[io]ifname) (?P<not_device>!= )?(?P<devices>\{[^}]*\}|\S+)"
    r"|ip (?P<end>[sd]addr) (?P<not_address>!= )?(?P<addresses>\{[^}]*\}|\S+)"
    r"|ct state (?P<states>\{[^}]*\}|\S+)"
    r"|icmp type (?P<types>\{[^}]*\}|\S+)"
    r"|(?:meta l4proto|ip protocol) (?P<protocols>\{[^}]*\}|\S+)"
    r"|(?P<never>meta nfproto ipv6|ip6 \w+|icmpv6 \w+|(?:tcp|udp|sctp|dccp|th) \w+|ct status dnat)(?= )"
    r"|(?P<always>meta nfproto ipv4|counter(?: packets \d+ bytes \d+)?|comment \"[^\"]*\"|limit [^\"]*)"
    r"|(?P<unknown>\S+)"
)


@dataclass(frozen=True, slots=True)
class Ping:
    """A ping at a hook. No interface: the host itself sends it, or it is for the host. No address: it may be any."""

    hook: Hook
    came_in: str | None = None
    goes_out: str | None = None
    source: IPv4Address | None = None
    destination: IPv4Address | None = None
    reply: bool = False


@dataclass(frozen=True, slots=True)
class Refusal:
    """The rule that refuses, and its chain; `sure` unless nobody can say."""

    chain: str
    rule: str
    sure: bool

    def __str__(self) -> str:
        """As nft would be told to look at it."""
        return f"{TABLE} {self.chain}: {self.rule}"


def ruleset(lines: Iterable[str]) -> Ruleset:
    """The chains of firewalld's table among the tables that nft lists; none where it has none."""
    chains: dict[str, list[str]] = {}
    chain: list[str] = []
    for line in own(lines):
        words = line.split()
        if words[:1] == ["chain"] and "{" in words:
            chain = chains.setdefault(words[1], [])
        elif line and line != "}":
            chain.append(_HANDLE.sub("", line))
    return {name: tuple(rules) for name, rules in chains.items()}


def own(lines: Iterable[str], *, others: bool = False) -> Iterator[str]:
    """The lines of firewalld's table, or all the `others`."""
    inside = False
    for line in map(printable, lines):
        if line.startswith("table "):
            inside = line.startswith(f"table {TABLE} ")
        if inside is not others:
            yield line


def refusal(chains: Ruleset, ping: Ping) -> Refusal | None:
    """What refuses the ping, or may; None where nothing does."""
    found = None
    for name, rules in chains.items():
        if rules and rules[0].startswith(f"type filter hook {ping.hook.lower()} "):
            walk = _Walk(chains, ping)
            # firewalld's policies are to accept.
            passes = walk.comes_back(name, 0) or walk.accepted
            if walk.refused and not passes:
                return Refusal(*walk.refused, sure=True)
            found = found or walk.refused
    return Refusal(*found, sure=False) if found else None


def mending(chains: Ruleset, bridge: str) -> str:
    """The command by which firewalld lets through what is for the bridge. It names those that it has in a zone."""
    zoned = any(f'"{bridge}"' in rule for rules in chains.values() for rule in rules)
    return _LET_THROUGH if zoned else _INTO_ZONE


class _Walk:
    """All that may become of a ping. A doubtful rule both takes it and leaves it where it is."""

    def __init__(self, chains: Ruleset, ping: Ping) -> None:
        self._chains, self._ping = chains, ping
        self.accepted = False
        self.refused: tuple[str, str] | None = None

    def comes_back(self, name: str, depth: int) -> bool:
        """Follow the ping through a chain; whether it may come out at its end."""
        returned = False
        for rule in self._chains.get(name, ()):
            verdict = _VERDICT.search(rule)
            takes = _takes(rule[: verdict.start()], self._ping) if verdict else False
            if verdict is None or takes is False:
                continue
            what, _, where = verdict[1].partition(" ")
            back = False
            if what in {"jump", "goto"}:
                back = depth >= _DEEPEST or self.comes_back(where, depth + 1)
            elif what == "accept":
                self.accepted = True
            elif what != "return":
                self.refused = self.refused or (name, rule)
            returned |= what == "return" or (what == "goto" and back)
            if takes and not (what == "jump" and back):
                return returned
        return True


def _takes(asked: str, ping: Ping) -> bool | None:
    """Whether a rule is about the ping; None where that is not understood."""
    said = [_holds(found, ping) for found in _ASKS.finditer(asked)]
    return False if False in said else None if None in said else True


def _holds(found: re.Match[str], ping: Ping) -> bool | None:
    match found.lastgroup:
        case "devices":
            device = ping.came_in if found["device"] == "iifname" else ping.goes_out
            return any(_is(device, each) for each in _set(found["devices"])) is not bool(found["not_device"])
        case "addresses":
            address = ping.source if found["end"] == "saddr" else ping.destination
            within = _among(address, _set(found["addresses"]))
            return None if within is None else within is not bool(found["not_address"])
        case "states":
            return ("established" if ping.reply else "new") in _set(found["states"])
        case "types":
            return ("echo-reply" if ping.reply else "echo-request") in _set(found["types"])
        case "protocols":
            return not {"icmp", "1"}.isdisjoint(_set(found["protocols"]))
        case "never":
            return False
        case "always":
            return True
    return None


def _set(text: str) -> list[str]:
    return [each.strip(' "') for each in text.strip("{ }").split(",")]


def _is(device: str | None, name: str) -> bool:
    if device is None:
        return False
    return device.startswith(name[:-1]) if name.endswith("*") else device == name


def _among(address: IPv4Address | None, networks: list[str]) -> bool | None:
    try:
        return None if address is None else any(address in IPv4Network(each, strict=False) for each in networks)
    except ValueError:
        return None
