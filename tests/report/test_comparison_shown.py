"""What tells two results apart, as scripts and people get it."""

import json
from io import StringIO

import results

from dockmesh.core.results.comparison import compare
from dockmesh.core.results.model import Result
from dockmesh.report.comparison import comparison_document, print_comparison
from dockmesh.report.console import console


def shown(before: Result, after: Result) -> list[str]:
    stream = StringIO()
    print_comparison(console(stream), compare(before, after), before, after)
    assert "\x1b" not in stream.getvalue()
    return stream.getvalue().splitlines()


def test_what_was_lost_is_told_in_a_line_a_direction_with_its_cause() -> None:
    before, after = results.result(4), results.result(4, cut=["host2"], cause="host2 has not joined")
    lines = shown(before, after)
    assert (
        lines[0]
        == "2026-01-02 03:04:05 UTC, 30 of 30 probes reached → 2026-01-02 03:04:05 UTC, 15 of 30 probes reached"
    )
    kinds = "host-bridge, host-container, container-container (host2 has not joined)"
    assert lines[1] == f"✗ host1, host3 → host2 lost: {kinds}"
    assert lines[-1] == "Probes: 15 lost. Median round trip: 0.4 ms, now 0.4 ms."
    assert shown(after, before)[1] == lines[1].replace("✗", "✓").replace("lost", "reached again").split(" (")[0]


def test_hosts_are_told_before_their_probes() -> None:
    lines = shown(results.result(3), results.result(3, silent={"host3": "no login"}))
    assert lines[1:3] == [
        "✗ host3 cannot be asked any more: no login (4 probes not made)",
        "✗ host1, host2 → host3 lost: host-bridge (no reply)",
    ]
    lines = shown(results.result(3), results.result(4, cut=["host4"]))
    assert "+ host4 is new" in lines
    assert any(line.startswith("✗ host1, host2, host3 → host4 new, and fails: ") for line in lines)


def test_nothing_that_differs_is_said_in_a_word() -> None:
    assert shown(results.result(2), results.result(2))[1:] == [
        "Nothing differs. Median round trip: 0.4 ms, now 0.4 ms."
    ]
    cut = results.result(2, cut=["host1"])
    assert shown(cut, cut)[-1].startswith("Nothing differs, and nothing that failed is mended.")


def test_a_flood_of_differences_ends() -> None:
    silent = {f"host{number}": f"down {number}" for number in range(1, 91)}
    lines = shown(results.result(100), results.result(100, silent=silent))
    assert len(lines) == 43
    assert lines[-2].endswith("--json has them all")


def test_the_document_lists_every_probe_by_what_became_of_it() -> None:
    before, after = results.result(4, cut=["host1"]), results.result(4, silent={"host2": "no login"})
    found = compare(before, after)
    document = json.loads(json.dumps(comparison_document(found, after)))
    assert document["format"] == "dockmesh/diff/1"
    assert document["worse"] is True
    assert document["summary"] == {
        name: len(document[name]) for name in ("lost", "broken", "still_failing", "mended", "new", "gone", "changed")
    }
    assert document["summary"]["lost"] == len(found.lost) > 0
    assert all(set(probe) == {"source", "target", "kind", "family", "code", "reason"} for probe in document["lost"])
    assert {(probe["code"], probe["reason"]) for probe in document["lost"] if probe["target"] == "host2"} == {
        ("no-reply", "no reply"),
        ("not-asked", "host2 could not be asked for it"),
        ("not-asked", "host2 could not be asked: no login"),
    }
    assert {(probe["code"], probe["reason"]) for probe in document["mended"]} == {(None, None)}
    assert document["hosts"] == {
        "new": [],
        "gone": [],
        "lost": [{"host": "host2", "code": "unreachable", "error": "no login"}],
        "mended": [],
    }
    assert set(document["rtt_ms"]) == {"before", "after"}
