"""Forecasts on the console and in JSON."""

from dataclasses import replace

from builders import FLEET, HOST1
from printed import CapturedConsole, Line, figures, line, mark
from rich.text import Text

from dockmesh.core.forecast.impact import MAX_HOSTS, Impact, ImpactRow
from dockmesh.core.forecast.predict import PairState
from dockmesh.core.netfilter.verdicts import Reason, ReasonCode
from dockmesh.report.console.forecast import print_forecast
from dockmesh.report.json.forecast import forecast_document


def print_impact(*shifts: ImpactRow) -> CapturedConsole:
    """Print on a wide terminal, which has colours and does not wrap lines."""
    paper = CapturedConsole(1000, terminal=True)
    after = {"reached": 7, "failing": 2, "unknown": 1}
    print_forecast(paper.out, Impact({**after, "reached": 3}, after, shifts), FLEET)
    return paper


def test_equal_forecasts_share_a_line_and_losses_come_first() -> None:
    paper = print_impact(
        ImpactRow("a", "host-bridge", ("b", "c"), "failing", "reached"),
        ImpactRow("a", "host-container", ("b", "c"), "failing", "reached"),
        ImpactRow(
            "b",
            "host-bridge",
            tuple("cdefghij"),
            "reached",
            "failing",
            Reason(ReasonCode.NO_ROUTE, "b has no route there"),
        ),
        ImpactRow(
            "c", "host-bridge", ("a",), "failing", "failing", Reason(ReasonCode.FIREWALL_DROP, "c [red]drops it")
        ),
        ImpactRow("c", "host-bridge", ("b",), "reached", "unknown", Reason(ReasonCode.FIREWALL_DROP, "b may drop it")),
    )
    summary, *lines = paper.lines
    assert figures(summary) == ["10", "7", "2", "1", "3", "2", "1"], "total, then three states after and before"
    bridge, both = ("host-bridge",), ("host-bridge", "host-container")
    assert [line(each) for each in lines] == [
        Line("✗", ("b",), tuple("cdefgh"), bridge, ("2",)),
        Line("?", ("c",), ("b",), bridge, ()),
        Line("✗", ("c",), ("a",), bridge, ()),
        Line("+", ("a",), ("b", "c"), both, ()),
    ]
    assert paper.colours[1:] == [{"red"}, {"yellow"}, set(), {"green"}], "an old failure has no colour"
    assert all(each.startswith("  ") for each in lines)
    whys = ("b has no route there", "b may drop it", "c [red]drops it")
    assert all(each.endswith(f": {why}") for each, why in zip(lines, whys, strict=False))
    assert [paper.text.count(why) for why in whys] == [1, 1, 1]


def test_lost_rows_have_a_code_and_a_reason() -> None:
    shifts = (
        ImpactRow("a", "host-bridge", ("b",), "failing", "reached"),
        ImpactRow("b", "host-bridge", ("a",), "reached", "failing", Reason(ReasonCode.NO_ROUTE, "b has none")),
    )
    counts = {"reached": 1, "failing": 0, "unknown": 0}
    document = forecast_document(Impact(counts, counts, shifts))
    keys = ["source", "kind", "targets", "before", "after", "code", "reason"]
    assert [list(row) for row in (*document["gained"], *document["lost"])] == [keys, keys]
    assert [(row["code"], row["reason"]) for row in document["gained"]] == [(None, None)]
    assert [(row["code"], row["reason"]) for row in document["lost"]] == [("no-route", "b has none")]


def test_targets_with_the_same_cause_share_a_line() -> None:
    rows = (ImpactRow("a", "host-bridge", (target,), "reached", "unknown") for target in ("b", "c", "d"))
    lines = print_impact(*rows).lines
    assert [line(each).targets for each in lines[1:]] == [("b", "c", "d")]


def test_forecast_lines_above_the_limit_are_counted() -> None:
    lines = print_impact(
        *(ImpactRow(f"g{n}", "host-bridge", (f"h{n}",), "failing", "reached") for n in range(20))
    ).lines
    assert len(lines) == 14
    assert [line(each).targets for each in lines[1:-1]] == [(f"h{n}",) for n in range(12)]
    assert lines[-1].startswith("  + ")
    assert figures(lines[-1]) == ["8"]
    assert "--json" in lines[-1]


def test_sources_with_the_same_cause_share_a_line() -> None:
    names = [host.name for host in FLEET.hosts]
    rows = (
        ImpactRow(
            name,
            "host-bridge",
            tuple(other for other in names if other != name),
            "reached",
            "failing",
            Reason(ReasonCode.NO_ROUTE, f"{name} has no route"),
        )
        for name in names
    )
    _summary, only = print_impact(*rows).lines
    assert (line(only).mark, line(only).sources) == ("✗", tuple(names))
    assert only.endswith(" has no route")


def test_intended_losses_are_not_alarming() -> None:
    paper = CapturedConsole(1000, terminal=True)
    lost = ImpactRow("a", "host-bridge", ("b",), "reached", "failing", Reason(ReasonCode.NO_ROUTE, "a has no route"))
    counts = {"reached": 1, "failing": 0, "unknown": 0}
    print_forecast(paper.out, Impact(counts, counts, (lost,)), FLEET, losses_intended=True)
    assert line(paper.lines[1]) == Line("-", ("a",), ("b",), ("host-bridge",), ())
    assert "red" not in paper.colours[1]


def test_equal_counts_before_and_after_are_printed_once() -> None:
    paper = CapturedConsole()
    counts: dict[PairState, int] = {"reached": 7, "failing": 2, "unknown": 1}
    print_forecast(paper.out, Impact(counts, counts, ()), FLEET)
    (summary,) = paper.lines
    assert figures(summary) == ["10", "7", "2", "1"]
    assert [word for word in ("reached", "failing", "unknown", " now") if word in summary] == list(counts)


def test_pairs_with_hosts_that_were_not_read_take_two_lines() -> None:
    unread = [host.name for host in FLEET.hosts if host != HOST1]
    rows = [
        ImpactRow(source, "host-bridge", (target,), "unknown", "unknown", Reason(ReasonCode.NOT_READ, f"{name} unread"))
        for name in unread
        for source, target in (("host1", name), (name, "host1"))
    ]
    _summary, *lines = print_impact(*rows).lines
    assert [(mark(each), line(each).sources, line(each).targets) for each in lines] == [
        ("?", ("host1",), tuple(unread)),
        ("?", tuple(unread), ("host1",)),
    ]
    assert all("unread" in each for each in lines)


def test_missing_forecast_prints_nothing() -> None:
    paper = CapturedConsole()
    paper.out.print(Text("-"))
    print_forecast(paper.out, None, FLEET)
    assert paper.lines == ["-"]


def test_a_fleet_that_is_too_large_is_named_with_the_limit() -> None:
    paper = CapturedConsole()
    print_forecast(paper.out, None, replace(FLEET, hosts=FLEET.hosts[:1] * (MAX_HOSTS + 1)))
    assert [figures(each) for each in paper.lines] == [[str(MAX_HOSTS + 1), str(MAX_HOSTS)]]
