"""Captures are a host's word: read strictly, whatever they hold."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from traces import POINTS, WEB1, WEB3, pcap

from dockmesh.core.trace.pcap import CapturedEcho, parse_capture
from dockmesh.errors import HostError

JOINED = pcap("joined", POINTS[2])


def test_a_capture_tells_identifier_sequence_addresses_ttl_and_whose_frame_it_was() -> None:
    first, second, *_rest = parse_capture(JOINED)
    here, there = "02:00:c0:a8:12:80", "02:00:c0:a8:12:82"
    assert first == CapturedEcho("request", first.identifier, 1, WEB1, WEB3, 63, here, there)
    assert second == CapturedEcho("reply", first.identifier, 1, WEB3, WEB1, 63, there, here)


def test_an_error_bears_the_numbers_of_the_echo_it_quotes() -> None:
    request, error, *_rest = parse_capture(pcap("no_route", POINTS[1]))
    assert (error.kind, error.identifier, error.sequence) == ("error", request.identifier, request.sequence)
    assert error.icmp_error == "network unreachable"


def test_a_packet_that_was_still_being_written_is_left_out() -> None:
    for cut in (1, 50, 91, 100):
        assert parse_capture(JOINED[:-cut])[:5] == parse_capture(JOINED)[:5]


@pytest.mark.parametrize("file", [b"", b"tcpdump: no such device", b"\xd4\xc3\xb2\xa1", JOINED[:20] + b"\xff" * 4])
def test_what_is_no_capture_is_refused(file: bytes) -> None:
    with pytest.raises(HostError, match="capture"):
        parse_capture(file)


@given(st.binary(max_size=300), st.integers(0, 400))
def test_whatever_a_capture_holds_it_is_read_or_refused(noise: bytes, at: int) -> None:
    for file in (JOINED[:24] + noise, JOINED[:at] + noise + JOINED[at + len(noise) :]):
        try:
            found = parse_capture(file)
        except HostError:
            continue
        assert all(0 <= each.ttl <= 255 for each in found)
