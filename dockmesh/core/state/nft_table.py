"""The text of dockmesh's nft table."""

from dockmesh.core.addresses import short_text
from dockmesh.core.shared import SharedSequence
from dockmesh.core.state.resources import SourceNat, nft_family_name


def nft_table(nat: SourceNat) -> str:
    """Return the table for `nft -f`, in the syntax in which nft lists it.

    Each chain runs before Docker's. Docker's source NAT has priority 100 (netfilter's NF_IP_PRI_NAT_SRC), and its
    forward chain priority 0, with iptables and with nftables.
    """
    ip = nft_family_name(nat.family)
    blocks: list[tuple[str, ...]] = []
    if nat.prefix:
        peers = (
            SharedSequence.of(nat.peers).written("nft", lambda network: f", {short_text(network)}").removeprefix(", ")
        )
        blocks += [("set peers", f"type ipv{nat.family}_addr", "flags interval", f"elements = {{ {peers} }}")]
    if nat.marks:
        blocks += [("chain forward", "type filter hook forward priority -1; policy accept;", *nat.marks)]
    if nat.prefix:
        hook = "type nat hook postrouting priority 99; policy accept;"
        blocks += [("chain source", hook, f"{ip} saddr {nat.prefix} {ip} daddr @peers snat to {ip} saddr")]
    return "\n".join((f"table {ip} dockmesh {{", *(_block(*block) for block in blocks), "}", ""))


def _block(name: str, *lines: str) -> str:
    return "\n".join((f"\t{name} {{", *(f"\t\t{line}" for line in lines), "\t}"))
