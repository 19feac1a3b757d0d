"""Parsers of host output take time and memory in proportion to the text, and fail only with an error of the host.

The texts repeat each literal of the parser's grammar, on one line and on many. The unit of time is a loop over the
characters of the same text in the same run, and only CPU time counts.
"""

import tracemalloc
from collections.abc import Callable, Iterator
from functools import partial
from ipaddress import IPv4Address
from time import process_time

import pytest
from builders import FLEET, HOST1, HOST2, TEMPLATES, WIDE, facts, recording, section_text
from explanations import explanation, recorded_sections, recorded_text
from host_models import read_hosts
from traces import POINTS

from dockmesh.core.desired.host_state import desired, original_state, rollback_state
from dockmesh.core.facts.iproute import parse_address_line, parse_kernel_route, parse_peer_route
from dockmesh.core.facts.links import parse_links
from dockmesh.core.forecast.impact import predict_impact
from dockmesh.core.host_output import (
    Section,
    Sections,
    parse_json,
    parsing,
    sanitize,
    split,
)
from dockmesh.core.netfilter.nft_trace import parse_trace
from dockmesh.core.planning.conflicts.network import conflicts, notes
from dockmesh.core.planning.plan import plan_host
from dockmesh.core.planning.summary import PeerNames, summarize
from dockmesh.core.planning.transaction import parse_outcome
from dockmesh.core.probes.batch import parse_row
from dockmesh.core.probes.model import Probe, ProbeTarget
from dockmesh.core.probes.observed import parse_observed
from dockmesh.core.probes.targets import parse_target
from dockmesh.core.results.model import ProbeResult
from dockmesh.core.state.codec import load_state
from dockmesh.core.state.daemon_json import DaemonJsonError
from dockmesh.core.trace import script
from dockmesh.core.trace.model import Endpoint
from dockmesh.errors import HostError

pytestmark = pytest.mark.slow

Parser = Callable[[str], object]
# The time for a character, in iterations of a loop: a generous factor for a parser, and little for the square of a run.
MOST_PER_CHARACTER = 500
# Characters of one literal, which a parser with quadratic time needs seconds for, and of all literals together.
RUN = 1 << 13
MOST_BYTES_PER_CHARACTER = 200
WHOLE = 4 << 20
FORECAST = {"addresses", "routes", "links", "sysctls", "iptables_rules", "foreign_nft", "own_nft", "docker_containers"}
JOINED = {host: read_hosts("joined")[host] for host in ("host1", "host3")}
PROBES = {kind: Probe("host1", "host2", kind) for kind in ("host-bridge", "container-container")}
TARGET = ProbeTarget(IPv4Address("10.0.0.1"), IPv4Address("10.0.0.1"), pid=7, mtu=1500)
SYMBOLS = ('"', "'", "\\", "{", "[", " ", "\t", ":", "0", "1.1.1.1 ", "::", "a ", "@", "\x1b[0", "\ud7ff ", "\u2028")
RULES = (
    "-A FORWARD -j FORWARD ",
    "*filter ",
    ":FORWARD DROP [0:0] ",
    "-s 1.1.1.1/8 ",
    '--comment "',
    "! ",
    "table inet firewalld { ",
    "chain x { ",
    "type filter hook forward priority 0; ",
    "elements = { ",
    "iifname { ",
    'iifname "',
    "ip saddr 1.1.1.1 ",
    "ip saddr { 1.1.1.1",
    "counter packets 1 ",
    "counter packets 1 bytes 1 ",
    "reject with ",
    "jump x ",
    "drop ",
    "accept ",
    "tcp ",
    "dport 1 ",
    "limit ",
    " # handle 1",
)
PING = (
    "From 1",
    "From 1 ",
    "From ::1: ",
    "Destination ",
    "= 1/1/1",
    "1 packets transmitted, 1 received ",
    "ttl=1 ",
    "|",
)
IP = ("link/", "link/ether ", "1: x: <UP> mtu ", "nexthop ", "default ", "via ", "lladdr ", "linkdown ", "proto ", "<")
EVENT = "trace id 1 ip filter FORWARD "
PACKET = "packet: ip saddr 1.1.1.1 ip daddr 10.0.0.1 ip length 84 icmp type echo-request "
TRACE = (
    EVENT,
    f"{EVENT}{PACKET}",
    f"{EVENT}rule drop # handle 1 (verdict drop)",
    "packet: ",
    "ip saddr 1.1.1.1 ip daddr 10.0.0.1 ",
    "ip length 84 ",
    "icmp type echo-request ",
    "handle 1 (verdict drop",
    "policy ",
)
JSON = ('{"a":', "[1,", "1e9", '"\\u0000', "Infinity,", "null,")
FIREWALLD = "table inet firewalld {\nchain filter_FORWARD {\ntype filter hook forward priority 10; policy accept;\n"
# What precedes the repeated text, so that a strict parser reads on.
HEADS = {
    "iptables_rules": "*filter\n:FORWARD DROP [0:0]\n-A FORWARD ",
    "foreign_nft": FIREWALLD,
    "filter": ":FORWARD DROP\n-A FORWARD ",
    "own_nft": "table ip dockmesh {\nset peers {\ntype ipv4_addr\nflags interval\nelements = { ",
    "links": "9: x: <UP> mtu 1500 ",
    "routes": "10.0.0.0/8 dev x ",
    "before.iptables_rules": "*filter\n:FORWARD DROP [0:0]\n[1:1] -A FORWARD ",
    "after.nft_ruleset": "table ip dockmesh {\nchain forward {\n",
    "traced": f"{EVENT}packet: ",
    "decided": f"{EVENT}{PACKET}\n{EVENT}rule handle 1 (verdict ",
    "neighbours": "10.0.0.1 dev x lladdr 02:00:00:00:00:00 ",
}


def read_and_plan(name: str, text: str) -> None:
    """Everything that a run does with the facts of a host, one section of which is `text`."""
    found = facts("trixie_joined", {name: text})
    for goal in (original_state, rollback_state) if name.endswith(".json") else ():
        try:
            plan_host(found, goal(found), WIDE)
        except (HostError, DaemonJsonError):
            continue
    try:
        wanted = desired(FLEET, HOST2, found, WIDE, TEMPLATES)
        plan = plan_host(found, wanted, WIDE, conflicts(FLEET, HOST2, found, WIDE), notes(HOST2, found, WIDE))
    except DaemonJsonError:
        return
    assert len(plan.conflicts) < 1000
    assert all(len(str(each)) < 2000 for each in (*plan.conflicts, *plan.notes))
    summarize(plan, PeerNames(FLEET))
    if name in FORECAST:
        predict_impact(FLEET, FLEET.hosts, {**JOINED, "host2": found}, {"host2": plan})


def read_pings(head: str, text: str) -> None:
    for probe in PROBES.values():
        said = "".join(f"0 {mark}{head}{line}\n" for line in text.split("\n") for mark in (". ", "+ ", ""))
        targets = {"host1": TARGET, "host2": TARGET}
        results: list[ProbeResult] = list(parse_row([probe], targets, Section(0, said)))
        assert all(len(each.reason or "") < 2000 for each in results)


def read_target(name: str, text: str) -> None:
    said = dict.fromkeys(("addresses", "addresses6", "links", "mesh_routes"), Section(0, ""))
    said |= {"target": Section(0, "10.128.0.250 - 99 namespace 1500"), name: Section(0, text)}
    parse_target(HOST1, Sections(said))


def strict(parse: Parser) -> Parser:
    """A parser whose errors become those of the host, as its callers make them."""

    def parsed(text: str) -> None:
        with parsing("text"):
            parse(text)

    return parsed


def read_points(text: str) -> None:
    script.parse_points(HOST1, Sections(points=Section(0, text)))


def read_container(text: str) -> None:
    script.parse_endpoint_address(Endpoint(HOST1, "web"), Sections(container=Section(0, text)))


def read_capture(text: str) -> None:
    list(script.parse_captures(POINTS[:1], Sections({"capture.1": Section(0, text)})))


def read_traced(text: str) -> None:
    parse_trace(text.split("\n"), TARGET.address, 84)


ANSWERS = ("host1-prepared", "host1-snapshot", "host1-probe", "host3-snapshot")
DIRECT: dict[str, Parser] = {
    "split": split,
    "sanitize": sanitize,
    "json": strict(parse_json),
    "ping": partial(read_pings, ""),
    "lost ping": partial(read_pings, "3 packets transmitted, 0 received|"),
    "observed": lambda text: parse_observed(Section(0, text)),
    "outcome": lambda text: parse_outcome(Section(0, text)),
    "previous state": load_state,
    "points": read_points,
    "container": read_container,
    "capture": read_capture,
    "traced": read_traced,
    "traced decided": read_traced,
    "links": strict(lambda text: parse_links(text.split("\n"))),
    "routes": strict(lambda text: [parse_kernel_route(line) for line in text.split("\n")]),
    "peer routes": strict(lambda text: [parse_peer_route(line) for line in text.split("\n")]),
    "address": strict(lambda text: [parse_address_line(line) for line in text.split("\n")]),
}
PARSERS: dict[str, Parser] = {
    **DIRECT,
    **{f"target {each}": partial(read_target, each) for each in ("target", "addresses", "links", "mesh_routes")},
    **{f"facts {each}": partial(read_and_plan, each) for each in split(recording("trixie_joined"))},
    **{
        f"{answer} {each}": lambda text, answer=answer, each=each: explanation({answer: {each: text}})
        for answer in ANSWERS
        for each in recorded_sections(answer)
    },
}


def literals(name: str) -> list[str]:
    """Words and lines of the recorded text, and the literals of the parsers."""
    answer, _, part = name.partition(" ")
    text = section_text("trixie_joined", part) if answer == "facts" else ""
    text = recorded_text(answer, part) if answer in ANSWERS else text
    lines = [line for line in text.split("\n") if 0 < len(line) < RUN]
    words = [f"{word} " for line in lines for word in line.split()]
    own = next((each for key, each in GRAMMARS.items() if any(word in name for word in key)), ())
    return list(dict.fromkeys([*lines[:3], *words[:12:2], *own, *SYMBOLS]))


GRAMMARS = {
    ("iptables", "nft", "filter", "raw", "nat"): RULES,
    ("ping",): PING,
    ("route", "link", "address", "neighbours"): IP,
    ("traced",): TRACE,
    ("json", "docker_", "outcome", "state"): JSON,
}


def texts(name: str) -> Iterator[str]:
    """Each literal repeated on one line and on many; for whole answers, all literals at once.

    The literals of a trace are long, so that quadratic time needs longer runs to show.
    """
    head = HEADS.get(name.rsplit(maxsplit=1)[-1], "")
    length = RUN * 8 if name.startswith("traced") else RUN
    runs = [(each * (length // len(each) + 1))[:length] for each in literals(name)]
    lines = ["\n".join([each] * (length // (len(each) + 1))) for each in literals(name)]
    if name in DIRECT:
        yield from (head + each for each in (*runs, *lines))
    else:
        yield head + "".join(runs)
        yield head + "\n".join(runs)
        yield head + "\n".join(lines)


def run(parse: Parser, text: str) -> float:
    """Parse, and return the CPU time in seconds. A HostError is a result like another."""
    start = process_time()
    try:
        parse(text)
    except HostError as error:
        message = str(error)
        assert len(message) < 2000
    return process_time() - start


def loop(text: str) -> float:
    start = process_time()
    for _ in text:
        pass
    return process_time() - start


def is_linear(parse: Parser, text: str, fixed: float) -> bool:
    """Whether the time is a small multiple of a loop over the text, or at most triples when the text is doubled.

    `fixed`: the time for an empty text. A busy machine can delay one attempt.
    """
    for _ in range(3):
        if run(parse, text) - fixed < MOST_PER_CHARACTER * loop(text) + 0.01:
            return True
        if run(parse, text + text) < 3 * run(parse, text):
            return True
    return False


@pytest.mark.parametrize("name", PARSERS)
def test_the_time_of_a_parser_grows_with_its_text(name: str) -> None:
    parse = PARSERS[name]
    fixed = run(parse, "")
    slow = [text[:60] for text in texts(name) if not is_linear(parse, text, fixed)]
    assert not slow


@pytest.mark.parametrize("name", DIRECT)
@pytest.mark.parametrize("between", ["", "\n"], ids=["one line", "lines"])
def test_four_mebibytes_are_parsed_in_proportion(name: str, between: str) -> None:
    text = between.join(texts(name))
    assert is_linear(DIRECT[name], (text * (WHOLE // len(text) + 1))[:WHOLE], 0)


@pytest.mark.parametrize("name", DIRECT)
def test_the_memory_of_a_parser_is_a_multiple_of_its_text(name: str) -> None:
    text = "".join(texts(name))
    tracemalloc.start()
    try:
        run(DIRECT[name], text)
        assert tracemalloc.get_traced_memory()[1] < MOST_BYTES_PER_CHARACTER * len(text)
    finally:
        tracemalloc.stop()
