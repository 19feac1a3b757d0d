"""How a run goes on, where stderr is no terminal: a line per phase that says which hosts it was about."""

import re
from io import StringIO

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
