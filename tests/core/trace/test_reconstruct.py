"""What traces recorded on real hosts come to."""

import re
import struct
from collections.abc import Mapping
from ipaddress import IPv4Address

import pytest
from traces import HOST1, POINTS, QUESTION, WEB1, WEB3, capture_set, pcap, with_failed_point

from dockmesh.core.trace.model import CaptureSet
from dockmesh.core.trace.reconstruct import OneWay, TraceResult, reconstruct
from dockmesh.core.trace.verdict import VerdictCode, verdict
from dockmesh.errors import HostFailure

PLACES = [f"{point.host} {point.place}" for point in POINTS]


def hops(leg: OneWay) -> list[tuple[str, IPv4Address, IPv4Address, int]]:
    return [(f"{hop.point.host} {hop.point.place}", hop.source, hop.destination, hop.ttl) for hop in leg.hops]


def without_first_ping(file: bytes) -> bytes:
    """A capture without its first ping: what its record holds is cut out."""
    length = struct.unpack_from("<I", file, 24 + 8)[0]
    return file[:24] + file[24 + 16 + length :]


def test_the_ping_passes_every_point_there_and_back_with_ttl_64_63_62() -> None:
    traced = reconstruct(capture_set("joined"))
    ttls = (64, 64, 63, 63, 62, 62)
    assert hops(traced.request) == [(place, WEB1, WEB3, ttl) for place, ttl in zip(PLACES, ttls, strict=True)]
    assert hops(traced.reply) == [(place, WEB3, WEB1, ttl) for place, ttl in zip(PLACES[::-1], ttls, strict=True)]
    assert traced.reached
    assert not any(hop.translated for leg in (traced.request, traced.reply) for hop in leg.hops)
    code, text = verdict(traced)
    assert code == VerdictCode.REACHED
    assert re.findall(r"\b(?:host\d|docker0|eth0)\b", text) == [
        *("host1", "host3"),
        *("docker0", "eth0", "host1"),
        *("eth0", "docker0", "host3"),
    ]


def test_a_translated_source_is_marked_where_it_changes_and_where_it_changes_back() -> None:
    traced = reconstruct(capture_set("translated"))
    assert [hop.source for hop in traced.request.hops] == [WEB1, WEB1, HOST1, HOST1, HOST1, HOST1]
    assert [hop.destination for hop in traced.reply.hops] == [HOST1, HOST1, HOST1, HOST1, WEB1, WEB1]
    assert [hop.translated for hop in traced.request.hops] == [False, False, True, False, False, False]
    assert [hop.translated for hop in traced.reply.hops] == [False, False, False, False, True, False]
    assert traced.reached
    code, text = verdict(traced)
    assert code == VerdictCode.SOURCE_REWRITTEN
    assert re.findall(r"\d+(?:\.\d+){3}", text) == [str(each) for each in (HOST1, WEB1, WEB1, HOST1)]


@pytest.mark.parametrize(
    ("name", "there", "back", "code", "names"),
    [
        (
            "no_route",
            2,
            0,
            VerdictCode.REJECTED,
            ("request", "host1", "docker0", "eth0", "network unreachable"),
        ),
        (
            "wrong_next_hop",
            3,
            0,
            VerdictCode.WRONG_NEXT_HOP,
            ("request", "host1", "eth0", "02:00:c0:a8:12:81", "host3", "02:00:c0:a8:12:82"),
        ),
        ("refused", 4, 0, VerdictCode.LOST_INSIDE, ("request", "host3", "eth0", "docker0")),
        ("mute", 6, 0, VerdictCode.NO_ANSWER, ("request", "host3")),
        ("no_way_back", 6, 2, VerdictCode.REJECTED, ("reply", "host3", "docker0", "eth0", "host unreachable")),
    ],
)
def test_a_lost_packet_is_followed_to_where_it_was_last_seen(
    name: str, there: int, back: int, code: VerdictCode, names: tuple[str, ...]
) -> None:
    traced = reconstruct(capture_set(name))
    assert [place for place, *_rest in hops(traced.request)] == PLACES[:there]
    assert [place for place, *_rest in hops(traced.reply)] == PLACES[::-1][:back]
    lost = traced.reply if there == 6 else traced.request
    order = POINTS[::-1] if there == 6 else POINTS
    assert lost.missed == (order[back if there == 6 else there],)
    assert not traced.reached
    assert verdict(traced).code == code
    assert re.fullmatch(".*".join(map(re.escape, ("", *names, ""))), verdict(traced).text)


def test_a_frame_for_another_machine_that_the_switch_sends_to_all_did_not_come_in() -> None:
    flooded = capture_set("wrong_next_hop", {POINTS[3]: pcap("wrong_next_hop", POINTS[2])})
    assert reconstruct(flooded).request == reconstruct(capture_set("wrong_next_hop")).request


def test_a_packet_that_two_hosts_pass_to_each_other_circles() -> None:
    traced = reconstruct(capture_set("circling"))
    assert traced.request.loops
    ttls = [hop.ttl for hop in traced.request.hops]
    assert ttls == sorted(ttls, reverse=True)
    assert ttls[-1] == 1
    code, text = verdict(traced)
    assert code == VerdictCode.LOOP
    assert re.fullmatch(".*request.*host1.*host3.*host3.*time to live exceeded", text)


def test_a_frame_that_left_for_the_right_machine_and_did_not_come_in_was_lost_between() -> None:
    empty = pcap("wrong_next_hop", POINTS[3])
    cut = capture_set("refused", dict.fromkeys(POINTS[3:], empty))
    code, text = verdict(reconstruct(cut))
    assert code == VerdictCode.LOST_BETWEEN
    assert re.fullmatch(".*request.*host1.*eth0.*eth0.*host3.*", text)


def test_an_answer_from_a_nearer_machine_is_none_of_the_targets() -> None:
    empty = pcap("wrong_next_hop", POINTS[3])
    traced = reconstruct(capture_set("joined", dict.fromkeys(POINTS[2:], empty)))
    assert not traced.reached
    assert verdict(traced).code == VerdictCode.OTHER_ANSWERS


def test_the_ping_that_came_home_is_shown_and_the_loss_of_others_told() -> None:
    spoilt = {
        POINTS[5]: without_first_ping(pcap("joined", POINTS[5])),
        POINTS[4]: without_first_ping(pcap("joined", POINTS[4])),
    }
    traced = reconstruct(capture_set("joined", spoilt))
    assert traced.reached
    assert len(traced.request.hops) == 6
    assert (verdict(traced).code, traced.lost) == (VerdictCode.REACHED, 1)
    assert re.search(r"; .*\b1\b", verdict(traced).text)


def test_where_nothing_can_be_captured_the_packet_is_followed_past_it() -> None:
    traced = reconstruct(with_failed_point(capture_set("joined"), POINTS[4], "tcpdump: no"))
    assert [place for place, *_rest in hops(traced.request)] == [*PLACES[:4], PLACES[5]]
    assert traced.reached


def test_a_packet_lost_where_nothing_can_be_captured_is_told_with_the_reason() -> None:
    down = "tcpdump: docker0: That device is not up"
    traced = reconstruct(with_failed_point(capture_set("refused"), POINTS[4], down))
    assert verdict(traced).code == VerdictCode.LOST_UNSEEN
    assert re.fullmatch(f".*request.*host3.*eth0.*{re.escape(down)}", verdict(traced).text)


def test_a_ping_that_never_left_is_told_in_pings_own_words() -> None:
    empty = pcap("wrong_next_hop", POINTS[3])
    said = "PING 10.128.32.2\nping: connect: Network is unreachable\n"
    traced = reconstruct(capture_set("joined", dict.fromkeys(POINTS, empty), said=said))
    assert verdict(traced).code == VerdictCode.NOT_SENT
    assert re.fullmatch(".*host1; ping: connect: Network is unreachable", verdict(traced).text)


def test_the_errors_of_both_hosts_are_the_verdict_where_there_are_any() -> None:
    failed = CaptureSet(QUESTION, errors={"host1": HostFailure("timeout", "a"), "host3": HostFailure("timeout", "b")})
    traced = reconstruct(failed)
    assert traced == TraceResult(failed)
    assert not traced.reached
    assert verdict(traced) == (VerdictCode.NOT_CAPTURED, "host1: a; host3: b")


def test_a_ping_of_the_same_size_with_another_identifier_is_somebody_elses() -> None:
    other = with_octets(pcap("joined", POINTS[3]), {22: 50, 38: 0xFE, 39: 0xED})
    traced = reconstruct(capture_set("joined", {POINTS[3]: pcap("joined", POINTS[3]) + other[24:]}))
    assert traced.request == reconstruct(capture_set("joined")).request
    assert traced.reply == reconstruct(capture_set("joined")).reply


def test_a_packet_lost_between_a_bridge_and_its_container_is_lost_at_the_bridge() -> None:
    empty = pcap("wrong_next_hop", POINTS[3])
    traced = reconstruct(capture_set("mute", {POINTS[5]: empty}))
    assert (len(traced.request.hops), traced.request.missed) == (5, (POINTS[5],))
    assert verdict(traced).code == VerdictCode.LOST_AT_BRIDGE


def test_a_destination_that_changes_on_the_way_is_rewritten() -> None:
    files = {point: with_octets(pcap("joined", point), {33: 9}, kind=8) for point in POINTS[:2]}
    traced = reconstruct(capture_set("joined", files))
    assert traced.reached
    assert [hop.was_destination for hop in traced.request.hops if hop.translated] == [IPv4Address("10.128.32.9")]
    assert verdict(traced).code == VerdictCode.DESTINATION_REWRITTEN


def test_a_router_between_the_hosts_shows_in_the_ttl() -> None:
    routed = {POINTS[3]: 62, POINTS[4]: 61, POINTS[5]: 61}
    files = {point: with_octets(pcap("joined", point), {22: ttl}, kind=8) for point, ttl in routed.items()}
    traced = reconstruct(capture_set("joined", files))
    assert verdict(traced).code == VerdictCode.REACHED
    assert re.search(r"; .*request.*\b63\b.*\b62\b", verdict(traced).text)


def with_octets(file: bytes, octets: Mapping[int, int], *, kind: int | None = None) -> bytes:
    """A capture in which these octets of each frame, or of each of one ICMP type, are others."""
    out, at = bytearray(file), 24
    while at < len(file):
        length = struct.unpack_from("<I", file, at + 8)[0]
        if kind is None or file[at + 16 + 34] == kind:
            for place, value in octets.items():
                out[at + 16 + place] = value
        at += 16 + length
    return bytes(out)
