"""How a run goes on, where stderr is no terminal: a line per phase that says which hosts it was about."""

import re
import time
from io import BytesIO, StringIO, TextIOWrapper

import pytest

from dockmesh.report.console import console
from dockmesh.report.progress import Display


def told(phase: str, *done: tuple[str, str | None]) -> str:
    """The line of a phase, without its time."""
    stream = StringIO()
    with Display(console(stream)) as display:
        display.phase(phase, len(done))
        for host, error in done:
            display.done(host, error)
    (line,) = stream.getvalue().splitlines()
    return re.sub(r"\d+\.\d s$", "", line)


def test_each_phase_names_its_hosts_and_first_those_that_failed() -> None:
    assert told("change", ("host2", None), ("host1", None)) == "changing host1, host2: "
    assert told("read", ("host1", None), ("host2", "is down")) == "reading host2 (failed), host1: "


def test_a_host_that_is_done_twice_in_a_phase_is_named_once() -> None:
    assert told("probe", ("a", None), ("b", None), ("a", "lost"), ("b", None)) == "probing a (failed), b: "


def test_of_many_hosts_the_first_are_named_and_the_rest_counted() -> None:
    assert told("probe", *((f"h{at}", None) for at in range(1, 10))) == "probing h1, h2, h3, h4, 5 more: "


@pytest.mark.parametrize("width", [60, 80, 160])
@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_on_a_terminal_busy_hosts_have_a_line_each_and_nothing_is_left_of_it(width: int, encoding: str) -> None:
    stream = Terminal(encoding)
    err = console(stream)
    err.width, err.height = width, 10
    with Display(err) as display:
        display.phase("confirm", 1000)
        for at in range(20):
            display.begun(f"host{at}", "script" if at else "login", "")
        display.done("host99", "is down")
        until = time.monotonic() + 10
        while "14 hosts more" not in (shown := stream.text()) and time.monotonic() < until:
            time.sleep(0.05)
    frame = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown).rpartition("confirming")[2].splitlines()
    assert re.search(r" +1/1000 +0\.\d s 1 failed *$", frame[0])
    assert [line.split()[1] for line in frame[1:7]] == [f"host{at}" for at in range(6)]
    assert frame[1].rstrip().endswith("logging in")
    assert frame[7].strip().endswith("and 14 hosts more")
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
