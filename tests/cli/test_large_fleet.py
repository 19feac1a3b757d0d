"""A fleet of fifty hosts in few lines: its plan, its outcomes, and the errors that many hosts share."""

import re
from collections.abc import Callable
from ipaddress import IPv4Address, IPv4Network
from itertools import islice
from pathlib import Path

import pytest
from conftest import Run
from fakehosts import FakeHost, FakeLan

from dockmesh.cli import open_run
from dockmesh.core.inventory import parse

COUNT = 50
Large = Callable[[int], FakeLan]


def inventory(count: int) -> str:
    prefixes = islice(IPv4Network("10.128.0.0/12").subnets(new_prefix=20), count)
    first = IPv4Address("192.168.18.1")
    rows = (f"  host{at + 1}: {{address: {first + at}, prefix: {prefix}}}" for at, prefix in enumerate(prefixes))
    return "\n".join(("hosts:", *rows, ""))


@pytest.fixture
def large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Large:
    """Write the inventory of the first hosts of a LAN of fifty; the current folder has it as mesh.yml."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DOCKMESH_INVENTORY", raising=False)
    fleet = parse(inventory(COUNT), file="mesh.yml")
    lan = FakeLan({host.name: FakeHost(host) for host in fleet.hosts})
    monkeypatch.setattr(open_run, "SshTransport", lambda *_words, **_options: lan)

    def write(count: int) -> FakeLan:
        Path("mesh.yml").write_text(inventory(count))
        return lan

    return write


def test_a_plan_of_fifty_fresh_hosts_is_short(run: Run, large: Large) -> None:
    large(COUNT)
    status, out, _ = run("plan")
    assert status == 2
    assert len(out.splitlines()) < 80
    assert re.search(rf"\b{COUNT} hosts\b", out.splitlines()[0])
    assert out.count("172.17.0.1/16 → ") == 1, "equal hosts are printed once"
    assert re.search(rf"routes +\+ .*\b{COUNT - 1} peers", out)
    assert "web" in out, "the container that stops"


def test_one_host_added_to_49_restarts_no_other_host(run: Run, large: Large) -> None:
    large(COUNT - 1)
    assert run("apply", "--yes", "--serial", "100%")[0] == 0
    large(COUNT)
    status, out, _ = run("plan")
    lines = out.splitlines()
    assert (status, len(lines) < 20) == (2, True)
    old, new = "\n".join(lines).split("\nhost50\n")
    assert re.search(rf"\b{COUNT - 1} hosts\b", old.splitlines()[0])
    assert re.search(r"routes +\+ host50$", old, re.MULTILINE)
    assert "!" not in old, "nothing restarts there"
    assert re.search(r"Docker +!", new)


def test_every_line_of_every_host_is_printed_with_v(run: Run, large: Large) -> None:
    large(COUNT)
    lines = run("plan", "-v")[1].splitlines()
    assert sum(bool(re.match(r"  \+ route ", line)) for line in lines) == COUNT * (COUNT - 1)


def test_fifty_confirmed_hosts_are_one_line(run: Run, large: Large) -> None:
    large(COUNT)
    status, out, _ = run("apply", "--yes", "--serial", "100%")
    assert status == 0
    assert sum("confirmed" in line for line in out.splitlines()) == 2, "the hosts and their count"


def test_failed_hosts_come_last_with_an_error_that_they_share_once(run: Run, large: Large) -> None:
    lan = large(COUNT)
    for at in range(11, COUNT + 1):
        lan.hosts[f"host{at}"].down = True
    _, out, _ = run("apply", "--yes", "--serial", "100%")
    assert out.count(" does not answer") == 2, "in the plan and in the outcomes"
    assert "unreachable" in out.splitlines()[-1]
