"""The count of round trips: the longest chain of segments in which each waits for the one before."""

import struct
from ipaddress import IPv4Address

from round_trips import Segment, Tally, segment

CONTROLLER, HOST, OTHER = (IPv4Address(f"192.0.2.{last}").packed for last in (1, 2, 3))
SYN, ACK, FIN = 0x02, 0x10, 0x01
SOON_S, LATER_S = 0.001, 1.0


def frame(source: bytes, target: bytes, flags: int, data: bytes = b"", *, ethertype: int = 0x0800) -> bytes:
    """An Ethernet frame with a TCP segment, padded to the minimum length of a frame."""
    tcp = struct.pack("!HHIIBBHHH", 40000, 22, 1, 1, 5 << 4, flags, 64240, 0, 0) + data
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(tcp), 0, 0, 64, 6, 0, source, target)
    return (bytes(12) + struct.pack("!H", ethertype) + ip + tcp).ljust(60, b"\0")


def send(tally: Tally, *, to_host: bool, host: bytes = HOST, starts: bool = False, loaded: bool = True) -> None:
    """A segment that departs long after everything before has arrived."""
    deliver(tally, Segment(host, to_host, starts, loaded), departs=LATER_S, arrives=LATER_S)


def deliver(tally: Tally, sent: Segment, *, departs: float, arrives: float) -> None:
    tally.arrive(sent, tally.depart(sent, departs), arrives)


def exchange(tally: Tally, *, host: bytes = HOST, starts: bool = False) -> None:
    """A request and its reply, both delivered."""
    send(tally, to_host=True, host=host, starts=starts)
    send(tally, to_host=False, host=host, starts=starts)


def round_trips(tally: Tally) -> dict[str, int]:
    return {host: figures["round_trips"] for host, figures in tally.document().items()}


def test_a_frame_shows_whether_it_has_data_or_starts_a_connection() -> None:
    assert segment(frame(CONTROLLER, HOST, SYN), to_host=True) == Segment(HOST, True, starts=True, loaded=True)
    data = frame(HOST, CONTROLLER, ACK, b"SSH-2.0")
    assert segment(data, to_host=False) == Segment(HOST, False, starts=False, loaded=True)
    for flags in (ACK, ACK | FIN):
        sent = segment(frame(CONTROLLER, HOST, flags), to_host=True)
        assert sent == Segment(HOST, True, starts=False, loaded=False)


def test_frames_of_other_protocols_do_not_count() -> None:
    assert segment(frame(CONTROLLER, HOST, SYN, ethertype=0x0806), to_host=True) is None


def test_a_handshake_and_a_request_are_two_round_trips() -> None:
    tally = Tally()
    exchange(tally, starts=True)
    exchange(tally)
    assert tally.document() == {"192.0.2.2": {"round_trips": 2, "connections": 1}}


def test_requests_without_a_reply_between_them_are_one_round_trip() -> None:
    tally = Tally()
    sent = [Segment(HOST, True, starts=True, loaded=True)] * 2
    for each, chain in [(each, tally.depart(each, 0)) for each in sent]:
        tally.arrive(each, chain, 0)
    send(tally, to_host=False)
    assert tally.document() == {"192.0.2.2": {"round_trips": 1, "connections": 2}}


def test_a_reply_in_transit_does_not_count() -> None:
    tally = Tally()
    exchange(tally, starts=True)
    send(tally, to_host=True)
    assert tally.depart(Segment(HOST, False, starts=False, loaded=True), 0) == 2
    assert round_trips(tally) == {"192.0.2.2": 1}


def test_a_reply_that_an_acknowledgement_releases_waited_for_it() -> None:
    tally = Tally()
    exchange(tally, starts=True)
    acknowledgement, reply = (Segment(HOST, to_host, starts=False, loaded=not to_host) for to_host in (True, False))
    deliver(tally, acknowledgement, departs=1, arrives=2)
    deliver(tally, reply, departs=2 + SOON_S, arrives=3)
    assert round_trips(tally) == {"192.0.2.2": 2}


def test_a_reply_long_after_an_acknowledgement_did_not_wait_for_it() -> None:
    tally = Tally()
    exchange(tally, starts=True)
    deliver(tally, Segment(HOST, True, starts=False, loaded=False), departs=1, arrives=2)
    deliver(tally, Segment(HOST, False, starts=False, loaded=True), departs=2 + LATER_S, arrives=3 + LATER_S)
    assert round_trips(tally) == {"192.0.2.2": 1}


def test_hosts_count_separately() -> None:
    tally = Tally()
    for host, exchanges in ((HOST, 3), (OTHER, 1)):
        exchange(tally, host=host, starts=True)
        for _ in range(exchanges):
            exchange(tally, host=host)
    assert round_trips(tally) == {"192.0.2.2": 4, "192.0.2.3": 2}
