"""dockmesh status from the command line: of all pairs, of some pairs, and with --watch."""

import json
import re
from ipaddress import IPv4Network

import pytest
from conftest import Run
from fakehosts import FakeLan
from refusals import missing_facts

from dockmesh.cli import status as status_command


def probed_pairs(out: str) -> set[tuple[str, str]]:
    return {(probe["source"], probe["target"]) for probe in json.loads(out)["probes"]}


@pytest.fixture
def joined(lan: FakeLan, run: Run) -> FakeLan:
    assert run("apply", "--yes")[0] == 0
    return lan


def test_a_sample_has_k_random_targets_per_host(joined: FakeLan, run: Run) -> None:
    drawn = set()
    for _ in range(20):
        status, out, _err = run("status", "--json", "--sample", "1")
        pairs = probed_pairs(out)
        assert status == 0
        assert {source for source, target in pairs if source != target} == set(joined.hosts)
        assert len([pair for pair in pairs if len(set(pair)) == 2]) == 3
        drawn.add(frozenset(pairs))
    assert len(drawn) > 1


def test_pairs_are_probed_in_both_directions_and_no_other_host(joined: FakeLan, run: Run) -> None:
    joined.hosts["host2"].down = True
    status, out, _err = run("status", "--json", "--pairs", "host1:host3")
    assert (status, probed_pairs(out)) == (0, {("host1", "host3"), ("host3", "host1")})
    assert [host["host"] for host in json.loads(out)["hosts"]] == ["host1", "host3"]
    _, out, _err = run("status", "--json", "--pairs", "host1:host3", "--limit", "host3")
    assert probed_pairs(out) == {("host3", "host1")}
    _, out, _err = run("status", "--pairs", "host1:host3")
    assert re.findall(r"\d+", out.splitlines()[-1]) == ["6", "2"]


@pytest.mark.usefixtures("joined")
def test_count_sets_the_packets_of_each_probe(run: Run) -> None:
    for words, packets in (((), 1), (("--count", "7"), 7)):
        status, out, _err = run("status", "--json", *words)
        probes = json.loads(out)["probes"]
        assert status == 0
        assert {(each["sent"], each["received"], each["loss"]) for each in probes} == {(packets, packets, 0)}
    assert re.search(r"\b147 packets\b", run("status", "--count", "7")[1])
    assert "packets" not in run("status")[1]
    assert [run("status", "--count", count)[0] for count in ("0", "1001", "x")] == [4] * 3


@pytest.mark.parametrize(
    ("words", "code", "facts"),
    [
        (("--sample", "1", "--pairs", "host1:host2"), "conflicting-options", "--sample --pairs"),
        (("--pairs", "host1"), "bad-pair", "--pairs 'host1'"),
        (("--pairs", "host1:nobody"), "unknown-host", "--pairs 'nobody'"),
        (("--pairs", "host1:tag:none"), "unknown-tag", "--pairs 'none'"),
        (("--watch", "--json"), "conflicting-options", "--watch --json"),
    ],
)
def test_invalid_pairs_and_options_are_refused_before_any_contact(
    lan: FakeLan, run: Run, words: tuple[str, ...], code: str, facts: str
) -> None:
    status, out, err = run("status", "--json", *words)
    (problem,) = json.loads(out)["problems"]
    assert (status, problem["code"]) == (4, code)
    assert missing_facts(problem["message"], facts) == []
    assert problem["message"] in err
    assert lan.opened == 0


def test_a_sample_of_zero_hosts_is_refused(lan: FakeLan, run: Run) -> None:
    status, out, err = run("status", "--sample", "0")
    assert (status, out, lan.opened) == (4, "", 0)
    assert "--sample" in err


def test_watch_prints_block_after_block_until_interrupted(
    joined: FakeLan, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float] = []

    def sleep(seconds: float) -> None:
        waited.append(seconds)
        route = ("route", str(IPv4Network("10.128.32.0/20")))
        joined.hosts["host1"].resources.pop(route, None)
        if len(waited) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(status_command.time, "sleep", sleep)
    status, out, err = run("status", "--watch", "7")
    assert status == 130
    assert waited == [7.0] * 3
    totals = [line for line in out.splitlines() if line.startswith(("All", "Of"))]
    assert [re.findall(r"\d+", line) for line in totals] == [["21"], ["21", "6"], ["21", "6"]]
    assert len(re.findall(r"\b7 s\b", out)) == 3
    assert len(err.strip().splitlines()) == 1


def test_watch_without_a_number_waits_five_seconds(joined: FakeLan, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def sleep(seconds: float) -> None:
        assert seconds == 5
        raise KeyboardInterrupt

    monkeypatch.setattr(status_command.time, "sleep", sleep)
    status, out, _err = run("status", "--watch", "--limit", "host1")
    assert (status, len(joined.hosts)) == (130, 3)
    assert any(missing_facts(line, "7 host1") == [] for line in out.splitlines())
