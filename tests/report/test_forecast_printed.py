"""Forecasts on the console and in JSON."""

from builders import FLEET
from printed import CapturedConsole, Line, figures, line
from rich.text import Text

from dockmesh.core.forecast.impact import Impact, ImpactRow
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
        ImpactRow("c", "host-bridge", ("b",), "unknown", "reached", Reason(ReasonCode.FIREWALL_DROP, "b may drop it")),
    )
    summary, *lines = paper.lines
    assert figures(summary) == ["7", "10", "3"], "reached after, total, reached before"
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
    rows = (ImpactRow("a", "host-bridge", (target,), "unknown", "reached") for target in ("b", "c", "d"))
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


def test_missing_forecast_prints_nothing() -> None:
    paper = CapturedConsole()
    paper.out.print(Text("-"))
    print_forecast(paper.out, None, FLEET)
    assert paper.lines == ["-"]
