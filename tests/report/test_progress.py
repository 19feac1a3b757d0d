"""The progress of a run where stderr is no terminal: a line per phase with its hosts."""

import re
import time
from io import BytesIO, StringIO, TextIOWrapper
from typing import get_args

import pytest
from printed import figures

from dockmesh.core.events import HostFinished, Phase, PhaseStarted, WorkStarted
from dockmesh.report.console.terminal import console
from dockmesh.report.progress import ProgressDisplay


def progress_line(phase: Phase, *done: tuple[str, str | None]) -> str:
    """The line of a phase, without its time at the end."""
    stream = StringIO()
    with ProgressDisplay(console(stream)) as display:
        display(PhaseStarted(phase, len(done)))
        for position, (host, error) in enumerate(done, 1):
            assert stream.getvalue() == ""
            display(HostFinished(phase, host, position, len(done), error))
    (line,) = stream.getvalue().splitlines()
    found = re.fullmatch(r"(.*\D)\d+\.\d s", line)
    assert found, line
    return found[1]


def hosts(line: str) -> list[tuple[str, bool]]:
    """The hosts in their order, and whether something is said of each: that it failed."""
    return [(name, bool(said)) for name, said in re.findall(r"\b(h\d)\b( [^,:]+)?", line)]


def test_each_phase_names_its_hosts_and_first_those_that_failed() -> None:
    assert hosts(progress_line("change", ("h2", None), ("h1", None))) == [("h1", False), ("h2", False)]
    assert hosts(progress_line("read", ("h1", None), ("h2", "is down"))) == [("h2", True), ("h1", False)]


def test_hosts_are_sorted_by_number() -> None:
    line = progress_line("read", ("rack10", None), ("rack2", None), ("rack11", "is down"), ("rack3", "is down"))
    assert re.findall(r"rack\d+", line) == ["rack3", "rack11", "rack2", "rack10"]


def test_each_phase_has_a_name_of_its_own() -> None:
    phases: tuple[Phase, ...] = get_args(Phase)
    named = {progress_line(phase, ("h1", None)).partition("h1")[0].strip() for phase in phases}
    assert len(named - {""}) == len(phases) == 6


def test_of_many_hosts_the_first_are_named_and_the_rest_counted() -> None:
    line = progress_line("probe", *((f"h{at}", None) for at in range(1, 10)))
    assert hosts(line) == [(f"h{at}", False) for at in range(1, 5)]
    assert figures(line) == ["5"]


@pytest.mark.parametrize("width", [60, 80, 160])
@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_on_a_terminal_busy_hosts_have_a_line_each_and_nothing_is_left_of_it(width: int, encoding: str) -> None:
    stream = Terminal(encoding)
    err = console(stream)
    err.width, err.height = width, 10
    with ProgressDisplay(err) as display:
        display(PhaseStarted("confirm", 1000))
        for at in range(20):
            display(WorkStarted(f"host{at}", "script" if at else "login"))
        display(HostFinished("confirm", "host99", 1, 1000, "is down"))
        until = time.monotonic() + 10
        while not re.search(r"\b14\b", shown := stream.text()) and time.monotonic() < until:
            time.sleep(0.05)
    lines = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown).splitlines()
    frame = lines[max(at for at, line in enumerate(lines) if "1/1000" in line) :]
    assert re.search(r" +1/1000 +0\.\d s \D*\b1\b\D*$", frame[0]), "done, since when, and how many failed"
    assert [line.split()[1] for line in frame[1:7]] == [f"host{at}" for at in range(6)]
    assert [bool(line.partition(" s ")[2].strip()) for line in frame[1:7]] == [True, *[False] * 5], "host0 logs in"
    assert figures(frame[7]) == ["14"]
    assert all(len(line) <= width for line in frame[1:])
    assert encoding == "utf-8" or shown.isascii()
    assert stream.text().endswith("\x1b[?25h\r\x1b[1A\x1b[2K" + "\x1b[1A\x1b[2K" * 7)


class Terminal(TextIOWrapper):
    def __init__(self, encoding: str) -> None:
        self.bytes = BytesIO()
        super().__init__(self.bytes, encoding=encoding)

    def isatty(self) -> bool:
        return True

    def text(self) -> str:
        self.flush()
        return self.bytes.getvalue().decode(self.encoding)
