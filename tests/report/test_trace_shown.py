"""A trace as scripts and people get it."""

import json
from dataclasses import replace
from io import StringIO

import pytest
from traces import POINTS, captured, without

from dockmesh.core.trace.model import Captured
from dockmesh.core.trace.verdict import verdict
from dockmesh.core.trace.way import follow
from dockmesh.errors import HostFailure
from dockmesh.report.console import console
from dockmesh.report.trace import print_trace, trace_document


def shown(found: Captured, width: int | None = None) -> list[str]:
    stream = StringIO()
    out = console(stream)
    if width:
        out.width = width
    print_trace(out, follow(found))
    assert "\x1b" not in stream.getvalue()
    return [line.rstrip() for line in stream.getvalue().splitlines()]


def test_the_document_is_the_contracts() -> None:
    document = json.loads(json.dumps(trace_document(follow(captured("translated")))))
    assert list(document) == ["format", "source", "target", "reached", "request", "reply", "errors", "code", "verdict"]
    assert (document["format"], document["source"], document["target"]) == ("dockmesh/trace/1", "host1", "host3")
    assert (document["reached"], document["code"]) == (True, "source-rewritten")
    assert len(document["request"]) == len(document["reply"]) == 6
    assert document["request"][2] == {
        "host": "host1",
        "place": "uplink",
        "interface": "eth0",
        "source": "192.168.18.128",
        "destination": "10.128.32.2",
        "ttl": 63,
        "translated": True,
    }


def test_the_document_of_a_trace_that_did_not_come_about_has_no_hops_and_says_why() -> None:
    failed = replace(captured("joined"), captures=(), errors={"host3": HostFailure("capture-failed", "no tcpdump")})
    document = trace_document(follow(failed))
    assert (document["reached"], document["request"], document["reply"]) == (False, [], [])
    assert document["errors"] == [{"host": "host3", "code": "capture-failed", "error": "no tcpdump"}]
    assert (document["code"], document["verdict"]) == ("not-captured", "host3: no tcpdump")


@pytest.mark.parametrize("width", [80, 160, None])
def test_people_see_a_line_per_hop_and_where_an_address_is_translated(width: int | None) -> None:
    lines = shown(captured("translated"), width)
    assert lines[0] == "request: host1 → host3"
    assert [line.split() for line in lines if line.endswith("translated")] == [
        ["host1", "eth0", "192.168.18.128", "10.128.32.2", "63", "translated"],
        ["host1", "docker0", "10.128.32.2", "10.128.0.2", "62", "translated"],
    ]
    assert sum(line.startswith(("host1", "host3")) and line[-1].isdigit() for line in lines) >= 10


@pytest.mark.parametrize("width", [80, 160, None])
def test_people_see_where_the_packet_was_not_seen_any_more(width: int | None) -> None:
    lines = shown(captured("refused"), width)
    missed = [line for line in lines if "✗" in line]
    assert [line.split() for line in missed] == [["host3", "docker0", "✗", "not", "seen", "here"]]
    assert not any(line.startswith("reply") for line in lines)
    assert verdict(follow(captured("refused"))).text in " ".join(lines)


def test_a_packet_that_circles_is_shown_in_part() -> None:
    lines = shown(captured("circling"))
    assert len(lines) < 40
    assert any("more" in line for line in lines)


def test_what_hosts_say_cannot_steer_the_terminal() -> None:
    evil = "[red]x[/red] \x1b[31m \x07"
    lines = shown(without(captured("refused"), POINTS[4], evil))
    assert "[red]x[/red]" in lines[-1]
