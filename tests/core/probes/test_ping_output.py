"""The parsers for the output of ping."""

import pytest

from dockmesh.core.probes.ping_output import parse_counts, parse_ttl

IPUTILS = "64 bytes from 10.9.0.1: icmp_seq=1 ttl=63 time=0.1 ms\n\n3 packets transmitted, 2 received, 33% packet loss"
BUSYBOX = "64 bytes from 10.9.0.1: seq=0 ttl=62 time=0.1 ms\n3 packets transmitted, 1 packets received, 66% packet loss"


@pytest.mark.parametrize(
    ("output", "counts", "ttl"),
    [
        (IPUTILS, [(3, 2)], 63),
        (BUSYBOX, [(3, 1)], 62),
        (f"{IPUTILS}\n{BUSYBOX}", [(3, 2), (3, 1)], 63),
        ("1 packets transmitted, 0 received, 100% packet loss", [(1, 0)], None),
        ("sh: ping: not found", [], None),
    ],
)
def test_ping_output_has_counts_and_the_first_ttl(output: str, counts: list[tuple[int, int]], ttl: int | None) -> None:
    assert (parse_counts(output), parse_ttl(output)) == (counts, ttl)
