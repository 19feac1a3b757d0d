"""The pings that a target observed, from the sets of an nft table."""

import re
from dataclasses import dataclass
from ipaddress import ip_address
from itertools import islice

from dockmesh.core.addresses import IPV4, Address
from dockmesh.core.host_output import Section, parsing

_ELEMENT = re.compile(r"(?<![\da-f.:])([\d.]{7,15}|[\da-f:]{2,39}) \. ([\d.]{7,15}|[\da-f:]{2,39}) \. (\d{1,5})\b")
# The size of the two sets in templates/observe.sh.
_MAX_ELEMENTS = 2 * 65535
# The length field of IPv4 includes the IP header. That of IPv6 does not.
_HEADERS4_BYTES = 28
_HEADERS6_BYTES = 8


@dataclass(frozen=True, slots=True)
class ObservedPing:
    """A ping that arrived: its source and destination as the target saw them, and its payload in bytes."""

    source: Address
    destination: Address
    payload: int


def parse_observed(section: Section) -> frozenset[ObservedPing]:
    """Parse the observed pings; empty if the host did not observe.

    Raises:
        HostError: the text is not the listing of the table in templates/observe.sh.
    """
    if section.status != 0:
        return frozenset()
    with parsing("the pings seen"):
        return frozenset(_ping(*found.groups()) for found in islice(_ELEMENT.finditer(section.text), _MAX_ELEMENTS))


def _ping(source: str, destination: str, length: str) -> ObservedPing:
    to = ip_address(destination)
    return ObservedPing(
        ip_address(source), to, int(length) - (_HEADERS4_BYTES if to.version == IPV4 else _HEADERS6_BYTES)
    )
