"""The differences of two results as JSON and on the console."""

import json
import re
from dataclasses import replace
from datetime import timedelta

import results
from printed import CapturedConsole, Line, figures, line, mark

from dockmesh.core.results.compare import compare
from dockmesh.core.results.model import MeshResult
from dockmesh.report.console.result_diff import print_comparison
from dockmesh.report.json.diff import diff_document

KINDS = ("host-bridge", "host-container", "container-container")


def print_diff(before: MeshResult, after: MeshResult) -> CapturedConsole:
    paper = CapturedConsole()
    print_comparison(paper.out, compare(before, after), before, after)
    return paper


def coloured(before: MeshResult, after: MeshResult) -> list[tuple[str, set[str]]]:
    """The lines on a wide terminal, with their colours."""
    paper = CapturedConsole(1000, terminal=True)
    print_comparison(paper.out, compare(before, after), before, after)
    return list(zip(paper.lines, paper.colours, strict=True))


def one_hour_later(result: MeshResult) -> MeshResult:
    """The result with a time one hour later and round trips one millisecond longer."""
    rows = tuple(replace(row, rtt_ms=None if row.rtt_ms is None else row.rtt_ms + 1) for row in result.probes)
    return replace(result, probes=rows, time=results.AT + timedelta(hours=1))


def round_trips(text: str) -> list[str]:
    return re.findall(r"(\d+\.\d) ms", text)


def test_lost_probes_have_a_line_per_direction_with_the_cause() -> None:
    before, after = results.result(4), one_hour_later(results.result(4, cut=["host2"], cause="host2 has not joined"))
    paper = print_diff(before, after)
    lines = paper.lines
    sides = lines[0].split(" → ")
    assert [re.findall(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", side) for side in sides] == [
        ["2026-01-02 03:04:05"],
        ["2026-01-02 04:04:05"],
    ]
    assert [figures(side) for side in sides] == [["30", "30"], ["15", "30"]]
    assert line(lines[1]) == Line("✗", ("host1", "host3"), ("host2",), KINDS, ())
    assert line(lines[2]) == Line("✗", ("host2",), ("host1", "host3"), KINDS, ())
    assert paper.text.count("host2 has not joined") == len(lines) - 2
    assert round_trips(lines[-1]) == ["0.4", "1.4"]
    assert paper.verdict == ({"red"}, ["0.4", "1.4", "15"])
    back = print_diff(after, before)
    assert line(back.lines[1]) == replace(line(lines[1]), mark="✓")
    assert "host2 has not joined" not in back.text
    assert round_trips(back.lines[-1]) == ["1.4", "0.4"]
    assert back.verdict == ({"green"}, ["0.4", "1.4", "15"])


def test_hosts_come_before_their_probes() -> None:
    lines = print_diff(results.result(3), results.result(3, silent={"host3": "no login"})).lines
    assert len(lines) == 4
    assert lines[1].startswith("✗ host3 ")
    assert "no login" in lines[1]
    assert figures(lines[1]) == ["4"]
    assert line(lines[2]) == Line("✗", ("host1", "host2"), ("host3",), KINDS[:1], ())
    assert "no reply" in lines[2]


def test_new_host_is_listed_separately_from_its_failed_probes() -> None:
    found = coloured(results.result(3), results.result(4, cut=["host4"]))
    assert [(mark(text), shade) for text, shade in found if "host4" in text] == [
        *([("✗", {"red"})] * 2),
        ("+", {"cyan"}),
    ]
    lines = [text for text, _shade in found]
    assert line(lines[1]) == Line("✗", ("host1", "host2", "host3"), ("host4",), KINDS[:1], ())
    (new,) = (text for text in lines if text.startswith("+"))
    assert new.startswith("+ host4")
    assert "→" not in new


def test_equal_results_are_summarized_in_the_last_line() -> None:
    same = print_diff(results.result(2), results.result(2))
    assert len(same.lines) == 2
    assert same.verdict == ({"green"}, ["0.4", "0.4"])
    cut = results.result(2, cut=["host1"])
    still = print_diff(cut, cut)
    assert [line(text) for text in still.lines[1:-1]] == [
        Line("✗", ("host1",), ("host2",), KINDS, ()),
        Line("✗", ("host2",), ("host1",), KINDS, ()),
    ]
    assert still.verdict == ({"green"}, ["0.1", "0.1"]), "an old failure is not worse"
    words = [paper.lines[-1].partition(".")[0] for paper in (same, still)]
    assert words[0] != words[1], "old failures change the last line"


def test_number_of_differences_is_limited() -> None:
    silent = {f"host{number}": f"down {number}" for number in range(1, 91)}
    lines = print_diff(results.result(100), results.result(100, silent=silent)).lines
    assert len(lines) == 43
    assert [text.split()[1] for text in lines[1:41]] == [f"host{number}" for number in range(1, 41)]
    assert figures(lines[-2]) == ["51"]
    assert "--json" in lines[-2]


def test_document_lists_every_probe_by_its_difference() -> None:
    before, after = results.result(4, cut=["host1"]), results.result(4, silent={"host2": "no login"})
    found = compare(before, after)
    document = json.loads(json.dumps(diff_document(found, after)))
    assert document["format"] == "dockmesh/diff/1"
    assert document["worse"] is True
    assert document["summary"] == {
        name: len(document[name]) for name in ("lost", "broken", "still_failing", "recovered", "new", "gone", "changed")
    }
    assert document["summary"]["lost"] == len(found.lost) > 0
    assert all(set(probe) == {"source", "target", "kind", "family", "code", "reason"} for probe in document["lost"])
    assert {(probe["code"], probe["reason"]) for probe in document["lost"] if probe["target"] == "host2"} == {
        ("no-reply", "no reply"),
        ("not-asked", "host2 could not be asked for it"),
        ("not-asked", "host2 could not be asked: no login"),
    }
    assert {(probe["code"], probe["reason"]) for probe in document["recovered"]} == {(None, None)}
    assert document["hosts"] == {
        "added": [],
        "removed": [],
        "unreachable": [{"host": "host2", "code": "unreachable", "error": "no login"}],
        "recovered": [],
    }
    assert set(document["rtt_ms"]) == {"before", "after"}
