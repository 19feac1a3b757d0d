"""The firewall mark with which packets of peers pass Docker's nftables backend: daemon.json form and nft form."""

import re
from dataclasses import dataclass

# A single bit, so that other software can use the rest of the mark.
OWN = "0x1000/0x1000"
_ALL_BITS = 0xFFFFFFFF
_MARK = re.compile(r"(0x[0-9a-fA-F]{1,8}|[1-9][0-9]{0,9})(?:/(0x[0-9a-fA-F]{1,8}|[1-9][0-9]{0,9}))?")


@dataclass(frozen=True, slots=True)
class FirewallMark:
    """A firewall mark. A packet has it if the bits of `mask` in the packet's mark equal `value`."""

    value: int
    mask: int

    def __str__(self) -> str:
        return f"{self.value:#x}/{self.mask:#x}"


def parse(text: str) -> FirewallMark | None:
    """Parse `MARK` or `MARK/MASK`; None if it is invalid, or matches no packet or every packet."""
    if not (parts := _MARK.fullmatch(text)):
        return None
    value, mask = int(parts[1], 0), int(parts[2], 0) if parts[2] else _ALL_BITS
    return FirewallMark(value, mask) if 0 < value <= mask <= _ALL_BITS and not value & ~mask else None


def setting(mark: FirewallMark) -> str:
    """The nft statement that sets the mark and keeps the other bits, as nft prints it."""
    if mark.mask == _ALL_BITS:
        return f"meta mark set 0x{mark.value:08x}"
    kept_bits = _ALL_BITS & ~mark.mask | mark.value
    cleared = "" if kept_bits == _ALL_BITS else f" & 0x{kept_bits:08x}"
    return f"meta mark set meta mark{cleared} | 0x{mark.value:08x}"
