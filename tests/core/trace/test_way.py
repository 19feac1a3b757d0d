"""What traces recorded on real hosts come to."""

import struct
from collections.abc import Mapping
from ipaddress import IPv4Address

import pytest
from traces import HOST1, POINTS, QUESTION, WEB1, WEB3, captured, pcap, without

from dockmesh.core.trace.model import Captured
from dockmesh.core.trace.verdict import verdict
from dockmesh.core.trace.way import Leg, Traced, follow
from dockmesh.errors import HostFailure

PLACES = [f"{point.host} {point.place}" for point in POINTS]
ELSEWHERE = "goes to another machine: to 02:00:c0:a8:12:81, where host3 is 02:00:c0:a8:12:82"
WHY = ": no route leads on, rp_filter refuses it, or the firewall drops it"


def hops(leg: Leg) -> list[tuple[str, IPv4Address, IPv4Address, int]]:
    return [(f"{hop.point.host} {hop.point.place}", hop.source, hop.destination, hop.ttl) for hop in leg.hops]


def seconds_only(file: bytes) -> bytes:
    """A capture without its first ping: what its record holds is cut out."""
    length = struct.unpack_from("<I", file, 24 + 8)[0]
    return file[:24] + file[24 + 16 + length :]


def test_the_ping_passes_every_point_there_and_back_with_ttl_64_63_62() -> None:
    traced = follow(captured("joined"))
    ttls = (64, 64, 63, 63, 62, 62)
    assert hops(traced.request) == [(place, WEB1, WEB3, ttl) for place, ttl in zip(PLACES, ttls, strict=True)]
    assert hops(traced.reply) == [(place, WEB3, WEB1, ttl) for place, ttl in zip(PLACES[::-1], ttls, strict=True)]
    assert traced.reached
    assert not any(hop.translated for leg in (traced.request, traced.reply) for hop in leg.hops)
    assert verdict(traced) == (
        "host1 reaches host3 by docker0 and eth0 of host1, eth0 and docker0 of host3, and is answered the same way"
    )


def test_a_translated_source_is_marked_where_it_changes_and_where_it_changes_back() -> None:
    traced = follow(captured("translated"))
    assert [hop.source for hop in traced.request.hops] == [WEB1, WEB1, HOST1, HOST1, HOST1, HOST1]
    assert [hop.destination for hop in traced.reply.hops] == [HOST1, HOST1, HOST1, HOST1, WEB1, WEB1]
    assert [hop.translated for hop in traced.request.hops] == [False, False, True, False, False, False]
    assert [hop.translated for hop in traced.reply.hops] == [False, False, False, False, True, False]
    assert traced.reached
    assert verdict(traced).endswith(
        "; on the request, host1 puts 192.168.18.128 in for the source 10.128.0.2"
        "; on the reply, host1 puts 10.128.0.2 in for the destination 192.168.18.128"
    )


@pytest.mark.parametrize(
    ("name", "there", "back", "said"),
    [
        (
            "no_route",
            2,
            0,
            "the request is lost inside host1, between docker0 and eth0; host1 says: network unreachable",
        ),
        ("wrong_next_hop", 3, 0, f"the request leaves host1 by eth0 and {ELSEWHERE}"),
        ("refused", 4, 0, f"the request is lost inside host3, between eth0 and docker0{WHY}"),
        ("mute", 6, 0, "the request arrives at host3, which does not answer"),
        ("no_way_back", 6, 2, "the reply is lost inside host3, between docker0 and eth0; host3 says: host unreachable"),
    ],
)
def test_a_lost_packet_is_followed_to_where_it_was_last_seen(name: str, there: int, back: int, said: str) -> None:
    traced = follow(captured(name))
    assert [place for place, *_rest in hops(traced.request)] == PLACES[:there]
    assert [place for place, *_rest in hops(traced.reply)] == PLACES[::-1][:back]
    lost = traced.reply if there == 6 else traced.request
    order = POINTS[::-1] if there == 6 else POINTS
    assert lost.missed == (order[back if there == 6 else there],)
    assert not traced.reached
    assert verdict(traced) == said


def test_a_frame_for_another_machine_that_the_switch_sends_to_all_did_not_come_in() -> None:
    flooded = captured("wrong_next_hop", {POINTS[3]: pcap("wrong_next_hop", POINTS[2])})
    assert follow(flooded).request == follow(captured("wrong_next_hop")).request


def test_a_packet_that_two_hosts_pass_to_each_other_circles() -> None:
    traced = follow(captured("circling"))
    assert traced.request.circles
    ttls = [hop.ttl for hop in traced.request.hops]
    assert ttls == sorted(ttls, reverse=True)
    assert ttls[-1] == 1
    assert verdict(traced) == (
        "the request circles: host1 and host3 pass it to each other until its TTL is used up"
        "; host3 says: time to live exceeded"
    )


def test_a_frame_that_left_for_the_right_machine_and_did_not_come_in_was_lost_between() -> None:
    empty = pcap("wrong_next_hop", POINTS[3])
    cut = captured("refused", dict.fromkeys(POINTS[3:], empty))
    assert verdict(follow(cut)) == (
        "the request leaves host1 by eth0 and never comes in at eth0 of host3: the network between them loses it"
    )


def test_an_answer_from_a_nearer_machine_is_none_of_the_targets() -> None:
    empty = pcap("wrong_next_hop", POINTS[3])
    traced = follow(captured("joined", dict.fromkeys(POINTS[2:], empty)))
    assert not traced.reached
    assert verdict(traced).endswith(", and what answers is another machine")


def test_the_ping_that_came_home_is_shown_and_the_loss_of_others_told() -> None:
    spoilt = {POINTS[5]: seconds_only(pcap("joined", POINTS[5])), POINTS[4]: seconds_only(pcap("joined", POINTS[4]))}
    traced = follow(captured("joined", spoilt))
    assert traced.reached
    assert len(traced.request.hops) == 6
    assert verdict(traced).endswith("; of the pings sent, 1 did not come home")


def test_where_nothing_can_be_captured_the_packet_is_followed_past_it() -> None:
    traced = follow(without(captured("joined"), POINTS[4], "tcpdump: no"))
    assert [place for place, *_rest in hops(traced.request)] == [*PLACES[:4], PLACES[5]]
    assert traced.reached


def test_a_packet_lost_where_nothing_can_be_captured_is_told_with_the_reason() -> None:
    down = "tcpdump: docker0: That device is not up"
    traced = follow(without(captured("refused"), POINTS[4], down))
    assert verdict(traced) == f"the request is lost on host3 after eth0: {down}"


def test_a_ping_that_never_left_is_told_in_pings_own_words() -> None:
    empty = pcap("wrong_next_hop", POINTS[3])
    said = "PING 10.128.32.2\nping: connect: Network is unreachable\n"
    traced = follow(captured("joined", dict.fromkeys(POINTS, empty), said=said))
    assert verdict(traced) == "no ping left host1; ping: connect: Network is unreachable"


def test_the_errors_of_both_hosts_are_the_verdict_where_there_are_any() -> None:
    failed = Captured(QUESTION, errors={"host1": HostFailure("timeout", "a"), "host3": HostFailure("timeout", "b")})
    traced = follow(failed)
    assert traced == Traced(failed)
    assert not traced.reached
    assert verdict(traced) == "host1: a; host3: b"


def test_a_ping_of_the_same_size_with_another_identifier_is_somebody_elses() -> None:
    other = changed(pcap("joined", POINTS[3]), {22: 50, 38: 0xFE, 39: 0xED})
    traced = follow(captured("joined", {POINTS[3]: pcap("joined", POINTS[3]) + other[24:]}))
    assert traced.request == follow(captured("joined")).request
    assert traced.reply == follow(captured("joined")).reply


def test_a_router_between_the_hosts_shows_in_the_ttl() -> None:
    routed = {POINTS[3]: 62, POINTS[4]: 61, POINTS[5]: 61}
    files = {point: changed(pcap("joined", point), {22: ttl}, kind=8) for point, ttl in routed.items()}
    traced = follow(captured("joined", files))
    assert "the request passes a router between the hosts (TTL 63 to 62)" in verdict(traced)


def changed(file: bytes, octets: Mapping[int, int], *, kind: int | None = None) -> bytes:
    """A capture in which these octets of each frame, or of each of one ICMP type, are others."""
    out, at = bytearray(file), 24
    while at < len(file):
        length = struct.unpack_from("<I", file, at + 8)[0]
        if kind is None or file[at + 16 + 34] == kind:
            for place, value in octets.items():
                out[at + 16 + place] = value
        at += 16 + length
    return bytes(out)
