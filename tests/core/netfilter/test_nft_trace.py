"""Traces of a probe from 10.128.0.2 to 10.128.32.2, recorded with nft 1.0.6 and 1.1.7."""

from collections import Counter
from ipaddress import IPv4Address

import pytest

from dockmesh.core.netfilter.nft_trace import ProbeTrace, TracedRule, parse_trace
from dockmesh.errors import HostError

TARGET = IPv4Address("10.128.32.2")
LENGTH = 240
HEADS = {
    "request": "ip saddr 10.128.0.2 ip daddr 10.128.32.2 ip dscp cs0 ip ttl 63 ip id 1 ip protocol icmp ip length 240 "
    "icmp type echo-request icmp code 0 icmp id 27648 icmp sequence 1 ",
    "reply": "ip saddr 10.128.32.2 ip daddr 10.128.0.2 ip dscp cs0 ip ttl 64 ip id 1 ip length 240 "
    "icmp type echo-reply icmp code net-unreachable icmp id 27648 @th,64,96 0xbc5a0d6b000000004b8b0400 ",
    "own": "ip saddr 127.0.0.1 ip daddr 127.0.0.1 ip ttl 64 ip length 240 icmp type echo-request icmp code 0 ",
    "other target": "ip saddr 10.128.0.9 ip daddr 10.128.32.9 ip ttl 64 ip length 240 icmp type echo-request ",
    # The probe of another explanation at the same time.
    "other length": "ip saddr 10.128.16.2 ip daddr 10.128.32.2 ip ttl 63 ip length 241 icmp type echo-request ",
    "other reply": "ip saddr 10.128.32.2 ip daddr 10.128.16.2 ip ttl 64 ip length 2400 icmp type echo-reply ",
}
OWN = "inet dockmesh-explain-4242"
DROP = 'rule ip saddr 10.128.0.0/20 comment "x # handle 9 (verdict drop)" counter packets 0 bytes 0 drop # handle 54'


def events(kind: str, *texts: str, number: str = "585d1348") -> list[str]:
    """The events of one packet, each as `CHAIN: TEXT`, with the packet's header before the first of each chain."""
    lines, chain = [], ""
    for place, _, text in (text.partition(": ") for text in texts):
        if place != chain:
            lines.append(f"trace id {number} {place} conntrack: ct direction original ct state new ct id 1791489201 ")
            lines.append(f'trace id {number} {place} packet: iif "eth0" ether saddr 02:00:c0:a8:12:80 {HEADS[kind]}')
        lines.append(f"trace id {number} {place} {text}")
        chain = place
    return lines


def trace_of(*lines: str) -> ProbeTrace:
    found = parse_trace(lines, TARGET, LENGTH)
    assert found is not None
    return found


ARRIVES = (f"{OWN} arrives: unknown rule handle 3 (verdict continue)", f"{OWN} arrives: policy accept ")
LEAVES = f"{OWN} leaves: policy accept "
OWN_PING = events("own", *ARRIVES, number="1")


def test_a_rule_counts_the_packets_of_the_probe_and_its_drops() -> None:
    jump = "ip filter FORWARD: rule counter packets 82 bytes 12552 jump X # handle 40 (verdict jump X)"
    found = trace_of(*events("request", *ARRIVES, jump, f"ip filter X: {DROP} (verdict drop)"))
    dropping = TracedRule(False, "ip filter", "X", 54)
    assert found.dropped == {dropping: 1}
    assert found.matched == {dropping: 1, TracedRule(False, "ip filter", "FORWARD", 40): 1}
    assert (found.arrived, found.left) == ({False}, frozenset())


@pytest.mark.parametrize("mark", ["", "meta mark 0x00001000 "])
def test_a_policy_has_no_handle(mark: str) -> None:
    found = trace_of(*events("request", *ARRIVES, f"inet fw in: policy drop {mark}"))
    assert found.dropped == {TracedRule(False, "inet fw", "in", None): 1}


def test_requests_and_replies_arrive_and_leave() -> None:
    # The kernel may use the same number again.
    lines = (*events("request", *ARRIVES, LEAVES), *events("reply", *ARRIVES), *events("own", *ARRIVES, LEAVES))
    found = trace_of(*lines)
    assert (found.arrived, found.left) == ({False, True}, {False})
    assert not found.dropped


def test_the_source_of_a_request_is_the_one_with_which_it_arrives() -> None:
    hidden = [line.replace("10.128.0.2 ", "192.168.18.128 ") for line in events("request", LEAVES)]
    found = trace_of(*events("request", *ARRIVES), *hidden, *events("reply", *ARRIVES))
    assert found.sources == {IPv4Address("10.128.0.2")}


def test_an_unreadable_source_is_an_error_of_the_host() -> None:
    with pytest.raises(HostError):
        trace_of(*(line.replace("10.128.0.2 ", "10.128.0.256 ") for line in events("request", *ARRIVES)))


@pytest.mark.parametrize("kind", ["own", "other target", "other length", "other reply"])
def test_other_packets_do_not_count(kind: str) -> None:
    found = trace_of(*OWN_PING, *events(kind, *ARRIVES, f"ip filter FORWARD: {DROP} (verdict drop)", LEAVES))
    assert found == ProbeTrace(Counter(), Counter(), frozenset(), frozenset())


@pytest.mark.parametrize(
    "lines",
    [
        [],
        ["Error: Operation not supported"],
        ["trace id 1 \x1b[31m"],
        # Only the administrator traces, or another explanation.
        events("request", f"ip filter FORWARD: {DROP} (verdict drop)"),
        events("other length", *ARRIVES, f"ip filter FORWARD: {DROP} (verdict drop)", LEAVES),
        # nft did not read all events in time.
        [*OWN_PING, "# ERROR: We lost some netlink events!", *events("request", *ARRIVES, LEAVES)],
    ],
)
def test_an_output_without_all_events_of_the_probe_is_no_trace(lines: list[str]) -> None:
    assert parse_trace(lines, TARGET, LENGTH) is None


def test_text_of_a_rule_that_looks_like_a_loss_of_events_is_none() -> None:
    rule = 'ip filter FORWARD: rule comment "# ERROR: We lost some netlink events!" accept # handle 4 (verdict accept)'
    assert trace_of(*events("request", *ARRIVES, rule)).matched == {TracedRule(False, "ip filter", "FORWARD", 4): 1}


def test_a_handle_too_long_for_a_number_is_ignored() -> None:
    rule = f"ip filter FORWARD: rule drop # handle {'1' * 5000} (verdict drop)"
    assert not trace_of(*events("request", *ARRIVES, rule)).matched
