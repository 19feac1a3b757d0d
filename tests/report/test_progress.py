"""The progress of a run, on a terminal and without one."""

import re
import threading
import time
from io import BytesIO, StringIO, TextIOWrapper
from typing import get_args

import pytest
from printed import figures

from dockmesh.core.events import HostFinished, Phase, PhaseStarted, WorkStarted
from dockmesh.report.console.terminal import console
from dockmesh.report.progress import ProgressDisplay

INVENTORY = [f"h{number}" for number in range(1, 13)]


def progress_line(phase: Phase, *done: tuple[str, str | None]) -> str:
    """The line of a quick phase without a terminal, without the time at its end."""
    stream = StringIO()
    with ProgressDisplay(console(stream), order=INVENTORY) as display:
        display(PhaseStarted(phase, len(done)))
        for position, (host, error) in enumerate(done, 1):
            assert stream.getvalue() == ""
            display(HostFinished(phase, host, position, len(done), error))
    (line,) = stream.getvalue().splitlines()
    found = re.fullmatch(r"(.*\D)\d+\.\d s", line)
    assert found, line
    return found[1]


def hosts(line: str) -> list[tuple[str, bool]]:
    """The hosts in their order, and whether each is marked as failed."""
    return [(name, bool(mark)) for name, mark in re.findall(r"\b(h\d+)\b( [^,:]+)?", line)]


def test_each_phase_names_its_hosts_the_failed_ones_first() -> None:
    assert hosts(progress_line("change", ("h2", None), ("h1", None))) == [("h1", False), ("h2", False)]
    assert hosts(progress_line("read", ("h1", None), ("h2", "is down"))) == [("h2", True), ("h1", False)]


def test_a_phase_names_its_hosts_in_the_order_of_the_inventory() -> None:
    line = progress_line("read", ("h10", None), ("h12", "is down"), ("h2", None), ("h3", "is down"))
    assert hosts(line) == [("h3", True), ("h12", True), ("h2", False), ("h10", False)]


def test_ctrl_c_at_the_start_of_a_phase_remains_the_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_thread: threading.Thread) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(threading.Thread, "start", interrupted)
    with pytest.raises(KeyboardInterrupt), ProgressDisplay(console(StringIO())) as display:
        display(PhaseStarted("change", 2))


def test_each_phase_has_a_name() -> None:
    phases: tuple[Phase, ...] = get_args(Phase)
    named = {progress_line(phase, ("h1", None)).partition("h1")[0].strip() for phase in phases}
    assert len(named - {""}) == len(phases) == 7


def test_many_hosts_are_named_in_part_and_counted() -> None:
    line = progress_line("probe", *((f"h{at}", None) for at in range(1, 10)))
    assert hosts(line) == [(f"h{at}", False) for at in range(1, 5)]
    assert figures(line) == ["9", "9", "5"]


def test_a_slow_phase_prints_its_count_and_its_busy_hosts_meanwhile() -> None:
    stream = StringIO()
    with ProgressDisplay(console(stream), slow_s=0.15) as display:
        display(PhaseStarted("read", 4))
        for host in ("h2", "h4"):
            display(WorkStarted(host, "script"))
        for position, host in enumerate(("h1", "h3"), 1):
            display(HostFinished("read", host, position, 4))
        lines = wait_for_lines(stream, 2)
        assert [figures(line)[1:3] for line in lines] == [["2", "4"]] * 2
        assert [hosts(line) for line in lines] == [[("h2", False), ("h4", False)]] * 2
        for position, host in enumerate(("h2", "h4"), 3):
            display(HostFinished("read", host, position, 4))
        printed = stream.getvalue()
        time.sleep(0.7)
    assert stream.getvalue() == printed
    assert figures(printed.splitlines()[-1])[:2] == ["4", "4"]


def wait_for_lines(stream: StringIO, count: int) -> list[str]:
    until = time.monotonic() + 10
    while stream.getvalue().count("\n") < count and time.monotonic() < until:
        time.sleep(0.01)
    return stream.getvalue().splitlines()[:count]


@pytest.mark.parametrize("width", [60, 80, 160])
@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_a_terminal_shows_busy_hosts_and_is_clean_afterwards(width: int, encoding: str) -> None:
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
    frame = lines[max(at for at, line in enumerate(lines) if "1 of 1000" in line) :]
    assert re.search(r" +1 of 1000 hosts +0\.\d s \D*\b1\b\D*$", frame[0]), (
        "the count, the time, and the number of failed hosts"
    )
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
