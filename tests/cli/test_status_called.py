"""`status` as users call it: of all, of a part, and again and again."""

import json
from collections.abc import Callable
from ipaddress import IPv4Network

import pytest
from fakehosts import FakeLan

from dockmesh.cli import watching

Run = Callable[..., tuple[int, str, str]]


def asked(out: str) -> set[tuple[str, str]]:
    return {(probe["source"], probe["target"]) for probe in json.loads(out)["probes"]}


@pytest.fixture
def joined(lan: FakeLan, run: Run) -> FakeLan:
    assert run("apply", "--yes")[0] == 0
    return lan


def test_a_sample_asks_each_host_for_so_many_others_and_another_time_for_others(joined: FakeLan, run: Run) -> None:
    drawn = set()
    for _ in range(20):
        status, out, _err = run("status", "--json", "--sample", "1")
        pairs = asked(out)
        assert status == 0
        assert {source for source, target in pairs if source != target} == set(joined.hosts)
        assert len([pair for pair in pairs if len(set(pair)) == 2]) == 3
        drawn.add(frozenset(pairs))
    assert len(drawn) > 1


def test_named_pairs_are_asked_both_ways_and_nobody_else_is_contacted(joined: FakeLan, run: Run) -> None:
    joined.hosts["host2"].down = True
    status, out, _err = run("status", "--json", "--pairs", "host1:host3")
    assert (status, asked(out)) == (0, {("host1", "host3"), ("host3", "host1")})
    assert [host["host"] for host in json.loads(out)["hosts"]] == ["host1", "host3"]
    _, out, _err = run("status", "--json", "--pairs", "host1:host3", "--limit", "host3")
    assert asked(out) == {("host3", "host1")}
    _, out, _err = run("status", "--pairs", "host1:host3")
    assert out.splitlines()[-1] == "All 6 probes reached, of the 2 pairs that were asked."


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--sample", "1", "--pairs", "host1:host2"), "one of the two"),
        (("--pairs", "host1"), "write A:B"),
        (("--pairs", "host1:nobody"), "no host is called 'nobody'"),
        (("--watch", "--json"), "--watch is for people"),
        (("--sample", "0"), "0 is not in the range"),
    ],
)
def test_what_makes_no_sense_is_told_before_anybody_is_contacted(
    lan: FakeLan, run: Run, words: tuple[str, ...], told: str
) -> None:
    status, out, err = run("status", *words)
    assert status == 4
    assert told in out + err
    assert lan.opened == 0


def test_watching_shows_block_after_block_as_things_change_until_it_is_interrupted(
    joined: FakeLan, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float] = []

    def sleep(seconds: float) -> None:
        waited.append(seconds)
        route = ("route", str(IPv4Network("10.128.32.0/20")))
        joined.hosts["host1"].resources.pop(route, None)
        if len(waited) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(watching.time, "sleep", sleep)
    status, out, err = run("status", "--watch", "7")
    assert status == 130
    assert waited == [7.0] * 3
    totals = [line for line in out.splitlines() if line.startswith(("All", "Of"))]
    assert totals == ["All 21 probes reached: every host, and a container on each.", *["Of 21 probes, 6 failed."] * 2]
    assert out.count("every 7 s; Ctrl-C ends it\n") == 3
    assert err.strip() == "interrupted"


def test_without_a_number_watching_waits_some_seconds(
    joined: FakeLan, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def sleep(seconds: float) -> None:
        assert seconds == 5
        raise KeyboardInterrupt

    monkeypatch.setattr(watching.time, "sleep", sleep)
    status, out, _err = run("status", "--watch", "--limit", "host1")
    assert (status, len(joined.hosts)) == (130, 3)
    assert "All 7 probes from host1 reached." in out
