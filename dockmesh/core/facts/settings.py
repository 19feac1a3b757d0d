"""What a host's kernel goes by besides its addresses and routes, whoever set it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from dockmesh.core.host_output import Sections, parsing, sanitize
from dockmesh.core.netfilter.firewalld import FirewalldRuleset, firewalld_lines, parse_ruleset

# What templates/facts.sh leaves out has this in its place.
_MORE = "# more"
# What decides about packets in a line of nft.
_DECIDES = re.compile(r"\b(?:drop|reject|[sd]nat|masquerade|redirect|queue|tproxy|notrack)\b|^iptables-legacy ")


@dataclass(frozen=True, slots=True)
class InterfaceSysctls:
    """What /proc/sys has of an interface."""

    rp_filter: int
    forwarding: bool


@dataclass(frozen=True, slots=True)
class PacketSettings:
    """`rules` are those of iptables as they are saved, but for dockmesh's own chains.

    `others`: what refuses or translates packets in tables that are neither iptables' nor dockmesh's, nor `firewalld`'s.
    `unclear`: what decides as well and is not read; None where there is nothing of the kind.
    """

    sysctls: Mapping[str, InterfaceSysctls] = field(default_factory=dict)
    rules: tuple[str, ...] = ()
    foreign_nft: tuple[str, ...] = ()
    unclear: str | None = None
    firewalld: FirewalldRuleset = field(default_factory=dict)


def parse_settings(sections: Sections) -> PacketSettings:
    """Read it out of the answer of `templates/facts.sh`."""
    with parsing("sysctls"):
        sysctls = dict(map(parse_sysctls, sections["sysctls"].lines()))
    tables = sections["foreign_nft"].lines()
    others = tuple(line for line in firewalld_lines(tables, others=True) if _DECIDES.search(line))
    return PacketSettings(
        sysctls, tuple(sections["iptables_rules"].lines()), others, _unclear(sections), parse_ruleset(tables)
    )


def parse_sysctls(line: str) -> tuple[str, InterfaceSysctls]:
    """A line `DEVICE RP_FILTER FORWARDING`. Raises ValueError where it is none."""
    device, rp_filter, forwarding = line.split()
    return device, InterfaceSysctls(int(rp_filter), forwarding == "1")


def _unclear(sections: Sections) -> str | None:
    if rule := sections["ip_rules"].text:
        return f"it has a routing rule: {sanitize(rule)}"
    more = any(_MORE in sections[name].lines() for name in ("iptables_rules", "foreign_nft"))
    return "it has more rules than are read" if more else None
