"""The progress display on a terminal and elsewhere."""

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
    """The hosts in their order, and whether each has the suffix of a failure."""
    return [(name, bool(suffix)) for name, suffix in re.findall(r"\b(h\d)\b( [^,:]+)?", line)]


def test_phase_line_names_failed_hosts_first() -> None:
    assert hosts(progress_line("change", ("h2", None), ("h1", None))) == [("h1", False), ("h2", False)]
    assert hosts(progress_line("read", ("h1", None), ("h2", "is down"))) == [("h2", True), ("h1", False)]


def test_each_phase_has_its_own_name() -> None:
    phases: tuple[Phase, ...] = get_args(Phase)
    named = {progress_line(phase, ("h1", None)).partition("h1")[0].strip() for phase in phases}
    assert len(named - {""}) == len(phases) == 6


def test_phase_line_counts_hosts_above_the_limit() -> None:
    line = progress_line("probe", *((f"h{at}", None) for at in range(1, 10)))
    assert hosts(line) == [(f"h{at}", False) for at in range(1, 5)]
    assert figures(line) == ["5"]


@pytest.mark.parametrize("width", [60, 80, 160])
@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_terminal_shows_busy_hosts_and_clears_them_at_the_end(width: int, encoding: str) -> None:
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
    assert re.search(r" +1/1000 +0\.\d s \D*\b1\b\D*$", frame[0]), "finished hosts, elapsed time, failed hosts"
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
