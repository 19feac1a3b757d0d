"""The mark of packets that a Docker with nftables accepts, as daemon.json has it."""

import re
from dataclasses import dataclass

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


def bit(mark: int) -> FirewallMark:
    """The mark of packets with this bit."""
    return FirewallMark(mark, mark)
