"""The verbs that change hosts, as users meet them: what is asked, what is told, what becomes of the hosts."""

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path

import pytest
from fakehosts import FakeLan, FakeSession

from dockmesh.cli import changing

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def answer(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    return lambda text: monkeypatch.setattr("sys.stdin", StringIO(text))


@pytest.mark.parametrize("verb", ["rollback", "destroy"])
def test_the_way_out_restarts_docker_host_by_host_and_stops_after_the_first_that_fails(
    lan: FakeLan, run: Run, verb: str
) -> None:
    run("apply", "--yes")
    lan.hosts["host1"].lost_in = "transact"
    status, out, _ = run(verb, "--yes")
    assert status == 3
    assert re.search(r"^host1 +unreachable ", out, re.MULTILINE)
    assert re.findall(r"^(host\d) +refused +not begun, since 1 failed before it", out, re.MULTILINE) == [
        "host2",
        "host3",
    ]
    lan.hosts["host1"].lost_in = ""
    assert lan.hosts["host2"].routes


@pytest.mark.parametrize("verb", ["rollback", "destroy"])
def test_with_max_fail_the_way_out_goes_on_past_a_host_that_fails(lan: FakeLan, run: Run, verb: str) -> None:
    run("apply", "--yes")
    lan.hosts["host1"].lost_in = "transact"
    status, out, _ = run(verb, "--yes", "--serial", "100%", "--max-fail", "1")
    assert status == 3
    word = {"rollback": "rolled back", "destroy": "removed"}[verb]
    assert re.findall(rf"^(host\d) +{word} *$", out, re.MULTILINE) == ["host2", "host3"]
    assert not lan.hosts["host3"].routes


@pytest.mark.parametrize(
    ("verb", "told"),
    [
        ("rollback", "Nothing to do: 3 hosts with no earlier state stored than the present one."),
        ("destroy", "Nothing to do: 3 hosts without dockmesh."),
        ("apply", "Nothing to do: 3 hosts as the inventory wants."),
    ],
)
def test_a_second_time_there_is_nothing_to_do_and_it_is_said_why(lan: FakeLan, run: Run, verb: str, told: str) -> None:
    assert len(lan.hosts) == 3
    run("apply", "--yes")
    assert run(verb, "--yes")[0] == 0
    status, out, _ = run(verb, "--yes")
    assert (status, out.splitlines()[0]) == (0, told)


@pytest.mark.usefixtures("lan")
def test_documents_keep_the_contracts_words(run: Run) -> None:
    run("apply", "--yes")
    assert '"status": "confirmed"' in run("destroy", "--yes", "--json")[1]


@pytest.mark.parametrize("text", ["n\n", "\n", ""], ids=["n", "enter", "end of input"])
def test_who_does_not_say_yes_is_told_that_nothing_was_changed(
    lan: FakeLan, run: Run, answer: Callable[[str], None], text: str
) -> None:
    answer(text)
    status, out, err = run("apply")
    assert status == 130
    assert "host3" in out, "the plan"
    assert "Docker restarts on host1, host2, host3, one after the other.\nChange 3 hosts? [y/N]: " in err
    assert err.rstrip().endswith("nothing was changed")
    assert "interrupted" not in err
    assert not any(host.routes for host in lan.hosts.values())


def test_the_question_says_how_many_restart_docker_at_a_time(
    lan: FakeLan, run: Run, answer: Callable[[str], None]
) -> None:
    answer("y\n")
    status, _, err = run("apply", "--serial", "2")
    assert status == 0
    assert "host1, host2, host3, 2 at a time." in err
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
    assert re.search(r"^amid their change: host2\. .* by themselves, by \d\d:\d\d:\d\d;", err, re.MULTILINE)
    assert "dockmesh plan --limit host2" in err
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

    ran, contact = FakeSession.run, changing.contact
    monkeypatch.setattr(FakeSession, "run", interrupted)
    monkeypatch.setattr(changing, "contact", with_bars)
    status, _, err = run("apply", "--yes", "--serial", "100%")
    assert (status, lan.opened > 0) == (130, True)
    assert 0 <= err.find("the bars are wiped off") < err.find("amid their change: host1")


def test_a_file_that_is_no_plan_is_refused_before_anybody_is_contacted(lan: FakeLan, run: Run, tmp_path: Path) -> None:
    file = tmp_path / "plan.json"
    file.write_text("{}")
    status, _, err = run("apply", str(file), "--yes")
    assert status == 4
    assert "not a saved plan" in err
    assert lan.opened == 0
