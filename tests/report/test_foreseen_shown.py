"""What is foreseen, for people: what is lost first, in few lines."""

from rich.text import Text
from test_console import Paper

from dockmesh.core.path.outlook import Outlook, Shift
from dockmesh.report.foreseen import print_outlook

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
        Shift("b", "host-bridge", tuple("cdefghij"), "reached", "failing", "b has no route there"),
        Shift("c", "host-bridge", ("a",), "failing", "failing", "c [red]drops it"),
        Shift("c", "host-bridge", ("b",), "unknown", "reached", "b may drop it"),
    ) == [
        "Foreseen: 1 of 1 probe reached after this, 0 now.",
        "  ✗ lost b → c, d, e, f, g, h and 2 more, host → bridge: b has no route there",
        "  ? unknown c → b, host → bridge: b may drop it",
        "  ✗ as before c → a, host → bridge: c [red]drops it",
        "  + gained a → b, c, host → bridge, host → container",
    ]


def test_many_lines_are_counted() -> None:
    lines = told(*(Shift(f"h{n}", "host-bridge", ("a",), "failing", "reached") for n in range(20)))
    assert len(lines) == 14
    assert lines[-1] == "  + gained: 8 more lines, which --json has"


def test_where_nothing_is_foreseen_nothing_is_said() -> None:
    paper = Paper(None)
    paper.out.print(Text("-"))
    print_outlook(paper.out, None)
    assert paper.lines == ["-"]
