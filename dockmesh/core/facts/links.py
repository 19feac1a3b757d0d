"""The network interfaces of a host, from `ip -o link show`."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

_LINK = re.compile(r"(\d+): ([^\s:@/\x00-\x1f\x7f-\x9f]{1,15})(?:@(?:if)?([^\s:]+))?: <([A-Z0-9_,-]*)> mtu (\d{1,9})\b")
_MAC = re.compile(r"link/\S{1,32}+ ((?:[0-9a-f]{2}:){5}[0-9a-f]{2})\b")


@dataclass(frozen=True, slots=True)
class Link:
    """A network interface. `up` is its administrative state. `other` is the number of its peer interface, if any."""

    number: int
    name: str
    up: bool
    carrier: bool
    mtu: int
    mac: str | None
    other: int | None = None


def parse_links(lines: Iterable[str]) -> dict[str, Link]:
    """Return the interfaces by name. Raises ValueError for an unreadable line."""
    return {link.name: link for link in map(_link, lines)}


def _link(line: str) -> Link:
    found = _LINK.match(line)
    if found is None:
        raise ValueError(line)
    number, name, other, flags, mtu = found.groups()
    mac = _MAC.search(line)
    up, carrier = ("UP" in flags.split(",")), ("LOWER_UP" in flags.split(","))
    return Link(int(number), name, up, carrier, int(mtu), mac[1] if mac else None, _number(other))


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isdecimal() else None
