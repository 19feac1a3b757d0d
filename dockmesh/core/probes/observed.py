"""The pings that a target observed, from the sets of an nft table."""

import re
from dataclasses import dataclass
from ipaddress import ip_address
from itertools import islice

from dockmesh.core.addresses import Address
from dockmesh.core.host_output import Section, parsing

_ELEMENT = re.compile(r"(?<![\da-f.:])([\d.]{7,15}|[\da-f:]{2,39}) \. ([\d.]{7,15}|[\da-f:]{2,39}) \. (\d{1,5})\b")
# The size of the two sets in templates/observe.sh.
_MAX_ELEMENTS = 2 * 65535


@dataclass(frozen=True, slots=True)
class ObservedPing:
    """A ping that arrived: its source and destination as the target saw them, and its ICMP id."""

    source: Address
    destination: Address
    icmp_id: int


def parse_observed(section: Section) -> frozenset[ObservedPing]:
    """Parse the observed pings; empty if the host did not observe.

    Raises:
        HostError: the text is not the listing of the table in templates/observe.sh.
    """
    if section.status != 0:
        return frozenset()
    with parsing("the pings seen"):
        return frozenset(_ping(*found.groups()) for found in islice(_ELEMENT.finditer(section.text), _MAX_ELEMENTS))


def _ping(source: str, destination: str, icmp_id: str) -> ObservedPing:
    return ObservedPing(ip_address(source), ip_address(destination), int(icmp_id))
