"""Captures come from hosts, so the parser accepts or rejects any bytes without crashing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from traces import POINTS, WEB1, WEB3, pcap

from dockmesh.core.trace.pcap import CapturedEcho, parse_capture
from dockmesh.errors import HostError

JOINED = pcap("joined", POINTS[2])


def test_an_echo_has_identifier_sequence_addresses_ttl_and_macs() -> None:
    first, second, *_rest = parse_capture(JOINED)
    here, there = "02:00:c0:a8:12:80", "02:00:c0:a8:12:82"
    assert first == CapturedEcho("request", first.identifier, 1, WEB1, WEB3, 63, here, there)
    assert second == CapturedEcho("reply", first.identifier, 1, WEB3, WEB1, 63, there, here)


def test_an_error_has_the_numbers_of_the_quoted_echo() -> None:
    request, error, *_rest = parse_capture(pcap("no_route", POINTS[1]))
    assert (error.kind, error.identifier, error.sequence) == ("error", request.identifier, request.sequence)
    assert error.icmp_error == "network unreachable"


def test_an_incomplete_last_packet_is_ignored() -> None:
    for cut in (1, 50, 91, 100):
        assert parse_capture(JOINED[:-cut])[:5] == parse_capture(JOINED)[:5]


@pytest.mark.parametrize("file", [b"", b"tcpdump: no such device", b"\xd4\xc3\xb2\xa1", JOINED[:20] + b"\xff" * 4])
def test_a_file_that_is_no_capture_is_rejected(file: bytes) -> None:
    with pytest.raises(HostError, match="capture"):
        parse_capture(file)


@given(st.binary(max_size=300), st.integers(0, 400))
def test_any_bytes_are_parsed_or_rejected(noise: bytes, at: int) -> None:
    for file in (JOINED[:24] + noise, JOINED[:at] + noise + JOINED[at + len(noise) :]):
        try:
            found = parse_capture(file)
        except HostError:
            continue
        assert all(0 <= each.ttl <= 255 for each in found)
