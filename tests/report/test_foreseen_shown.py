"""What is foreseen, for people: what is lost first, in few lines."""

from rich.text import Text
from test_console import Paper

from dockmesh.core.path.outlook import Outlook, Shift
from dockmesh.core.path.sieve import Reason, ReasonCode
from dockmesh.report.foreseen import outlook_document, print_outlook

COUNTS = {"reached": 1, "failing": 0, "unknown": 0}


def told(*shifts: Shift) -> list[str]:
    paper = Paper(None)
    print_outlook(paper.out, Outlook({**COUNTS, "reached": 0}, COUNTS, shifts))
    assert isinstance(paper.lines[0], str)
    return paper.lines


def test_kinds_and_hosts_of_which_the_same_is_foreseen_share_a_line_and_what_is_lost_comes_first() -> None:
    assert told(
        Shift("a", "host-bridge", ("b", "c"), "failing", "reached"),
        Shift("a", "host-container", ("b", "c"), "failing", "reached"),
        Shift(
            "b",
            "host-bridge",
            tuple("cdefghij"),
            "reached",
            "failing",
            Reason(ReasonCode.NO_ROUTE, "b has no route there"),
        ),
        Shift("c", "host-bridge", ("a",), "failing", "failing", Reason(ReasonCode.FIREWALL_DROP, "c [red]drops it")),
        Shift("c", "host-bridge", ("b",), "unknown", "reached", Reason(ReasonCode.FIREWALL_DROP, "b may drop it")),
    ) == [
        "Foreseen: 1 of 1 probe reached after this, 0 now.",
        "  ✗ lost b → c, d, e, f, g, h and 2 more, host → bridge: b has no route there",
        "  ? unknown c → b, host → bridge: b may drop it",
        "  ✗ as before c → a, host → bridge: c [red]drops it",
        "  + gained a → b, c, host → bridge, host → container",
    ]


def test_what_is_not_gained_has_a_code_and_a_reason_in_the_document() -> None:
    shifts = (
        Shift("a", "host-bridge", ("b",), "failing", "reached"),
        Shift("b", "host-bridge", ("a",), "reached", "failing", Reason(ReasonCode.NO_ROUTE, "b has none")),
    )
    document = outlook_document(Outlook(COUNTS, COUNTS, shifts))
    keys = ["source", "kind", "targets", "before", "after", "code", "reason"]
    assert [list(row) for row in (*document["gained"], *document["lost"])] == [keys, keys]
    assert [(row["code"], row["reason"]) for row in document["gained"]] == [(None, None)]
    assert [(row["code"], row["reason"]) for row in document["lost"]] == [("no-route", "b has none")]


def test_many_lines_are_counted() -> None:
    lines = told(*(Shift(f"h{n}", "host-bridge", ("a",), "failing", "reached") for n in range(20)))
    assert len(lines) == 14
    assert lines[-1] == "  + gained: 8 more lines, which --json has"


def test_where_nothing_is_foreseen_nothing_is_said() -> None:
    paper = Paper(None)
    paper.out.print(Text("-"))
    print_outlook(paper.out, None)
    assert paper.lines == ["-"]
