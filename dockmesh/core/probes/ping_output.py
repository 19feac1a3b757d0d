"""What ping prints, of iputils and of BusyBox."""

import re

_COUNTS = re.compile(r"\b(\d{1,6}) packets transmitted, (\d{1,6}) (?:packets )?received\b")
_TTL = re.compile(r"\bttl=(\d{1,3})\b")


def parse_counts(output: str) -> list[tuple[int, int]]:
    """The packets sent and received, of each ping in the output that came to its end."""
    return [(int(sent), int(received)) for sent, received in _COUNTS.findall(output)]


def parse_ttl(output: str) -> int | None:
    """The TTL of the first reply; None without a reply."""
    found = _TTL.search(output)
    return int(found[1]) if found else None
