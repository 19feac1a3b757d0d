"""The verbs that change hosts, as users meet them: what is asked, what is told, what becomes of the hosts."""

import json
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path

import pytest
from conftest import Refused, Run
from fakehosts import FakeLan, FakeSession
from refusals import missing_facts

from dockmesh.cli import apply

_CLOCK = r"\b\d\d:\d\d:\d\d\b"


@pytest.fixture
def answer(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    return lambda text: monkeypatch.setattr("sys.stdin", StringIO(text))


def outcomes(out: str) -> dict[str, str]:
    """How each host ended, by a document of apply."""
    return {each["host"]: each["status"] for each in json.loads(out)["outcomes"]}


@pytest.mark.parametrize("verb", ["rollback", "destroy"])
def test_the_way_out_restarts_docker_host_by_host_and_stops_after_the_first_that_fails(
    lan: FakeLan, run: Run, verb: str
) -> None:
    run("apply", "--yes")
    lan.hosts["host1"].session_lost_in = "transact"
    status, out, _ = run(verb, "--yes", "--json")
    assert (status, outcomes(out)) == (3, {"host1": "unreachable", "host2": "refused", "host3": "refused"})
    lan.hosts["host1"].session_lost_in = ""
    assert lan.hosts["host2"].routes


@pytest.mark.parametrize("verb", ["rollback", "destroy"])
def test_with_max_fail_the_way_out_goes_on_past_a_host_that_fails(lan: FakeLan, run: Run, verb: str) -> None:
    run("apply", "--yes")
    lan.hosts["host1"].session_lost_in = "transact"
    status, out, _ = run(verb, "--yes", "--serial", "100%", "--max-fail", "1", "--json")
    assert (status, outcomes(out)) == (3, {"host1": "unreachable", "host2": "confirmed", "host3": "confirmed"})
    assert not lan.hosts["host3"].routes


@pytest.mark.parametrize("verb", ["rollback", "destroy", "apply"])
def test_a_second_time_there_is_nothing_to_do(lan: FakeLan, run: Run, verb: str) -> None:
    assert len(lan.hosts) == 3
    run("apply", "--yes")
    assert run(verb, "--yes")[0] == 0
    status, out, _ = run(verb, "--yes")
    assert status == 0
    assert missing_facts(out.splitlines()[0], "3") == []
    status, out, _ = run(verb, "--yes", "--json")
    assert (status, outcomes(out)) == (0, dict.fromkeys(lan.hosts, "unchanged"))
    assert {len(each["changes"]) for each in json.loads(out)["plan"]["hosts"]} == {0}


@pytest.mark.usefixtures("lan")
def test_documents_keep_the_contracts_words(run: Run) -> None:
    run("apply", "--yes")
    assert set(outcomes(run("destroy", "--yes", "--json")[1]).values()) == {"confirmed"}


@pytest.mark.parametrize("text", ["n\n", "\n", ""], ids=["n", "enter", "end of input"])
def test_who_does_not_say_yes_is_told_that_nothing_was_changed(
    lan: FakeLan, run: Run, answer: Callable[[str], None], text: str
) -> None:
    answer(text)
    status, out, err = run("apply")
    assert status == 130
    assert "host3" in out, "the plan"
    restarting, _, question = err.partition("[y/N]")[0].rpartition("\n")
    assert missing_facts(restarting, "host1 host2 host3") == []
    assert missing_facts(question, "3") == []
    assert "interrupted" not in err
    assert not any(host.routes for host in lan.hosts.values())


def test_the_question_says_how_many_restart_docker_at_a_time(
    lan: FakeLan, run: Run, answer: Callable[[str], None]
) -> None:
    answer("y\n")
    status, _, err = run("apply", "--serial", "2")
    assert status == 0
    assert missing_facts(err.partition("[y/N]")[0], "host1 host2 host3 2") == []
    assert lan.hosts["host3"].routes


def test_interrupted_the_run_names_the_hosts_amid_their_change_and_the_time_they_take(
    lan: FakeLan, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(self: FakeSession, script: str, *, timeout_s: float) -> str:
        if self.at.pending and self.at.host.name == "host2" and "confirm </dev/null" in script:
            raise KeyboardInterrupt
        return ran(self, script, timeout_s=timeout_s)

    ran = FakeSession.run
    monkeypatch.setattr(FakeSession, "run", interrupted)
    status, _, err = run("apply", "--yes")
    assert status == 130
    (told,) = (line for line in err.splitlines() if re.search(_CLOCK, line))
    assert missing_facts(told, "host2 60") == []
    assert "host1" not in told
    assert "host3" not in told
    assert told.endswith("dockmesh plan --limit host2")
    assert lan.hosts["host2"].pending is not None


def test_what_an_interrupted_run_says_comes_when_its_bars_are_gone(
    lan: FakeLan, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def with_bars(*words: object) -> Iterator[object]:
        try:
            with contact(*words) as pipeline:
                yield pipeline
        finally:
            sys.stderr.write("the bars are wiped off\n")

    def interrupted(self: FakeSession, script: str, *, timeout_s: float) -> str:
        if "transact </dev/null" in script:
            raise KeyboardInterrupt
        return ran(self, script, timeout_s=timeout_s)

    ran, contact = FakeSession.run, apply.open_run
    monkeypatch.setattr(FakeSession, "run", interrupted)
    monkeypatch.setattr(apply, "open_run", with_bars)
    status, _, err = run("apply", "--yes", "--serial", "100%")
    assert (status, lan.opened > 0) == (130, True)
    before, wiped, after = err.partition("the bars are wiped off\n")
    assert wiped
    assert (re.search(_CLOCK, before), bool(re.search(_CLOCK, after))) == (None, True)
    assert missing_facts(after, "host1") == []


@pytest.mark.parametrize("text", ["{}", "{", '{"format": "dockmesh/plan/2"}'])
def test_a_file_that_is_no_plan_is_refused_before_anybody_is_contacted(
    lan: FakeLan, problems_of_call: Refused, tmp_path: Path, text: str
) -> None:
    file = tmp_path / "plan.json"
    file.write_text(text)
    assert [each["code"] for each in problems_of_call("apply", str(file), "--yes")] == ["not-a-saved-plan"]
    assert [each["code"] for each in problems_of_call("apply", f"{file}.old", "--yes")] == ["cannot-read"]
    assert lan.opened == 0


@pytest.mark.parametrize("serial", ["0", "x", "-1", "25%%"])
def test_a_serial_that_is_no_count_and_no_share_is_refused(
    lan: FakeLan, problems_of_call: Refused, serial: str
) -> None:
    (problem,) = problems_of_call("apply", "--yes", "--serial", serial)
    assert problem["code"] == "bad-option"
    assert f"--serial {serial}" in problem["message"]
    assert lan.opened == 0
