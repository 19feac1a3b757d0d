"""Parsers for the output of ping from iputils and BusyBox."""

import re

_COUNTS = re.compile(r"\b(\d{1,6}) packets transmitted, (\d{1,6}) (?:packets )?received\b")
_TTL = re.compile(r"\bttl=(\d{1,3})\b")


def parse_counts(output: str) -> list[tuple[int, int]]:
    """The numbers of packets sent and received, for each completed ping in the output."""
    return [(int(sent), int(received)) for sent, received in _COUNTS.findall(output)]


def parse_ttl(output: str) -> int | None:
    """The TTL of the first reply; None without a reply."""
    match = _TTL.search(output)
    return int(match[1]) if match else None
