"""A host's packet settings besides addresses and routes: sysctls and foreign firewall rules."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from dockmesh.core.host_output import Sections, parsing, sanitize
from dockmesh.core.netfilter.firewalld import firewalld_lines, parse_ruleset
from dockmesh.core.netfilter.nft_matcher import NftRuleset

# templates/facts.sh prints this in place of the rules that it omits.
_MORE = "# more"
# Statements of nft that drop, translate or divert packets.
_DECIDES = re.compile(r"\b(?:drop|reject|[sd]nat|masquerade|redirect|queue|tproxy|notrack)\b|^iptables-legacy ")
_ACCEPTS_BIT = re.compile(r"\bmeta mark & (0x[0-9a-f]{8}) == \1 (?:.* )?accept\b")


@dataclass(frozen=True, slots=True)
class InterfaceSysctls:
    """The sysctls of an interface."""

    rp_filter: int
    forwarding: bool


@dataclass(frozen=True, slots=True)
class PacketSettings:
    """The settings that decide about packets, for the forecast.

    `rules` are the lines of iptables-save, dockmesh's own included. `foreign_nft` has the lines that drop or translate
    packets in nft tables of others, except `firewalld`, and `nft_bits` the bits of the mark that such a table accepts.
    `ip_rules` are the routing rules that not every Linux host has.
    `unclear` names a setting that dockmesh cannot evaluate; None without one.
    """

    sysctls: Mapping[str, InterfaceSysctls] = field(default_factory=dict)
    rules: tuple[str, ...] = ()
    foreign_nft: tuple[str, ...] = ()
    nft_bits: frozenset[int] = frozenset()
    ip_rules: tuple[str, ...] = ()
    unclear: str | None = None
    firewalld: NftRuleset = field(default_factory=NftRuleset)


def parse_settings(sections: Sections) -> PacketSettings:
    """Parse the settings in the output of `templates/facts.sh`."""
    with parsing("sysctls"):
        sysctls = dict(map(parse_sysctls, sections["sysctls"].lines()))
    tables = sections["foreign_nft"].lines()
    others = tuple(firewalld_lines(tables, others=True))
    return PacketSettings(
        sysctls,
        tuple(sections["iptables_rules"].lines()),
        tuple(line for line in others if _DECIDES.search(line)),
        frozenset(int(found[1], 16) for found in map(_ACCEPTS_BIT.search, others) if found),
        tuple(sections["ip_rules"].lines()),
        _unclear(sections),
        parse_ruleset(tables),
    )


def parse_sysctls(line: str) -> tuple[str, InterfaceSysctls]:
    """Parse a line `DEVICE RP_FILTER FORWARDING`. Raises ValueError for another line."""
    device, rp_filter, forwarding = line.split()
    return device, InterfaceSysctls(int(rp_filter), forwarding == "1")


def _unclear(sections: Sections) -> str | None:
    if rule := sections["ip_rules"].text:
        return f"the host has a routing rule ({sanitize(rule)})"
    more = any(_MORE in sections[name].lines() for name in ("iptables_rules", "foreign_nft"))
    return "the host has more firewall rules than dockmesh reads" if more else None
