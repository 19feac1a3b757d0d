"""apply, rollback and destroy from the command line: question, messages and state of the hosts."""

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
    """The status of each host in a document of apply."""
    return {each["host"]: each["status"] for each in json.loads(out)["outcomes"]}


@pytest.mark.parametrize("verb", ["rollback", "destroy"])
def test_leaving_the_mesh_stops_after_the_first_failed_host(lan: FakeLan, run: Run, verb: str) -> None:
    run("apply", "--yes")
    lan.hosts["host1"].session_lost_in = "transact"
    status, out, _ = run(verb, "--yes", "--json")
    assert (status, outcomes(out)) == (3, {"host1": "unreachable", "host2": "refused", "host3": "refused"})
    lan.hosts["host1"].session_lost_in = ""
    assert lan.hosts["host2"].routes


@pytest.mark.parametrize("verb", ["rollback", "destroy"])
def test_max_fail_lets_leaving_the_mesh_continue_after_a_failure(lan: FakeLan, run: Run, verb: str) -> None:
    run("apply", "--yes")
    lan.hosts["host1"].session_lost_in = "transact"
    status, out, _ = run(verb, "--yes", "--serial", "100%", "--max-fail", "1", "--json")
    assert (status, outcomes(out)) == (3, {"host1": "unreachable", "host2": "confirmed", "host3": "confirmed"})
    assert not lan.hosts["host3"].routes


@pytest.mark.parametrize("verb", ["rollback", "destroy", "apply"])
def test_a_second_run_changes_nothing(lan: FakeLan, run: Run, verb: str) -> None:
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
def test_destroy_reports_the_outcomes_of_the_contract(run: Run) -> None:
    run("apply", "--yes")
    assert set(outcomes(run("destroy", "--yes", "--json")[1]).values()) == {"confirmed"}


@pytest.mark.parametrize("text", ["n\n", "\n", ""], ids=["n", "enter", "end of input"])
def test_an_answer_other_than_yes_changes_nothing(
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


def test_the_question_names_the_number_of_parallel_docker_restarts(
    lan: FakeLan, run: Run, answer: Callable[[str], None]
) -> None:
    answer("y\n")
    status, _, err = run("apply", "--serial", "2")
    assert status == 0
    assert missing_facts(err.partition("[y/N]")[0], "host1 host2 host3 2") == []
    assert lan.hosts["host3"].routes


def test_an_interrupted_run_names_unconfirmed_hosts_and_their_deadline(
    lan: FakeLan, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(self: FakeSession, script: str, *, timeout_s: float) -> str:
        if self.at.pending and self.at.host.name == "host2" and "confirm </dev/null" in script:
            raise KeyboardInterrupt
        return ran(self, script, timeout_s=timeout_s)

    ran = FakeSession.run
    monkeypatch.setattr(FakeSession, "run", interrupt)
    status, _, err = run("apply", "--yes")
    assert status == 130
    (message,) = (line for line in err.splitlines() if re.search(_CLOCK, line))
    assert missing_facts(message, "host2 60") == []
    assert "host1" not in message
    assert "host3" not in message
    assert message.endswith("dockmesh plan --limit host2")
    assert lan.hosts["host2"].pending is not None


def test_the_message_of_an_interrupted_run_follows_the_progress_bars(
    lan: FakeLan, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def run_with_bars(*words: object) -> Iterator[object]:
        try:
            with contact(*words) as pipeline:
                yield pipeline
        finally:
            sys.stderr.write("the bars are gone\n")

    def interrupt(self: FakeSession, script: str, *, timeout_s: float) -> str:
        if "transact </dev/null" in script:
            raise KeyboardInterrupt
        return ran(self, script, timeout_s=timeout_s)

    ran, contact = FakeSession.run, apply.open_run
    monkeypatch.setattr(FakeSession, "run", interrupt)
    monkeypatch.setattr(apply, "open_run", run_with_bars)
    status, _, err = run("apply", "--yes", "--serial", "100%")
    assert (status, lan.opened > 0) == (130, True)
    before, bars_gone, after = err.partition("the bars are gone\n")
    assert bars_gone
    assert (re.search(_CLOCK, before), bool(re.search(_CLOCK, after))) == (None, True)
    assert missing_facts(after, "host1") == []


@pytest.mark.parametrize("text", ["{}", "{", '{"format": "dockmesh/plan/2"}'])
def test_an_invalid_plan_file_is_refused_before_any_contact(
    lan: FakeLan, problems_of_call: Refused, tmp_path: Path, text: str
) -> None:
    file = tmp_path / "plan.json"
    file.write_text(text)
    assert [each["code"] for each in problems_of_call("apply", str(file), "--yes")] == ["not-a-saved-plan"]
    assert [each["code"] for each in problems_of_call("apply", f"{file}.old", "--yes")] == ["cannot-read"]
    assert lan.opened == 0


@pytest.mark.parametrize("serial", ["0", "x", "-1", "25%%"])
def test_an_invalid_serial_is_refused(lan: FakeLan, problems_of_call: Refused, serial: str) -> None:
    (problem,) = problems_of_call("apply", "--yes", "--serial", serial)
    assert problem["code"] == "bad-option"
    assert f"--serial {serial}" in problem["message"]
    assert lan.opened == 0


def test_a_plan_that_was_carried_out_is_refused_with_the_fix(lan: FakeLan, run: Run, tmp_path: Path) -> None:
    file = tmp_path / "plan.json"
    file.touch(mode=0o644)
    assert run("plan", "--out", str(file))[0] == 2
    assert file.stat().st_mode & 0o777 == 0o600
    assert run("apply", str(file), "--yes")[0] == 0
    routes = {name: host.routes for name, host in lan.hosts.items()}
    status, out, err = run("apply", str(file), "--yes")
    assert (status, out) == (3, "")
    reasons = [line.split(":")[0].strip() for line in err.splitlines() if line.startswith("  ")]
    assert reasons == ["host1", "host2", "host3"]
    assert err.endswith(f"Fix: dockmesh plan --out {file}\n")
    assert {name: host.routes for name, host in lan.hosts.items()} == routes
