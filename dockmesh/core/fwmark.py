"""The mark by which peers' packets pass Docker's nftables backend: as daemon.json names it, and as nft sets it."""

import re
from dataclasses import dataclass

# One bit alone: whoever else marks packets keeps the others.
OWN = "0x1000/0x1000"
_MOST = 0xFFFFFFFF
_MARK = re.compile(r"(0x[0-9a-fA-F]{1,8}|[1-9][0-9]{0,9})(?:/(0x[0-9a-fA-F]{1,8}|[1-9][0-9]{0,9}))?")


@dataclass(frozen=True, slots=True)
class FirewallMark:
    """A firewall mark: a packet bears it if its own is `value` in the bits of `mask`."""

    value: int
    mask: int

    def __str__(self) -> str:
        return f"{self.value:#x}/{self.mask:#x}"


def parse(text: str) -> FirewallMark | None:
    """The mark that `MARK` or `MARK/MASK` stands for; None if it is none, or one that no packet bears, or every one."""
    if not (found := _MARK.fullmatch(text)):
        return None
    value, mask = int(found[1], 0), int(found[2], 0) if found[2] else _MOST
    return FirewallMark(value, mask) if 0 < value <= mask <= _MOST and not value & ~mask else None


def setting(mark: FirewallMark) -> str:
    """The statement of nft that makes a packet bear the mark and leaves it the other bits, as nft prints it."""
    if mark.mask == _MOST:
        return f"meta mark set 0x{mark.value:08x}"
    kept = _MOST & ~mark.mask | mark.value
    cleared = "" if kept == _MOST else f" & 0x{kept:08x}"
    return f"meta mark set meta mark{cleared} | 0x{mark.value:08x}"
