"""The rules of firewalld's nft table, and their effect on pings that a host forwards, receives or sends.

Packets that iptables accepts also traverse this table, which may reject them. Docker adds its bridges to the zone
`docker`. firewalld 1.0 and later rejects packets from other zones to that zone unless a policy accepts them. Docker 27
and later adds such a policy, `docker-forwarding`. With older versions the operator must add one, only for the peers,
since otherwise only the policy of iptables protects the containers.
"""

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Network
from shlex import quote

from dockmesh.core.addresses import short_text
from dockmesh.core.host_output import printable
from dockmesh.core.netfilter.flow import Flow
from dockmesh.core.netfilter.nft_matcher import Hook, NftDrop, NftRuleset, apply_hook, table_ruleset

TABLE = "inet firewalld"
# Docker adds its bridges to their zone at its start, if firewalld already runs.
_ADD_TO_ZONE = "systemctl restart docker"
_IPSET = "firewall-cmd --permanent --new-ipset dockmesh --type hash:net; firewall-cmd --permanent --ipset dockmesh"
_POLICY = "firewall-cmd --permanent --policy dockmesh"
_ACCEPT_RULE = quote("rule family=ipv4 source ipset=dockmesh accept")


def parse_ruleset(lines: Iterable[str]) -> NftRuleset:
    """Return firewalld's table in the output of `nft list ruleset`."""
    return table_ruleset(TABLE, firewalld_lines(lines))


def firewalld_lines(lines: Iterable[str], *, others: bool = False) -> Iterator[str]:
    """Yield the lines of firewalld's table, or all `others`."""
    inside = False
    for line in map(printable, lines):
        if line.startswith("table "):
            inside = line.startswith(f"table {TABLE} ")
        if inside is not others:
            yield line


def rejections(table: NftRuleset, hook: Hook, flow: Flow, hosts: int) -> tuple[NftDrop, ...]:
    """Return the rules that reject, or may reject, pings of these hosts."""
    return apply_hook(table, hook, flow, hosts)[1]


def remedy(table: NftRuleset, bridge: str, peers: Iterable[IPv4Network]) -> str:
    """Return the commands that make firewalld accept packets from peers to the bridge."""
    if not any(f'"{bridge}"' in rule for rules in table.chains.values() for rule in rules):
        return _ADD_TO_ZONE
    entries = " ".join(f"--add-entry {short_text(each)}" for each in peers)
    return (
        f"{_IPSET} {entries}; firewall-cmd --permanent --new-policy dockmesh; {_POLICY} --add-ingress-zone ANY; "
        f"{_POLICY} --add-egress-zone docker; {_POLICY} --add-rich-rule {_ACCEPT_RULE}; firewall-cmd --reload"
    )
