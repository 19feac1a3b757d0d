"""Traces as JSON and on the console."""

import json
import re
from dataclasses import replace

import pytest
from printed import CapturedConsole, figures
from traces import POINTS, capture_set, with_failed_point

from dockmesh.core.trace.model import CaptureSet
from dockmesh.core.trace.reconstruct import reconstruct
from dockmesh.errors import HostFailure
from dockmesh.report.console.trace import print_trace
from dockmesh.report.json.trace import trace_document


def print_captures(found: CaptureSet, width: int | None = None) -> CapturedConsole:
    paper = CapturedConsole(width)
    print_trace(paper.out, reconstruct(found))
    return paper


def titles(lines: list[str]) -> list[tuple[str, str]]:
    """The source and target in the title of each table."""
    return [found.groups() for line in lines if (found := re.search(r"(host\d) → (host\d)$", line))]


def hops(lines: list[str]) -> list[tuple[str, ...]]:
    """The cells of each hop: host, interface, addresses, TTL and remark."""
    form = re.compile(r"(host\d) +(\S+)(?: \D+?)? +(\d+\.\S+) +(\d+\.\S+) +(\d+)(?: +(\S.*))?")
    return [found.groups("") for line in lines if (found := form.fullmatch(line))]


def test_document_has_the_keys_of_the_contract() -> None:
    document = json.loads(json.dumps(trace_document(reconstruct(capture_set("translated")))))
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


def test_document_of_a_failed_trace_has_no_hops_and_a_reason() -> None:
    failed = replace(capture_set("joined"), captures=(), errors={"host3": HostFailure("capture-failed", "no tcpdump")})
    document = trace_document(reconstruct(failed))
    assert (document["reached"], document["request"], document["reply"]) == (False, [], [])
    assert document["errors"] == [{"host": "host3", "code": "capture-failed", "error": "no tcpdump"}]
    assert document["code"] == "not-captured"
    assert re.fullmatch(r"host3\b.*\bno tcpdump", document["verdict"])


@pytest.mark.parametrize("width", [80, 160, None])
def test_output_has_a_line_per_hop_and_marks_translations(width: int | None) -> None:
    paper = print_captures(capture_set("translated"), width)
    assert titles(paper.lines) == [("host1", "host3"), ("host3", "host1")]
    found = hops(paper.lines)
    assert [cells[:5] for cells in found if cells[5]] == [
        ("host1", "eth0", "192.168.18.128", "10.128.32.2", "63"),
        ("host1", "docker0", "10.128.32.2", "10.128.0.2", "62"),
    ]
    document = trace_document(reconstruct(capture_set("translated")))
    assert [cells[:5] for cells in found] == [
        (hop["host"], hop["interface"], hop["source"], hop["destination"], str(hop["ttl"]))
        for hop in (*document["request"], *document["reply"])
    ]
    assert paper.colours[-1] == {"green"}


@pytest.mark.parametrize("width", [80, 160, None])
def test_output_shows_where_the_packet_was_lost(width: int | None) -> None:
    paper = print_captures(capture_set("refused"), width)
    lines = paper.lines
    lost = [line for line in lines if "✗" in line]
    assert [line.split()[:3] for line in lost] == [["host3", "docker0", "✗"]]
    assert titles(lines) == [("host1", "host3")], "there is no reply"
    verdict = trace_document(reconstruct(capture_set("refused")))["verdict"]
    assert " ".join(lines).endswith(f" {verdict}")
    assert re.findall(r"host\d", verdict.partition(";")[0]) == ["host3"], "lost at host3"
    assert paper.colours[-1] == {"red"}


def test_routing_loop_is_shown_in_part() -> None:
    lines = print_captures(capture_set("circling")).lines
    assert len(lines) < 40
    (rest,) = (line for line in lines if line.startswith("…"))
    assert figures(rest) == [str(len(reconstruct(capture_set("circling")).request.hops) - len(hops(lines)))]


def test_host_texts_cannot_inject_control_codes() -> None:
    evil = "[red]x[/red] \x1b[31m \x07"
    lines = print_captures(with_failed_point(capture_set("refused"), POINTS[4], evil)).lines
    assert "[red]x[/red]" in lines[-1]
