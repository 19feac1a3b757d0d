"""Parsers for the output of ping from iputils and BusyBox."""

import re

_COUNTS = re.compile(r"\b(\d{1,6}) packets transmitted, (\d{1,6}) (?:packets )?received\b")
_TTL = re.compile(r"\bttl=(\d{1,3})\b")
_MS = r"(\d{1,8}(?:\.\d{1,6})?)"
_RTTS = re.compile(rf"= {_MS}/{_MS}/{_MS}\b")


def parse_counts(output: str) -> list[tuple[int, int]]:
    """The numbers of packets sent and received, for each completed ping in the output."""
    return [(int(sent), int(received)) for sent, received in _COUNTS.findall(output)]


def parse_ttl(output: str) -> int | None:
    """The TTL of the first reply; None without a reply."""
    match = _TTL.search(output)
    return int(match[1]) if match else None


def parse_rtts(output: str) -> tuple[float, float, float] | None:
    """Minimum, mean and maximum of the round trips in milliseconds; None without a reply."""
    match = _RTTS.search(output)
    return (float(match[1]), float(match[2]), float(match[3])) if match else None
