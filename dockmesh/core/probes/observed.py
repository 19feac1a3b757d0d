"""The pings that a host observed: the sets of an nft table."""

import re
from dataclasses import dataclass
from ipaddress import ip_address

from dockmesh.core.addresses import IPV4, Address
from dockmesh.core.host_output import Section, parsing

_ELEMENT = re.compile(r"([\d.]{7,15}|[\da-f:]{2,39}) \. ([\d.]{7,15}|[\da-f:]{2,39}) \. (\d{1,5})\b")
# The headers in a packet's length as its own header has it: in IPv6 that is without the header itself.
_HEADERS4_BYTES = 28
_HEADERS6_BYTES = 8


@dataclass(frozen=True, slots=True)
class ObservedPing:
    """A ping that reached its end: where it seemed to come from, where it went, and the bytes it carried."""

    source: Address
    destination: Address
    payload: int


def parse_observed(section: Section) -> frozenset[ObservedPing]:
    """Read what a host observed; nothing where it did not.

    Raises:
        HostError: it is not what nft lists of the table in templates/observe.sh.
    """
    if section.status != 0:
        return frozenset()
    with parsing("the pings seen"):
        return frozenset(_ping(*found) for found in _ELEMENT.findall(section.text))


def _ping(source: str, destination: str, length: str) -> ObservedPing:
    to = ip_address(destination)
    return ObservedPing(
        ip_address(source), to, int(length) - (_HEADERS4_BYTES if to.version == IPV4 else _HEADERS6_BYTES)
    )
